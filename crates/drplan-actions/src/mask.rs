//! Hides values of Secrets in what others say: answers, refusals, errors.
//!
//! A value is found as it is, in base64 (also where it begins in the middle of what was encoded, as the password of
//! basic authentication does), and each of these percent-encoded, escaped as in JSON or as in HTML, in any mixture.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use drplan_engine::effect::{Failure, Outcome};

/// What stands in place of a hidden value.
const HIDDEN: &str = "***";
/// The shortest beginning of a value that is hidden where a text was cut within it.
const CUT_CHARS_MIN: usize = 4;
/// The shortest line or part of a long value that is hidden by itself, and the shortest middle part in base64. What is
/// shorter would be found everywhere.
const PART_CHARS_MIN: usize = 6;
/// What a text that was cut ends with.
const CUT: char = '…';

/// Values to hide; without any, texts stay as they are.
#[derive(Clone, Default)]
pub(crate) struct Mask {
    needles: Vec<Needle>,
}

/// A text to look for.
#[derive(Clone)]
struct Needle {
    chars: Vec<char>,
    /// Whether it is base64, of which there are two alphabets.
    base64: bool,
}

impl Mask {
    /// Hides these values of Secrets.
    pub(crate) fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for value in values {
            for text in parts(value) {
                needles.extend(encoded(&text));
                needles.push(Needle::plain(&text));
            }
        }
        // What is longer goes first, so that nothing is left of it.
        needles.sort_by(|one, other| {
            (other.chars.len(), &one.chars, one.base64).cmp(&(one.chars.len(), &other.chars, other.base64))
        });
        needles.dedup_by(|one, other| one.chars == other.chars && one.base64 == other.base64);
        Self { needles }
    }

    /// Whether it hides nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// `text` without the values; `cut` tells whether it goes on where it was taken from.
    pub(crate) fn hide(&self, text: &str, cut: bool) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = self
                .needles
                .iter()
                .filter_map(|needle| needle.length_in(rest, cut))
                .max();
            match found {
                Some(length) => {
                    // What stands side by side is hidden as one.
                    if !hidden.ends_with(HIDDEN) {
                        hidden.push_str(HIDDEN);
                    }
                    rest = &rest[length..];
                }
                None => {
                    hidden.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        hidden
    }

    /// `failure` without the values.
    pub(crate) fn hide_in_failure(&self, failure: Failure) -> Failure {
        if self.is_empty() {
            return failure;
        }
        Failure {
            message: self.hide(&failure.message, true),
            log: failure.log.map(|log| self.hide(&log, true)),
            ..failure
        }
    }

    /// `outcome` without the values.
    pub(crate) fn hide_in_outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Failed(failure) => Outcome::Failed(self.hide_in_failure(failure)),
            Outcome::Answered {
                status_code,
                duration_millis,
                body: Some(body),
            } => Outcome::Answered {
                status_code,
                duration_millis,
                body: Some(self.hide(&body, false)),
            },
            Outcome::Answered { .. }
            | Outcome::JobCreated { .. }
            | Outcome::JobSucceeded
            | Outcome::Object(_) => outcome,
        }
    }
}

/// The value, and what may be told of it by itself: its lines, and the texts in it if it is JSON.
fn parts(value: &str) -> Vec<String> {
    let mut parts = vec![value.to_owned(), value.trim().to_owned()];
    let long = |text: &str| text.chars().count() >= PART_CHARS_MIN;
    parts.extend(
        value
            .lines()
            .map(str::trim)
            .filter(|line| long(line))
            .map(str::to_owned),
    );
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(value) {
        texts_of(&json, &mut |text| {
            if long(text) {
                parts.push(text.to_owned());
            }
        });
    }
    parts.retain(|part| !part.trim().is_empty());
    parts.sort();
    parts.dedup();
    parts
}

fn texts_of(json: &serde_json::Value, each: &mut impl FnMut(&str)) {
    match json {
        serde_json::Value::String(text) => each(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts_of(item, each)),
        serde_json::Value::Object(members) => members.values().for_each(|member| texts_of(member, each)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// `text` in base64: by itself, and what is the same of it wherever it begins in what was encoded.
fn encoded(text: &str) -> Vec<Needle> {
    let whole = Needle::base64(&base64(text.as_bytes()));
    let middles = [1, 2].map(|before| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        let encoded = base64(&bytes);
        // Six bits each: those that begin before the text, or end behind it, depend on what stands there.
        let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        encoded.get(first..last).unwrap_or_default().to_owned()
    });
    let begun = base64(text.as_bytes())
        .get(..text.len() * 8 / 6)
        .unwrap_or_default()
        .to_owned();
    let middles = middles
        .into_iter()
        .chain([begun])
        .filter(|middle| middle.len() >= PART_CHARS_MIN);
    std::iter::once(whole)
        .chain(middles.map(|middle| Needle::base64(&middle)))
        .collect()
}

/// Base64 without padding.
fn base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

impl Needle {
    fn plain(text: &str) -> Self {
        Self {
            chars: text.chars().collect(),
            base64: false,
        }
    }

    fn base64(text: &str) -> Self {
        Self {
            chars: text.chars().collect(),
            base64: true,
        }
    }

    /// The bytes that it takes at the beginning of `text`, if it stands there; a beginning of it counts where the text
    /// ends within it because it was cut.
    fn length_in(&self, text: &str, cut: bool) -> Option<usize> {
        // One text may be read in several ways: `%25` is `%`, or these three characters.
        let mut ends = vec![0];
        for (index, wanted) in self.chars.iter().enumerate() {
            let mut next = Vec::new();
            for end in &ends {
                self.each_spelling(*wanted, &text[*end..], |length| next.push(end + length));
            }
            if next.is_empty() {
                let is_end = |end: &&usize| {
                    let rest = &text[**end..];
                    rest.starts_with(CUT) || (cut && (rest.is_empty() || begins_escape(rest)))
                };
                let end = ends.iter().find(is_end).filter(|_| index >= CUT_CHARS_MIN)?;
                let rest = &text[*end..];
                return Some(end + rest.find(CUT).unwrap_or(rest.len()));
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
        }
        let mut end = ends.pop()?;
        while self.base64
            && let Some(length) = longest('=', &text[end..])
        {
            end += length;
        }
        Some(end)
    }

    /// Tells `each` the bytes that `wanted` takes at the beginning of `text` in each way that it may be written.
    fn each_spelling(&self, wanted: char, text: &str, mut each: impl FnMut(usize)) {
        spellings(wanted, text, &mut each);
        match (self.base64, wanted) {
            (true, '+') => spellings('-', text, &mut each),
            (true, '/') => spellings('_', text, &mut each),
            _ => {}
        }
    }
}

/// Whether `text` is nothing but the beginning of an escape.
fn begins_escape(text: &str) -> bool {
    text.len() < 12 && text.starts_with(['%', '\\', '&'])
}

/// Tells `each` the bytes that `wanted` takes at the beginning of `text`: as itself, percent-encoded, or escaped as in
/// JSON or HTML.
fn spellings(wanted: char, text: &str, each: &mut impl FnMut(usize)) {
    if text.starts_with(wanted) {
        each(wanted.len_utf8());
    }
    let escaped = match text.as_bytes().first() {
        Some(b'+') if wanted == ' ' => Some(1),
        Some(b'%') => percent_encoded(wanted, text),
        Some(b'\\') => backslashed(wanted, text),
        Some(b'&') => entity(wanted, text),
        _ => None,
    };
    escaped.into_iter().for_each(each);
}

/// The most bytes of these.
fn longest(wanted: char, text: &str) -> Option<usize> {
    let mut longest = None;
    spellings(wanted, text, &mut |length| longest = longest.max(Some(length)));
    longest
}

fn percent_encoded(wanted: char, text: &str) -> Option<usize> {
    let mut buffer = [0; 4];
    let mut at = 0;
    for byte in wanted.encode_utf8(&mut buffer).bytes() {
        let digits = text.get(at..at + 3)?.strip_prefix('%')?;
        if u8::from_str_radix(digits, 16).ok()? != byte {
            return None;
        }
        at += 3;
    }
    Some(at)
}

/// An escape of JSON, also where it is escaped once more.
fn backslashed(wanted: char, text: &str) -> Option<usize> {
    let slashes = text.bytes().take_while(|byte| *byte == b'\\').count();
    let rest = &text[slashes..];
    if wanted == '\\' && slashes > 1 {
        return Some(2);
    }
    let letter = rest.chars().next()?;
    let simple = match letter {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode(wanted, rest).map(|length| slashes + length),
        other => other,
    };
    (simple == wanted).then_some(slashes + letter.len_utf8())
}

/// `u00e9`, and two of them for a character beyond 16 bits.
fn unicode(wanted: char, text: &str) -> Option<usize> {
    let mut units = [0; 2];
    let mut at = 0;
    for (index, unit) in wanted.encode_utf16(&mut units).iter().enumerate() {
        if index > 0 {
            at += text[at..].bytes().take_while(|byte| *byte == b'\\').count();
        }
        let digits = text.get(at..at + 5)?.strip_prefix('u')?;
        if u16::from_str_radix(digits, 16).ok()? != *unit {
            return None;
        }
        at += 5;
    }
    Some(at)
}

fn entity(wanted: char, text: &str) -> Option<usize> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let meant = match &text[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    (meant == wanted).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "p: \"x\"\\é/+&<pass>\n😀 word";

    fn hidden(value: &str, text: &str) -> String {
        Mask::of([value]).hide(text, false)
    }

    #[test]
    fn a_value_is_hidden_in_every_encoding() {
        let json = serde_json::to_string(VALUE).unwrap();
        let inner = &json[1..json.len() - 1];
        let twice = serde_json::to_string(&json).unwrap();
        let ascii: String = VALUE
            .encode_utf16()
            .map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                _ => format!("\\u{unit:04X}"),
            })
            .collect();
        let percent: String = VALUE.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let form = VALUE
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect::<String>();
        let html = VALUE
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&#62;")
            .replace('"', "&#x22;");
        let base = base64(VALUE.as_bytes());
        let url_base = base.replace('+', "-").replace('/', "_");
        let escaped_base = base.replace('/', "\\/").replace('+', "%2B");
        let slashed = inner.replace('/', "\\/");
        for text in [
            VALUE,
            inner,
            &slashed,
            &twice[1..twice.len() - 1],
            &ascii,
            &percent,
            &form,
            &html,
            &base,
            &format!("{base}=="),
            &format!("{base}%3D%3d"),
            &url_base,
            &escaped_base,
        ] {
            let shown = hidden(VALUE, &format!("<a>{text}</a>"));
            let expect = ["<a>***</a>", "<a>\\\"***\\\"</a>"];
            assert!(expect.contains(&shown.as_str()), "{text}: {shown}");
        }
    }

    #[test]
    fn a_value_within_what_was_encoded_is_hidden_too() {
        for before in ["", "u:", "us:", "user:", "a-long-name:"] {
            for after in ["", ":", "::", ":::"] {
                let text = base64(format!("{before}canary-7f3a9{after}").as_bytes());
                let shown = hidden("canary-7f3a9", &text);
                let left = shown.replace("***", "");
                assert!(shown.contains("***"), "{before} {after}: {shown}");
                let known = base64(before.as_bytes()).len() + base64(after.as_bytes()).len();
                assert!(left.len() <= known + 6, "{before} {after}: {shown}");
            }
        }
    }

    #[test]
    fn what_was_cut_within_a_value_is_hidden_as_far_as_it_goes() {
        let mask = Mask::of(["canary-7f3a9"]);
        assert_eq!(mask.hide("at canary-7f", true), "at ***");
        assert_eq!(mask.hide("at canary-7f", false), "at canary-7f");
        assert_eq!(mask.hide("at canary%2", true), "at ***");
        assert_eq!(
            mask.hide("GET http://a/canary-7…: no", false),
            "GET http://a/***…: no"
        );
        assert_eq!(mask.hide("a can of worms", true), "a can of worms");
        assert_eq!(mask.hide("a can", true), "a can");
    }

    #[test]
    fn parts_of_a_long_value_are_hidden_by_themselves_and_other_text_stays() {
        let json = r#"{"user": "ops", "password": "hunter2-hunter2", "n": 1, "more": ["third-party-key"]}"#;
        assert_eq!(
            hidden(json, "user ops, hunter2-hunter2 and third-party-key"),
            "user ops, *** and ***"
        );
        assert_eq!(hidden("line-one\nline-two\n", "-line-two-"), "-***-");
        assert_eq!(hidden("value\n", "a value"), "a ***");
        assert_eq!(hidden("valuevalue", "valuevaluevaluevalue"), "***");
        assert_eq!(hidden("", "nothing"), "nothing");
        assert_eq!(hidden("\n", "no\nthing"), "no\nthing");
        assert!(Mask::of([""]).is_empty());
    }
}
