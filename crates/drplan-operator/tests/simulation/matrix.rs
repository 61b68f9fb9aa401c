//! The crash matrix: every kind of action, forward and back, with a crash at every point of the shell that it passes.
//! What comes of it must be what comes of it without.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    api::Kind,
    plan::{Action, Plan, Retry, Stage, What, Workflow},
    play::{Played, play},
    scenario::{Fates, Fault, Scenario, Wish},
};

/// Where the table is kept.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/crash-matrix.md");

/// What the table has columns for; every other point counts as `other`.
const POINTS: [&str; 6] = [
    "before-intent",
    "after-intent",
    "before-effect",
    "after-effect",
    "before-result",
    "after-result",
];

/// Every how manieth crash is played where not all are.
const ONE_OF: usize = 10;

/// Who goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Successor {
    Same,
    Other,
    Stale,
}

impl Successor {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Same, "The same operator starts again"),
        (Self::Other, "A second operator takes over"),
        (
            Self::Stale,
            "A second operator takes over, and its watches are a minute late",
        ),
    ];
}

/// One row: what is done.
struct Case {
    name: String,
    plan: Plan,
    fates: Fates,
    /// Whether it is reverted, so that the crash is in the Revert.
    reverts: bool,
}

/// Plays every crash and writes the table; or some of them, if not the `whole` is asked for.
pub(crate) fn play_all(whole: bool) {
    let cases = cases();
    let cells: Vec<(usize, Successor)> = (0..cases.len())
        .flat_map(|case| Successor::ALL.map(|(successor, _)| (case, successor)))
        .collect();
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(BTreeMap::new());
    let broken = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((case, successor)) = cells.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let row = play_row((*case, &cases[*case]), *successor, whole, &broken);
                    rows.lock().unwrap().insert((*successor, *case), row);
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(
        broken.is_empty(),
        "{} crashes changed something:\n{}",
        broken.len(),
        broken.join("\n\n")
    );
    if !whole {
        return;
    }
    let page = page(&cases, &rows.into_inner().unwrap());
    let before = std::fs::read_to_string(PAGE).unwrap_or_default();
    if before != page {
        std::fs::write(PAGE, page).unwrap();
        panic!("docs/crash-matrix.md was stale and is written anew");
    }
}

/// By column, how many crashes there were and how many calls were sent again.
type Row = BTreeMap<&'static str, (u64, u64)>;

fn play_row(
    (number, case): (usize, &Case),
    successor: Successor,
    whole: bool,
    broken: &Mutex<Vec<String>>,
) -> Row {
    let base = play(case.scenario(successor, None), false);
    let forward = match case.reverts {
        true => {
            play(
                Case {
                    reverts: false,
                    ..case.clone()
                }
                .scenario(successor, None),
                false,
            )
            .passed
        }
        false => BTreeMap::new(),
    };
    let mut row = Row::new();
    let mut crashes = successor as usize;
    if let Some(violation) = &base.violation {
        broken
            .lock()
            .unwrap()
            .push(format!("{} without a crash: {violation}", case.name));
        return row;
    }
    for (point, passes) in base.passed.iter().filter(|(point, _)| !point.contains('@')) {
        let first = forward.get(point).copied().unwrap_or(0) + 1;
        let column = POINTS
            .into_iter()
            .find(|column| column == point)
            .unwrap_or("other");
        for passing in first..=*passes {
            crashes += 1;
            if !whole && !(number + crashes).is_multiple_of(ONE_OF) {
                continue;
            }
            let played = play(case.scenario(successor, Some((point, passing))), false);
            let cell = row.entry(column).or_default();
            cell.0 += 1;
            match differs(&base, &played) {
                Ok(repeats) => cell.1 += repeats,
                Err(why) => broken.lock().unwrap().push(format!(
                    "{}, {successor:?}, a crash at {point}#{passing}: {why}",
                    case.name
                )),
            }
        }
    }
    row
}

/// How many calls were sent once more, if all else is the same.
fn differs(base: &Played, played: &Played) -> Result<u64, String> {
    if let Some(violation) = &played.violation {
        return Err(violation.clone());
    }
    if played.outcome.ended != base.outcome.ended {
        return Err(format!(
            "it ended as {:#?}, not as {:#?}",
            played.outcome.ended, base.outcome.ended
        ));
    }
    let mut repeats = 0;
    for (key, count) in &played.outcome.arrivals {
        let usual = base.outcome.arrivals.get(key).copied().unwrap_or(0);
        if usual == 0 || *count > usual + 1 {
            return Err(format!(
                "{key} arrived {count} times, without a crash {usual} times"
            ));
        }
        repeats += count.saturating_sub(usual);
    }
    Ok(repeats)
}

impl Clone for Case {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            plan: self.plan.clone(),
            fates: self.fates,
            reverts: self.reverts,
        }
    }
}

impl Case {
    fn scenario(&self, successor: Successor, crash: Option<(&str, u64)>) -> Scenario {
        let is_same = successor == Successor::Same;
        let never = 24 * 60 * 60 * 1000;
        let crash = crash.map(|(point, passing)| Fault::CrashAt {
            operator: 0,
            point: point.to_owned(),
            passing,
            back_after: if is_same { 0 } else { never },
        });
        let mut wishes = vec![Wish::Run { at: 0 }];
        if self.reverts {
            wishes.push(Wish::Revert);
        }
        Scenario {
            seed: 1,
            plan: self.plan.clone(),
            operators: if is_same { 1 } else { 2 },
            elects: !is_same,
            latency: false,
            fates: self.fates,
            stale: (successor == Successor::Stale).then_some((1, 60_000)),
            faults: crash.into_iter().collect(),
            wishes,
        }
    }
}

fn cases() -> Vec<Case> {
    let call = || What::Call { method: "POST" };
    let object = |kind, operation| What::Object {
        kind,
        operation,
        name: if operation == "Create" { "mine" } else { "shared0" }.to_owned(),
        force: true,
    };
    let kinds = [
        ("HTTP", call()),
        ("Job", What::Job),
        ("Create", object(Kind::ConfigMap, "Create")),
        ("Apply", object(Kind::ConfigMap, "Apply")),
        ("Patch", object(Kind::ConfigMap, "Patch")),
        ("Delete", object(Kind::ConfigMap, "Delete")),
        ("Localization", object(Kind::Localization, "Create")),
        ("Subscription", object(Kind::Subscription, "Create")),
    ];
    let mut cases = Vec::new();
    let mut add = |name: String, plan, fates, reverts| {
        cases.push(Case {
            name,
            plan,
            fates,
            reverts,
        });
    };
    for (name, what) in kinds {
        let rollback = Some(call());
        add(
            format!("{name} succeeds"),
            one(&what, rollback.as_ref(), None),
            Fates::Good,
            false,
        );
        add(
            format!("{name}, undone by a call"),
            one(&what, rollback.as_ref(), None),
            Fates::Good,
            true,
        );
        add(
            format!("{name}, undone by a Job"),
            one(&what, Some(&What::Job), None),
            Fates::Good,
            true,
        );
        let is_made = matches!(
            what,
            What::Job
                | What::Object {
                    operation: "Create",
                    ..
                }
        );
        if is_made {
            add(
                format!("{name}, undone by deletion"),
                one(&what, None, None),
                Fates::Good,
                true,
            );
        }
        if !matches!(what, What::Object { .. }) {
            let retry = Retry {
                limit: 1,
                seconds: 1,
                on_timeout: false,
            };
            add(
                format!("{name} succeeds at the second attempt"),
                one(&what, None, Some(retry)),
                Fates::BadOnce,
                false,
            );
            add(
                format!("{name} fails, what follows is skipped"),
                one(&what, rollback.as_ref(), None),
                Fates::Bad,
                false,
            );
            add(
                format!("{name} failed, undone by a call"),
                one(&what, rollback.as_ref(), None),
                Fates::Bad,
                true,
            );
        }
    }
    cases
}

/// A plan of this action and a call after it.
fn one(what: &What, rollback: Option<&What>, retry: Option<Retry>) -> Plan {
    let action = |name: &str, what: &What, rollback: Option<&What>, retry| Action {
        name: name.to_owned(),
        what: what.clone(),
        timeout_seconds: 60,
        retry,
        fails_if_interrupted: false,
        rollback: rollback.cloned(),
    };
    let call = What::Call { method: "POST" };
    let actions = vec![
        action("a1", what, rollback, retry),
        action("a2", &call, Some(&call), None),
    ];
    let workflow = Workflow {
        name: "w0-0".to_owned(),
        fail_fast: true,
        actions,
    };
    Plan {
        stop: true,
        timeout_seconds: None,
        stages: vec![Stage {
            after: Vec::new(),
            has_dependencies: false,
            parallel: false,
            workflows: vec![workflow],
        }],
    }
}

fn page(cases: &[Case], rows: &BTreeMap<(Successor, usize), Row>) -> String {
    let mut page = String::from(
        "# The crash matrix\n\n\
         Written by `make prove`: the operator's own code in a simulated world, each run of an action and a call after it.\n\n\
         A number says at how many places the process was killed: at each passing of the point, in the run, or in the \
         Revert where the row tells of an undo. After each of them the run ended as it does without a crash: the same \
         phases of executions and actions, the same Jobs and objects, the same calls. `+n`: of these, n calls were sent \
         once more under the same Idempotency-Key, which nobody can avoid who does not know whether the first \
         arrived. `other`: every other point of the shell, from the first metadata to the finalizer.\n",
    );
    for (successor, title) in Successor::ALL {
        page += &format!(
            "\n## {title}\n\n| action | {} | other |\n|---|",
            POINTS.join(" | ").replace('-', " ")
        );
        page += &"---|".repeat(POINTS.len() + 1);
        page.push('\n');
        for (index, case) in cases.iter().enumerate() {
            let row = rows.get(&(successor, index));
            let cell = |column: &str| {
                let (crashes, repeats) = row.and_then(|row| row.get(column)).copied().unwrap_or_default();
                match (crashes, repeats) {
                    (0, _) => String::from("–"),
                    (_, 0) => format!("{crashes}"),
                    _ => format!("{crashes} +{repeats}"),
                }
            };
            let cells: Vec<String> = POINTS.into_iter().chain(["other"]).map(cell).collect();
            page += &format!("| {} | {} |\n", case.name, cells.join(" | "));
        }
    }
    page
}
