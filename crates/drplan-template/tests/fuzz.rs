//! Mutated templates: no panic, no hang, no output beyond the limit, and in the long form the same answer as Go.
//!
//! The mutation is deterministic. `TEMPLATE_FUZZ_SEED` and `TEMPLATE_FUZZ_ROUNDS` choose another run, and
//! `TEMPLATE_FUZZ_GO=1` compares each answer with that of the Go program in `tests/oracle`.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it should be"
)]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "corpus/read.rs"]
#[expect(dead_code, reason = "only the templates are of interest here")]
mod corpus;

use drplan_template::{Limits, Template, TemplateError, TemplateErrorKind, Value};

/// Enough for every template of the corpus, and little enough that a mutated one ends soon.
const LIMITS: Limits = Limits {
    steps: 20_000,
    depth: Limits::DEPTH,
    output: 64 * 1024,
};

/// No rendering within the limits takes longer, not even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn mutated_templates_do_no_harm() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
            .unwrap_or(otherwise)
    };
    let seed = number("TEMPLATE_FUZZ_SEED", 20_260_301);
    let rounds = number("TEMPLATE_FUZZ_ROUNDS", 20_000);
    println!("seed {seed}, {rounds} rounds");
    let mut go = (number("TEMPLATE_FUZZ_GO", 0) == 1).then(Go::start);
    let entries = corpus::entries();
    let sources: Vec<&str> = entries.iter().map(|entry| entry.source.as_str()).collect();
    let data = corpus::data();
    let mut random = Random(seed);
    let (mut answered, mut compared) = (0, 0);
    for round in 0..rounds {
        let source = mutated(&sources, &mut random);
        let started = Instant::now();
        let rendered = Template::parse(&source).map(|template| template.with_limits(LIMITS));
        let text = rendered.and_then(|template| {
            let everywhere = [
                template.render_yaml(&data),
                template.render_body(&data),
                template.render_url(&data),
                template.render_header(&data),
            ];
            for text in everywhere.into_iter().flatten() {
                assert!(
                    text.len() <= 8 * LIMITS.output,
                    "round {round}, seed {seed}: {} bytes: {source}",
                    text.len()
                );
            }
            template.render_value(&data).ok();
            template.render_text(&data)
        });
        assert!(
            started.elapsed() < PATIENCE,
            "round {round}, seed {seed}: {:?}: {source}",
            started.elapsed()
        );
        if let Ok(text) = &text {
            assert!(
                text.len() <= 2 * LIMITS.output,
                "round {round}, seed {seed}: {} bytes: {source}",
                text.len()
            );
            answered += 1;
        }
        if let Some(go) = &mut go
            && is_comparable(&source, &text)
        {
            compared += 1;
            let theirs = go.render(&source);
            let ours = text.as_ref().ok();
            assert_eq!(
                ours,
                theirs.as_ref().ok(),
                "round {round}, seed {seed}: {source}\n{text:?}\n{theirs:?}"
            );
        }
    }
    println!("{answered} rendered, {compared} compared with Go");
    assert!(
        answered > rounds / 100,
        "{answered} of {rounds} rendered: the mutation leaves nothing whole"
    );
}

/// Whether Go is bound to give the same answer: our limits, and the differences listed in the corpus, are left out.
fn is_comparable(source: &str, text: &Result<String, TemplateError>) -> bool {
    let limited = matches!(
        text,
        Err(TemplateError {
            kind: TemplateErrorKind::TooManySteps(_)
                | TemplateErrorKind::TooDeep(_)
                | TemplateErrorKind::TooLong(_)
                | TemplateErrorKind::NotUtf8,
            ..
        })
    );
    // An address is printed by %p, which need not stand together in the source.
    if text.as_ref().is_ok_and(|text| text.contains("c000000000")) {
        return false;
    }
    // %p prints an address; JSON and patterns of bytes that are no text differ.
    let differs = ["%p", "\\ud", "\\x", "\\u00", "regex"]
        .iter()
        .any(|special| source.contains(special));
    // A field with a dash in its name is our extension.
    let bytes = source.as_bytes();
    let dashed = bytes
        .windows(2)
        .any(|pair| pair[1] == b'-' && !pair[0].is_ascii_whitespace() && pair[0] != b'{');
    !(limited || differs || dashed)
}

fn mutated(sources: &[&str], random: &mut Random) -> String {
    let mut source = random.pick(sources).to_string();
    for _ in 0..=random.below(3) {
        let at = boundary(&source, random.below(source.len() + 1));
        match random.below(7) {
            0 => {
                let end = boundary(&source, at + random.below(6));
                source.replace_range(at..end.max(at), "");
            }
            1 => source.insert_str(at, random.pick(TOKENS)),
            2 => {
                let other = random.pick(sources);
                let from = boundary(other, random.below(other.len() + 1));
                let to = boundary(other, from + random.below(20)).max(from);
                source.insert_str(at, &other[from..to]);
            }
            3 => source.truncate(at),
            4 => {
                let end = boundary(&source, at + random.below(12)).max(at);
                let part = source[at..end].to_owned();
                source.insert_str(at, &part);
            }
            5 => source = format!("{source}{}", random.pick(sources)),
            _ => {
                let end = boundary(&source, at + 1).max(at);
                source.replace_range(at..end, random.pick(TOKENS));
            }
        }
    }
    source
}

/// What templates and YAML are made of.
const TOKENS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "|",
    "(",
    ")",
    ".",
    "$",
    "$x",
    ":=",
    "=",
    ",",
    "\"",
    "`",
    "'",
    "\\",
    "1",
    "-1",
    "0x",
    "1.5",
    "true",
    "nil",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define \"a\"",
    "template \"a\" .",
    "break",
    "continue",
    "block \"a\" .",
    ".params",
    ".params.list",
    "index ",
    "printf \"%v\" ",
    "len ",
    "eq ",
    "and ",
    "not ",
    "list ",
    "dict ",
    "toYaml ",
    "nindent 2",
    "quote ",
    "default \"x\" ",
    "é",
    "😀",
    ": ",
    "- ",
    "#",
    "[",
    "]",
    "{",
    "}",
    "&",
    "*",
    "!",
    ">",
    "{{ .planName }}",
    "{{ .params.colon }}",
    "{{ end }}",
    "\t",
    "\r\n",
    "---\n",
    "%",
    "\"{{ .params.lines }}\"",
];

/// The nearest place before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn pick<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list[self.below(list.len())]
    }
}

/// The Go program of `tests/oracle`, which answers templates.
struct Go(Child);

impl Go {
    fn start() -> Go {
        let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");
        let mut command = Command::new("go");
        command
            .args(["run", ".", "-serve", "../corpus"])
            .current_dir(oracle);
        Go(command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap())
    }

    fn render(&mut self, source: &str) -> Result<String, String> {
        let input = self.0.stdin.as_mut().unwrap();
        input
            .write_all(&u32::try_from(source.len()).unwrap().to_le_bytes())
            .unwrap();
        input.write_all(source.as_bytes()).unwrap();
        input.flush().unwrap();
        let output = self.0.stdout.as_mut().unwrap();
        let mut head = [0; 5];
        output.read_exact(&mut head).unwrap();
        let length = u32::from_le_bytes(head[1..].try_into().unwrap());
        let mut text = vec![0; usize::try_from(length).unwrap()];
        output.read_exact(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        if head[0] == b'o' { Ok(text) } else { Err(text) }
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[test]
fn what_goes_too_far_is_stopped() {
    let nested = |open: &str, close: &str, times: usize| open.repeat(times) + close.repeat(times).as_str();
    let cases = [
        nested("{{ if true }}", "{{ end }}", 5000),
        format!("{{{{ {} 1 {} }}}}", "(".repeat(5000), ")".repeat(5000)),
        "{{ define \"f\" }}{{ template \"f\" . }}{{ end }}{{ template \"f\" . }}".to_owned(),
        "{{ template \"\" . }}".to_owned(),
        "{{ range 9223372036854775807 }}{{ end }}".to_owned(),
        "{{ range 9223372036854775807 }}x{{ end }}".to_owned(),
        "{{ $x := list 1 }}{{ range 90 }}{{ $x = list $x $x }}{{ end }}{{ $x }}".to_owned(),
        "{{ $x := list 1 }}{{ range 90 }}{{ $x = list $x $x }}{{ end }}{{ toYaml $x }}".to_owned(),
        "{{ $x := list 1 }}{{ range 90 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}".to_owned(),
        "{{ $x := list 1 }}{{ range 90 }}{{ $x = dict \"a\" $x \"b\" $x }}{{ end }}{{ index $x \"a\" | print }}".to_owned(),
        "{{ $x := list 1 }}{{ range 100000 }}{{ $x = list $x }}{{ end }}".to_owned(),
        "{{ $x := \"xx\" }}{{ range 90 }}{{ $x = print $x $x }}{{ end }}{{ $x }}".to_owned(),
        "{{ $x := \"xx\" }}{{ range 90 }}{{ $x = replace \"\" $x $x }}{{ end }}{{ $x }}".to_owned(),
        "{{ indent 9223372036854775807 \"x\" }}".to_owned(),
        "{{ range 1000 }}{{ printf \"%1000000d\" 1 }}{{ end }}".to_owned(),
        "{{ range 1000000 }}{{ regexMatch \"(a|b|c|d)*\\\\pL{900}\" \"aaa\" }}{{ end }}".to_owned(),
        "{{ $x := printf \"%1000000d\" 1 }}{{ range 1000000 }}{{ $y := contains \"z\" $x }}{{ end }}".to_owned(),
        "{{ $x := fromJson \"[[[[[[[[1]]]]]]]]\" }}{{ range 100 }}{{ $x = list $x $x }}{{ end }}".to_owned(),
    ];
    let data = Value::map();
    for source in cases {
        let short: String = source.chars().take(80).collect();
        let started = Instant::now();
        let outcome = Template::parse(&source).and_then(|template| template.render_text(&data));
        let yaml = Template::parse(&source).and_then(|template| template.render_yaml(&data));
        for outcome in [outcome, yaml] {
            let kind = outcome.expect_err(&short).kind;
            let limited = matches!(
                kind,
                TemplateErrorKind::TooDeep(_)
                    | TemplateErrorKind::TooLong(_)
                    | TemplateErrorKind::TooManySteps(_)
            );
            assert!(limited, "{short}: {kind:?}");
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{short} took {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn the_deepest_that_is_allowed_fits_on_a_small_stack() {
    // Less than half of what a thread of the runtime has, in a debug build.
    const STACK: usize = 900 * 1024;
    let deep = |open: &str, middle: &str, close: &str, times: usize| {
        open.repeat(times) + middle + close.repeat(times).as_str()
    };
    let cases = vec![
        deep("{{ if true }}", "x", "{{ end }}", 49),
        format!("{{{{ {} }}}}", deep("(", "1", ")", 98)),
        format!("{{{{ {} }}}}", deep("print (", "1", ")", 98)),
        "{{ define \"f\" }}{{ if . }}{{ template \"f\" (sub . 1) }}{{ end }}{{ end }}{{ template \"f\" 30 }}"
            .to_owned(),
        "{{ $x := list 1 }}{{ range 98 }}{{ $x = list $x }}{{ end }}{{ $x }}{{ toYaml $x }}{{ toJson $x }}"
            .to_owned(),
        "a: {{ $x := list 1 }}{{ range 98 }}{{ $x = list $x }}{{ end }}{{ toJson $x }}".to_owned(),
        format!("{{{{ regexMatch \"{}\" \"a\" }}}}", deep("(", "a", ")", 199)),
        format!("{}{{{{ 1 }}}}{}", "[".repeat(98), "]".repeat(98)),
        format!("{{{{ fromJson \"{}\" | toYaml }}}}", deep("[", "1", "]", 98)),
    ];
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        for source in cases {
            let template = Template::parse(&source).unwrap_or_else(|error| panic!("{error}: {source}"));
            let data = Value::map();
            for outcome in [
                template.render_text(&data),
                template.render_yaml(&data),
                template.render_body(&data),
            ] {
                outcome.unwrap_or_else(|error| panic!("{error}: {source}"));
            }
        }
    });
    thread.unwrap().join().unwrap();
}
