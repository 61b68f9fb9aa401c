//! Reading an object that may be of any shape, so that one that cannot be read never hides the others.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::{Problem, ProblemKind, any_shape::shape_name};

/// The object (or the part of one) that `value` holds.
///
/// # Errors
/// Where it cannot be read, what is there and what should be; never the value itself, which may be a secret.
#[expect(
    clippy::result_large_err,
    reason = "one per object read, and smaller than any of the three kinds"
)]
pub fn decode<K: DeserializeOwned>(value: Value) -> Result<K, Problem> {
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let found = at(&value, error.path());
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        problem(path, found, &error.inner().to_string())
    })
}

/// What stands at `path`.
fn at<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Map { key } => value.get(key),
        Segment::Seq { index } => value.get(index),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// The problem that serde's `message` tells, said without the value it quotes.
fn problem(path: String, found: Option<&Value>, message: &str) -> Problem {
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        let path = if path.is_empty() {
            field.to_owned()
        } else {
            format!("{path}.{field}")
        };
        let remedy = "write it".to_owned();
        return Problem::error(path, ProblemKind::Missing { remedy });
    }
    // `invalid type: string "…", expected a boolean`
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    Problem::error(
        path,
        ProblemKind::WrongShape {
            found: found.map_or("not readable", shape_name).to_owned(),
            expected: match expected {
                Some("a boolean") => "true or false",
                Some("a string") => "text",
                Some("a sequence") => "a list",
                Some("a map") => "an object",
                Some(other) if other.starts_with("struct ") => "an object",
                Some("i64" | "i32" | "u16" | "u32" | "u64") => "a whole number",
                Some(other) => other,
                None => "a value of the right shape",
            }
            .to_owned(),
        },
    )
}
