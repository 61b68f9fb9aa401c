//! The page: a table for each section, and where demands and claims do not go together.

use std::fmt::Write;

use crate::{
    claims::Claim,
    list::{Demand, Untested},
};

const HEAD: &str = "\
# Requirements

<!-- Generated from the comments of tests and crates/drplan-testkit/tests/requirements/list.txt; a test rewrites it. -->

What the specification demands, and the tests that would fail if it were not so. *US3.5* is the fifth scenario of user
story 3, *EC* an edge case, *FR* a functional requirement, *SC* a criterion of success.
";

/// What a page cannot tell: unknown ids, demands without test and reason, reasons beside a test.
pub(crate) fn contradictions(demands: &[Demand], claims: &[Claim]) -> Vec<String> {
    let mut wrong = Vec::new();
    for claim in claims {
        if demands.iter().all(|demand| demand.id != claim.id) {
            wrong.push(format!(
                "{}: {}: there is no {}",
                claim.file, claim.test, claim.id
            ));
        }
    }
    for Demand {
        id, says, untested, ..
    } in demands
    {
        let tests = claims.iter().filter(|claim| claim.id == *id).count();
        match (tests, untested) {
            (0, None) => wrong.push(format!("{id} has neither test nor reason: {says}")),
            (0, Some(Untested::Partly(_))) => {
                wrong.push(format!("{id} is tested partly, but by no test: {says}"))
            }
            (1.., Some(Untested::Wholly(_))) => wrong.push(format!(
                "{id} has tests and a reason why it has none: take the reason out, or write `partly:`"
            )),
            (1.., None | Some(Untested::Partly(_))) | (0, Some(Untested::Wholly(_))) => {}
        }
    }
    wrong
}

/// The page as it should be.
pub(crate) fn write(demands: &[Demand], claims: &[Claim]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&summary(demands));
    let mut section = "";
    for demand in demands {
        if demand.section != section {
            section = &demand.section;
            let _ = write!(page, "\n## {section}\n\n| id | demand | tests |\n|---|---|---|\n");
        }
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            demand.id,
            demand.says,
            tests(demand, claims)
        );
    }
    page
}

fn summary(demands: &[Demand]) -> String {
    let ids = |wanted: fn(&Untested) -> bool| {
        let found = demands
            .iter()
            .filter(|demand| demand.untested.as_ref().is_some_and(wanted));
        let ids: Vec<&str> = found.map(|demand| demand.id.as_str()).collect();
        (ids.len(), ids.join(", "))
    };
    let (partly, in_part) = ids(|untested| matches!(untested, Untested::Partly(_)));
    let (wholly, without) = ids(|untested| matches!(untested, Untested::Wholly(_)));
    let all = demands.len();
    let tested = all - partly - wholly;
    let mut text = format!("\nOf {all} demands {tested} are tested.\n");
    for (count, ids, how) in [
        (partly, in_part, "tested in part"),
        (wholly, without, "not tested"),
    ] {
        if count > 0 {
            let _ = write!(text, "\n{count} are {how}; the table tells why: {ids}.\n");
        }
    }
    text
}

/// The tests of a demand as links, and what they leave open.
fn tests(demand: &Demand, claims: &[Claim]) -> String {
    let mut cell: Vec<String> = claims
        .iter()
        .filter(|claim| claim.id == demand.id)
        .map(link)
        .collect();
    match &demand.untested {
        None => {}
        Some(Untested::Partly(reason)) => cell.push(format!("*In part:* {reason}")),
        Some(Untested::Wholly(reason)) => cell.push(format!("*None:* {reason}")),
    }
    cell.join("<br>")
}

fn link(claim: &Claim) -> String {
    let Claim { file, test, .. } = claim;
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.strip_suffix(".rs") {
        Some(module) => format!("[`{module}::{test}`](../{file})"),
        None => format!("[{name}: {test}](../{file})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(id: &str, untested: Option<Untested>) -> Demand {
        Demand {
            id: id.to_owned(),
            section: "Runs".to_owned(),
            says: format!("{id} holds."),
            untested,
        }
    }

    fn claim(id: &str, file: &str, test: &str) -> Claim {
        let [id, file, test] = [id, file, test].map(str::to_owned);
        Claim { id, file, test }
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let wholly = || Some(Untested::Wholly("later.".to_owned()));
        let partly = || Some(Untested::Partly("later.".to_owned()));
        let demands = [
            demand("A", None),
            demand("B", partly()),
            demand("C", wholly()),
            demand("D", wholly()),
        ];
        let claims = [claim("D", "a.rs", "t"), claim("E", "a.rs", "t")];
        assert_eq!(
            contradictions(&demands, &claims),
            [
                "a.rs: t: there is no E",
                "A has neither test nor reason: A holds.",
                "B is tested partly, but by no test: B holds.",
                "D has tests and a reason why it has none: take the reason out, or write `partly:`",
            ]
        );
    }

    #[test]
    fn rows_link_tests_and_tell_what_is_open() {
        let demands = [
            demand("A", None),
            demand("B", Some(Untested::Partly("later.".to_owned()))),
        ];
        let claims = [
            claim("A", "crates/x/tests/a.rs", "it_ends"),
            claim("B", "crates/x/tests/b.txt", "A rule"),
            claim("B", "crates/x/src/c.rs", "it_goes"),
        ];
        let page = write(&demands, &claims);
        let expected = "\
Of 2 demands 1 are tested.

1 are tested in part; the table tells why: B.

## Runs

| id | demand | tests |
|---|---|---|
| A | A holds. | [`a::it_ends`](../crates/x/tests/a.rs) |
| B | B holds. | [b.txt: A rule](../crates/x/tests/b.txt)<br>[`c::it_goes`](../crates/x/src/c.rs)<br>*In part:* later. |
";
        assert!(page.ends_with(expected), "{page}");
    }
}
