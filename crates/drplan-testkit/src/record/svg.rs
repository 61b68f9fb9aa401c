//! Draws a film as an SVG.
//!
//! Its text is text, to be selected and searched. Colours follow the reader's choice of light or dark. Where nothing
//! moves, because the viewer cannot or the reader does not want it, the last picture stands.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::film::{Film, Glyph, Style};

/// Pixels that a column takes, which is what most monospaced fonts take at this size.
const COLUMN: f64 = 8.4;
/// Pixels that a line takes.
const LINE: f64 = 18.0;
/// Pixels around the text.
const MARGIN: f64 = 14.0;
/// From the top of a line to where its letters stand.
const BASE: f64 = 13.5;

/// How it looks in light: each class legible on the background, at least 4.5 to 1.
const LIGHT: &str = "\
.g{fill:#fff;stroke:#d1d9e0}text{fill:#1f2328;white-space:pre}.c1{fill:#cf222e}.c2{fill:#116329}.c3{fill:#7d4e00}\
.c4{fill:#0550ae}.c5{fill:#8250df}.c6{fill:#0b6b75}.b{font-weight:700}.d{fill-opacity:.68}";
/// What is different in dark.
const DARK: &str = "\
.g{fill:#0d1117;stroke:#3d444d}text{fill:#e6edf3}.c1{fill:#ff7b72}.c2{fill:#56d364}.c3{fill:#e3b341}\
.c4{fill:#79c0ff}.c5{fill:#d2a8ff}.c6{fill:#56d4dd}";
const FONTS: &str =
    "ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono',Consolas,'Liberation Mono',monospace";

/// The film as an SVG that plays it again and again. `title` says what it shows.
pub fn svg(film: &Film, title: &str) -> String {
    let columns = f64::from(film.size.columns.get()) * COLUMN;
    let rows = f64::from(film.size.rows.get()) * LINE;
    let (width, height) = (columns + 2.0 * MARGIN, rows + 2.0 * MARGIN);
    let seconds = film.length.as_secs_f64();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"{FONTS}\" font-size=\"14\" role=\"img\">\n<title>{}</title>\n\
         <style>\n{LIGHT}\n@media(prefers-color-scheme:dark){{{DARK}}}\n.gone{{visibility:hidden}}\n\
         .p,.v{{animation:{seconds:.2}s step-end infinite}}\n",
        escaped(title)
    );
    let times = Times(film.length);
    let mut keys = String::new();
    for (time, top) in &film.tops {
        let at = times.percent(*time);
        let _ = write!(keys, "{at}{{transform:translateY({:.0}px)}}", -line(*top));
    }
    let _ = writeln!(out, "@keyframes paper{{{keys}}}.p{{animation-name:paper}}");

    let groups = groups(film);
    for (number, (from, until)) in groups.keys().enumerate() {
        let mut keys = String::new();
        if !from.is_zero() {
            keys.push_str("0%{visibility:hidden}");
        }
        let _ = write!(keys, "{}{{visibility:visible}}", times.percent(*from));
        if let Some(until) = until {
            let _ = write!(keys, "{}{{visibility:hidden}}", times.percent(*until));
        }
        let _ = writeln!(
            out,
            "@keyframes k{number}{{{keys}}}.k{number}{{animation-name:k{number}}}"
        );
    }
    let top = film.tops.last().map_or(0, |(_, top)| *top);
    let _ = writeln!(
        out,
        "@media(prefers-reduced-motion:reduce){{g.p,g.v{{animation:none}}}}\n</style>\n\
         <rect class=\"g\" x=\".5\" y=\".5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\"/>\n\
         <svg x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{columns:.0}\" height=\"{rows:.0}\" overflow=\"hidden\">\n\
         <g class=\"p\" transform=\"translate(0 {:.0})\">",
        width - 1.0,
        height - 1.0,
        -line(top)
    );
    for (number, ((_, until), texts)) in groups.iter().enumerate() {
        let gone = if until.is_some() { " gone" } else { "" };
        let _ = writeln!(out, "<g class=\"v k{number}{gone}\">\n{texts}</g>");
    }
    out.push_str("</g></svg>\n</svg>\n");
    out
}

/// The lines as text, by the time from which and until which they are to be seen; none: to the end.
fn groups(film: &Film) -> BTreeMap<(Duration, Option<Duration>), String> {
    let mut groups: BTreeMap<_, String> = BTreeMap::new();
    for (number, versions) in film.lines.iter().enumerate() {
        for (index, version) in versions.iter().enumerate() {
            let until = versions.get(index + 1).map(|next| next.from);
            if !version.glyphs.is_empty() {
                let texts = groups.entry((version.from, until)).or_default();
                texts.push_str(&text(line(number) + BASE, &version.glyphs));
            }
        }
    }
    groups
}

/// One line. Its parts have places of their own, so that columns stay columns where a font is narrower or wider.
fn text(y: f64, glyphs: &[Glyph]) -> String {
    let mut out = format!("<text y=\"{y:.1}\">");
    let mut rest = glyphs;
    while let Some(first) = rest.first() {
        let (part, after) = rest.split_at(part_length(rest));
        rest = after;
        let is_plain = first.text.is_ascii();
        let places: Vec<String> = part
            .iter()
            .take(if is_plain { 1 } else { part.len() })
            .map(|glyph| number(f64::from(glyph.column) * COLUMN))
            .collect();
        let written: String = part.iter().map(|glyph| glyph.text.as_str()).collect();
        let _ = write!(
            out,
            "<tspan x=\"{}\"{}>{}</tspan>",
            places.join(" "),
            class(first.style),
            escaped(&written)
        );
    }
    out.push_str("</text>\n");
    out
}

/// How many characters look the same and stand together. Others than ASCII may come from another font: each has its
/// place. Two blanks end a part: what follows them is a column.
fn part_length(glyphs: &[Glyph]) -> usize {
    let Some(first) = glyphs.first() else { return 0 };
    let is_plain = first.text.is_ascii();
    let is_next = |(index, glyph): (usize, &Glyph)| {
        let begins_column =
            index >= 2 && glyph.text != " " && glyphs[index - 1].text == " " && glyphs[index - 2].text == " ";
        glyph.style != first.style || glyph.text.is_ascii() != is_plain || begins_column
    };
    let end = glyphs.iter().enumerate().position(is_next);
    end.unwrap_or(glyphs.len())
}

fn class(style: Style) -> String {
    let mut names = Vec::new();
    if let Some(colour) = style
        .colour
        .map(|colour| colour % 8)
        .filter(|colour| (1..7).contains(colour))
    {
        names.push(format!("c{colour}"));
    }
    if style.bold {
        names.push("b".to_owned());
    }
    if style.dim {
        names.push("d".to_owned());
    }
    if names.is_empty() {
        return String::new();
    }
    format!(" class=\"{}\"", names.join(" "))
}

fn line(number: usize) -> f64 {
    // A paper has far fewer lines than a float has digits.
    f64::from(u32::try_from(number).unwrap_or(u32::MAX)) * LINE
}

fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Times as parts of the whole.
struct Times(Duration);

impl Times {
    fn percent(&self, time: Duration) -> String {
        let percent = 100.0 * time.as_secs_f64() / self.0.as_secs_f64().max(0.001);
        format!("{percent:.3}%")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Recording, Size};

    fn drawn(pieces: &[(u64, &str)]) -> anyhow::Result<String> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|(seconds, text)| (Duration::from_secs(*seconds), text.as_bytes().to_vec()))
            .collect();
        let recording = Recording {
            pieces,
            length: Duration::ZERO,
            succeeded: true,
        };
        let film = Film::of(&recording, Size::new(40, 3)?, Duration::from_secs(5));
        Ok(svg(&film, "a <film>"))
    }

    fn check(pieces: &[(u64, &str)], expect: &str) {
        let drawn = drawn(pieces).unwrap_or_default();
        assert!(drawn.contains(expect), "there is no\n{expect}\nin\n{drawn}");
    }

    #[test]
    fn text_is_escaped_coloured_and_kept_in_its_columns() {
        check(&[(0, "")], "<title>a &lt;film&gt;</title>");
        check(&[(0, "a<b")], "<tspan x=\"0\">a&lt;b</tspan>");
        check(
            &[(0, "\x1b[1;31mno\x1b[0m \x1b[2mso\x1b[0m")],
            "<tspan x=\"0\" class=\"c1 b\">no</tspan><tspan x=\"16.8\"> </tspan><tspan x=\"25.2\" class=\"d\">so</tspan>",
        );
        check(
            &[(0, "one two  three")],
            "<tspan x=\"0\">one two  </tspan><tspan x=\"75.6\">three</tspan>",
        );
    }

    #[test]
    fn wide_characters_take_two_columns_each() {
        check(
            &[(0, "切换 ok")],
            "<tspan x=\"0 16.8\">切换</tspan><tspan x=\"33.6\"> ok</tspan>",
        );
    }

    #[test]
    fn what_is_drawn_over_is_seen_for_its_time_only() -> anyhow::Result<()> {
        let drawn = drawn(&[(0, "old\r\n"), (5, "\x1b[1Anew\r\n")])?;
        // Of 4 + 5 seconds: stillness is cut.
        assert!(
            drawn.contains("@keyframes k0{0.000%{visibility:visible}44.444%{visibility:hidden}}"),
            "{drawn}"
        );
        assert!(
            drawn.contains("@keyframes k1{0%{visibility:hidden}44.444%{visibility:visible}}"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<g class=\"v k0 gone\">\n<text y=\"13.5\"><tspan x=\"0\">old"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<g class=\"v k1\">\n<text y=\"13.5\"><tspan x=\"0\">new"),
            "{drawn}"
        );
        Ok(())
    }

    #[test]
    fn the_window_moves_down_and_ends_at_the_last_lines() -> anyhow::Result<()> {
        let drawn = drawn(&[(0, "a\r\n"), (1, "b\r\nc\r\nd")])?;
        let paper =
            "@keyframes paper{0.000%{transform:translateY(-0px)}16.667%{transform:translateY(-18px)}}";
        assert!(drawn.contains(paper), "{drawn}");
        assert!(
            drawn.contains("<g class=\"p\" transform=\"translate(0 -18)\">"),
            "{drawn}"
        );
        Ok(())
    }
}
