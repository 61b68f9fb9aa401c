//! The list of demands.

/// One demand of the specification.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// `FR-004a`, `US4a.3`, `EC-1` or `SC-005`.
    pub(crate) id: String,
    /// The heading it stands under.
    pub(crate) section: String,
    /// What is demanded, as one sentence.
    pub(crate) says: String,
    /// What is not tested of it, and why.
    pub(crate) untested: Option<Untested>,
}

/// Why tests do not cover a demand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Untested {
    /// There is none.
    Wholly(String),
    /// Something of it is not covered, or holds in another way.
    Partly(String),
}

/// Reads the list: `## heading`, `id  sentence`, and below it, indented, `no test:` or `partly:` with the reason. An
/// indented line without these words goes on with the one before.
///
/// # Errors
/// The line that is none of these, and an id that is there twice.
pub(crate) fn read(text: &str) -> Result<Vec<Demand>, String> {
    let mut demands: Vec<Demand> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        let words = line.trim();
        if words.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        } else if line.starts_with(' ') {
            let demand = demands
                .last_mut()
                .ok_or_else(|| format!("nothing stands before: {line}"))?;
            go_on(demand, words);
        } else {
            let (id, says) = line
                .split_once("  ")
                .ok_or_else(|| format!("no id and sentence: {line}"))?;
            if demands.iter().any(|demand| demand.id == id) {
                return Err(format!("{id} is there twice"));
            }
            demands.push(Demand {
                id: id.to_owned(),
                section: section.to_owned(),
                says: says.trim().to_owned(),
                untested: None,
            });
        }
    }
    Ok(demands)
}

fn go_on(demand: &mut Demand, words: &str) {
    if let Some(reason) = words.strip_prefix("no test: ") {
        demand.untested = Some(Untested::Wholly(reason.to_owned()));
    } else if let Some(reason) = words.strip_prefix("partly: ") {
        demand.untested = Some(Untested::Partly(reason.to_owned()));
    } else {
        let text = match &mut demand.untested {
            Some(Untested::Wholly(reason) | Untested::Partly(reason)) => reason,
            None => &mut demand.says,
        };
        text.push(' ');
        text.push_str(words);
    }
}

#[test]
fn demands_are_read_with_their_reasons() {
    let text = "# Told to nobody.\n\n## Runs\nFR-1  A run\n  ends.\nFR-2  It heals.\n  partly: by\n    hand.\nFR-3  It sings.\n  no test: later.\n";
    let demand = |id: &str, says: &str, untested| Demand {
        id: id.to_owned(),
        section: "Runs".to_owned(),
        says: says.to_owned(),
        untested,
    };
    let expected = vec![
        demand("FR-1", "A run ends.", None),
        demand("FR-2", "It heals.", Some(Untested::Partly("by hand.".to_owned()))),
        demand("FR-3", "It sings.", Some(Untested::Wholly("later.".to_owned()))),
    ];
    assert_eq!(read(text), Ok(expected));
    assert_eq!(read("a  b\na  c"), Err("a is there twice".to_owned()));
    assert!(read("a b").is_err() && read("  a").is_err());
}
