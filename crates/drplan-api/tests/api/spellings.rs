use drplan_api::{Severity, problem::any_error, spellings::rows};

use crate::{lines, read};

#[test]
fn every_spelling_alone_and_both_when_equal_mean_the_same() {
    for row in rows() {
        let canonical = read(&row.same[0]);
        assert!(
            canonical.value.is_some(),
            "{}: {}",
            row.name,
            lines(&canonical.problems)
        );
        for manifest in &row.same {
            let read = read(manifest);
            assert!(
                !any_error(&read.problems),
                "{}: {manifest}\n{}",
                row.name,
                lines(&read.problems)
            );
            assert_eq!(read.value, canonical.value, "{}: {manifest}", row.name);
        }
    }
}

#[test]
fn two_spellings_that_differ_are_one_problem_that_names_both() {
    for row in rows() {
        for (manifest, one, other) in &row.different {
            let read = read(manifest);
            assert_eq!(read.value, None, "{}: {manifest}", row.name);
            let errors = read
                .problems
                .iter()
                .filter(|problem| problem.severity == Severity::Error);
            let errors: Vec<String> = errors.map(ToString::to_string).collect();
            let names_both =
                |error: &String| error.contains(&format!("`{one}`")) && error.contains(&format!("`{other}`"));
            assert!(
                matches!(&errors[..], [error] if names_both(error)),
                "{}: {manifest}\n{errors:#?}",
                row.name
            );
        }
    }
}
