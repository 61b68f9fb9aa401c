//! Changes of texts and values that nobody wants.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::places::places;

/// What manifests and templates are made of, and what they are not.
const TOKENS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    " ",
    "\n",
    "\n  ",
    "\t",
    ":",
    ": ",
    "- ",
    "-",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "---\n",
    "#",
    "\\",
    "\u{0}",
    "\u{feff}",
    "é",
    "中",
    "0644",
    "1e999",
    "-1",
    "null",
    "true",
    "~",
    "{{ .params.x }}",
    "{{ .outputs.a.body }}",
    "{{ range",
    "name: ",
    "actions:\n",
    "$(X)",
    "%",
    "\r\n",
];

/// One to four changes of a text.
pub(crate) fn text(text: &str, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(0..=bytes.len());
        let end = (at + rng.usize(0..=12)).min(bytes.len());
        match rng.u8(0..6) {
            0 => drop(bytes.drain(at..end)),
            1 => insert(&mut bytes, at, rng.choice(TOKENS).unwrap().as_bytes()),
            2 => {
                let part = bytes[at..end].to_vec();
                insert(&mut bytes, at, &part.repeat(rng.usize(1..=3)));
            }
            3 => bytes.truncate(at),
            4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
            _ => insert(&mut bytes, at, rng.choice(TOKENS).unwrap().repeat(40).as_bytes()),
        }
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

/// One to four changes at places of a value. `others` are values that parts are taken from.
pub(crate) fn value(value: &mut Value, others: &[&Value], rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        change(value, others, rng);
    }
}

fn change(value: &mut Value, others: &[&Value], rng: &mut Rng) {
    let paths = places(value, "");
    let Some(path) = rng.choice(&paths).cloned() else {
        *value = odd(rng);
        return;
    };
    let (parent, name) = path.rsplit_once('/').unwrap();
    let (parent, name) = (parent.to_owned(), name.replace("~1", "/").replace("~0", "~"));
    match rng.u8(0..8) {
        0..3 => remove(value.pointer_mut(&parent).unwrap(), &name),
        3 => {
            let other = rng.choice(others).unwrap();
            let taken = rng
                .choice(&places(other, ""))
                .and_then(|place| other.pointer(place).cloned());
            *value.pointer_mut(&path).unwrap() = taken.unwrap_or(Value::Null);
        }
        4 => {
            if let Value::Array(items) = value.pointer_mut(&parent).unwrap() {
                let item = items[name.parse::<usize>().unwrap()].clone();
                items.insert(rng.usize(0..=items.len()), item);
            }
        }
        5 => {
            if let Value::Array(items) = value.pointer_mut(&parent).unwrap() {
                rng.shuffle(items);
            }
        }
        _ => *value.pointer_mut(&path).unwrap() = odd(rng),
    }
}

fn remove(parent: &mut Value, name: &str) {
    match parent {
        Value::Object(fields) => drop(fields.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A value that rarely fits.
fn odd(rng: &mut Rng) -> Value {
    let values = [
        Value::Null,
        json!([]),
        json!({}),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("Pending"),
        json!("Running"),
        json!("Succeeded"),
        json!("Unknown"),
        json!("2026-11-21T19:04:39.290Z"),
        json!("9999-12-31T23:59:59Z"),
        json!("{{ .params.x }}"),
        json!("x".repeat(70_000)),
        json!([[[[[[[[{"a": [1]}]]]]]]]]),
        Value::Object(Map::from_iter(
            (0..40).map(|field| (format!("f{field}"), json!(field))),
        )),
    ];
    rng.choice(values).unwrap()
}
