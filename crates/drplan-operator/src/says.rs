//! Problems as one line of a status.

use drplan_api::{Problems, Severity, problem::line};

/// Bytes of such a line. More than fits a screen helps nobody; `kubectl drplan check` lists all.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Errors, or warnings where there are none, separated by `; `, cut with a count of what is left out.
pub fn problems(problems: &Problems) -> String {
    let of = |severity: Severity| {
        problems
            .iter()
            .filter(move |problem| problem.severity == severity)
            .map(line)
    };
    let errors: Vec<String> = of(Severity::Error).collect();
    if errors.is_empty() {
        let warnings: Vec<String> = of(Severity::Warning)
            .map(|warning| format!("warning: {warning}"))
            .collect();
        return join(&warnings);
    }
    join(&errors)
}

fn join(lines: &[String]) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("; ");
        }
        if index > 0 && text.len() + line.len() > LINE_BYTES_MAX {
            text.push_str(&format!("and {} more", lines.len() - index));
            return text;
        }
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use drplan_api::{Problem, ProblemKind, problem::RevertManifest};

    use super::*;

    #[test]
    fn the_manifest_of_a_refused_revert_can_be_copied_from_the_line() {
        let manifest = RevertManifest {
            name: Some("undo".to_owned()),
            namespace: "prod".to_owned(),
            plan: Some("shop".to_owned()),
            allow_partial: false,
        };
        let manifest = Box::new(manifest);
        let missing = Problem::error(
            "spec.revertExecutionRef",
            ProblemKind::RevertWithoutTarget { manifest },
        );
        let said = problems(&vec![missing]);
        let (_, shown) = said.split_once("Write: ").unwrap();
        assert!(
            shown.starts_with("{apiVersion: ") && shown.ends_with("}}"),
            "{said}"
        );
        assert!(!said.contains('\\'), "{said}");
    }

    #[test]
    fn errors_hide_warnings_and_a_long_list_is_cut_with_a_count() {
        let note = |message: &str| ProblemKind::Note {
            message: message.to_owned(),
        };
        let mixed = vec![Problem::warning("a", note("w")), Problem::error("b", note("e"))];
        assert_eq!(problems(&mixed), "b: e");
        assert_eq!(
            problems(&mixed[..1].to_vec()),
            "a: w".replace("a: w", "warning: a: w")
        );
        let many: Problems = (0..200)
            .map(|index| Problem::error(format!("p{index}"), note(&"x".repeat(100))))
            .collect();
        let line = problems(&many);
        assert!(
            line.len() < LINE_BYTES_MAX + 50 && line.ends_with(" more"),
            "{}",
            line.len()
        );
    }
}
