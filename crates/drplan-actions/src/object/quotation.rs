//! Quotations in what the API server says.

use kube::core::Status;

/// Bytes of a quoted object or list that are worth reading. The API server quotes objects in full in some refusals,
/// which hides what is wrong with them.
const QUOTED_BYTES_MAX: usize = 80;

/// `status` with the objects that it quotes cut out.
pub(super) fn cut(mut status: Status) -> Status {
    status.message = without_objects(&status.message);
    status
}

/// `text` with `"…"` for each long object or list in double quotes, as Go quotes and prints them.
fn without_objects(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        kept += before;
        let end = end_of_quotation(after);
        let quoted = &after[..end];
        let is_object = ["{", "[", "map["].iter().any(|start| quoted.starts_with(start));
        kept += &match is_object && quoted.len() > QUOTED_BYTES_MAX {
            true => "\"…\"".to_owned(),
            false => format!("\"{quoted}\""),
        };
        rest = after.get(end + 1..).unwrap_or_default();
    }
    kept + rest
}

/// Where the text that a quotation mark has opened ends.
fn end_of_quotation(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(end, _)| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_cut_out_and_words_stay() {
        let check = |text: &str, expect: &str| assert_eq!(without_objects(text), expect);
        check("no quotation", "no quotation");
        check(r#""a" is invalid: "b""#, r#""a" is invalid: "b""#);
        let object = format!(r#"{{\"data\":{{\"k\":\"{}\"}}}}"#, "v".repeat(99));
        check(
            &format!(r#"patch: Invalid value: "{object}": cannot restore "x""#),
            r#"patch: Invalid value: "…": cannot restore "x""#,
        );
        check(r#"ends in \\ "a\\" b"#, r#"ends in \\ "a\\" b"#);
        check(
            &format!("never closed \"[{}", "v".repeat(99)),
            "never closed \"…\"",
        );
    }
}
