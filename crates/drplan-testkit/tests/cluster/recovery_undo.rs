//! kill -9 at every point of a run and of its Revert, in every type of action: the run ends as one without a crash,
//! nothing is made or deleted twice, nothing is lost, and nothing of others is touched.

mod shop;

use anyhow::{bail, ensure};
use drplan_testkit::{ControlPlane, TestNamespace};
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use crate::{
    fixtures::{Manifest, create, execution, execution_until, released, revert},
    shared,
};
use shop::{Course, Shop};

/// Cases under way at once.
const AT_ONCE: usize = 6;

/// Points that a run passes once, in this order. Whoever comes next dies as well. The plan's finalizer and the snapshot are
/// written beside the metadata, so whether one passes them depends on who is faster; `recovery_kill` has a run for each.
const ONCE: [&str; 14] = [
    "before-metadata",
    "after-metadata",
    "before-lock",
    "after-lock",
    "before-intent",
    "after-intent",
    "before-claim",
    "after-claim",
    "before-keep",
    "after-keep",
    "before-end",
    "after-end",
    "before-release",
    "after-release",
];
/// The same of a Revert, which writes one after another: what it has undone is entered in its target before its end.
const ONCE_IN_REVERT: [&str; 20] = [
    "before-metadata",
    "after-metadata",
    "before-plan-finalizer",
    "after-plan-finalizer",
    "before-lock",
    "after-lock",
    "before-snapshot",
    "after-snapshot",
    "before-intent",
    "after-intent",
    "before-claim",
    "after-claim",
    "before-keep",
    "after-keep",
    "before-undone",
    "after-undone",
    "before-end",
    "after-end",
    "before-release",
    "after-release",
];

/// Where the lives of the operator end.
#[derive(Clone, Copy, Debug)]
enum Deaths {
    /// Nowhere.
    None,
    /// Each once, one after another.
    Once,
    /// In each action: whoever comes next repeats what the last one died in, and dies in what follows.
    Each(&'static str),
    /// One after another, as far as the run gets there.
    These(&'static [&'static str]),
}

struct Case {
    course: Course,
    deaths: Deaths,
    /// Requests of the first call, of the one in the middle, and of the undo of the first, which is the last; each
    /// under one key. None where that depends on who is faster.
    requests: Option<[usize; 3]>,
}

const fn case(course: Course, deaths: Deaths, requests: [usize; 3]) -> Case {
    Case {
        course,
        deaths,
        requests: Some(requests),
    }
}

const CASES: &[Case] = &[
    // The call that the Revert ends with is sent again by whoever does not find its end.
    case(Course::Chain, Deaths::Once, [1, 1, 4]),
    case(Course::Chain, Deaths::Each("before-effect"), [1, 1, 1]),
    case(Course::Chain, Deaths::Each("after-effect"), [2, 2, 2]),
    case(Course::Chain, Deaths::Each("before-result"), [2, 2, 1]),
    case(Course::Chain, Deaths::Each("after-result"), [1, 1, 1]),
    Case {
        course: Course::Beside,
        deaths: Deaths::These(&[
            "after-intent",
            "before-effect#4",
            "after-effect#3",
            "after-effect#6",
            "before-result",
            "after-effect#2",
            "after-result",
        ]),
        requests: None,
    },
];

/// Covers US3.2, EC-1, FR-011, FR-012, FR-013, FR-013a, FR-013d, FR-013e, FR-014.
#[tokio::test]
async fn killed_at_any_point_a_run_and_its_revert_end_as_without_a_crash() -> anyhow::Result<()> {
    let control_plane = &shared().await?;
    let calm = OnceCell::new();
    let calm = &calm;
    let outcomes: Vec<_> = stream::iter(CASES)
        .map(async |case| {
            let outcome = survive(control_plane, calm, case).await;
            (format!("{:?} {:?}", case.course, case.deaths), outcome)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    if outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
        return Ok(());
    }
    let mut table = String::new();
    for (case, outcome) in &outcomes {
        let outcome = outcome
            .as_ref()
            .map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned());
        table.push_str(&format!("{case:50} {outcome}\n"));
    }
    bail!("killed at:\n{table}")
}

/// Runs the case and compares what there is then with what there is after a run without a crash.
async fn survive(
    control_plane: &ControlPlane,
    calm: &OnceCell<[String; 2]>,
    case: &Case,
) -> anyhow::Result<()> {
    let expected = calm
        .get_or_try_init(async || world(control_plane, Course::Chain, Deaths::None, Some([1, 1, 1])).await);
    let (expected, found) = tokio::join!(
        expected,
        world(control_plane, case.course, case.deaths, case.requests)
    );
    for (found, expected) in found?.iter().zip(expected?) {
        ensure!(found == expected, "there is\n{found}\ninstead of\n{expected}");
    }
    Ok(())
}

/// What there is after a run with these deaths, and after its Revert with the same.
async fn world(
    control_plane: &ControlPlane,
    course: Course,
    deaths: Deaths,
    requests: Option<[usize; 3]>,
) -> anyhow::Result<[String; 2]> {
    let worlds = OnceCell::new();
    let test = async |t: &TestNamespace| {
        let shop = Shop::open(t, course).await?;
        live_and_die(t, "run", &execution("run", "shop"), deaths, &ONCE).await?;
        let done = shop.after_run().await?;
        live_and_die(t, "back", &revert("back", "shop", "run"), deaths, &ONCE_IN_REVERT).await?;
        let undone = shop.after_revert(requests).await?;
        worlds.set([done, undone])?;
        Ok(())
    };
    control_plane.with_namespace("killed-undo", test).await?;
    let worlds = worlds.into_inner();
    worlds.ok_or_else(|| anyhow::anyhow!("the test ended without telling what there is"))
}

/// Creates the execution and carries it to its end through one life of the operator after another.
async fn live_and_die(
    t: &TestNamespace,
    name: &str,
    manifest: &Manifest,
    deaths: Deaths,
    once: &[&'static str],
) -> anyhow::Result<()> {
    let mut lives = 0;
    loop {
        let fault = match deaths {
            Deaths::None => None,
            Deaths::Once => once.get(lives).map(|point| (*point).to_owned()),
            // What is recorded is not repeated.
            Deaths::Each(point) if lives == 0 || point == "after-result" => Some(point.to_owned()),
            Deaths::Each(point) => Some(format!("{point}#2")),
            Deaths::These(points) => points.get(lives).map(|point| (*point).to_owned()),
        };
        let mut launch = t.operator_launch()?;
        if let Some(fault) = &fault {
            launch = launch.env("DRPLAN_FAULT", format!("{fault}=kill"));
        }
        let operator = t.launch_operator(launch).await?;
        if lives == 0 {
            create(t, manifest).await?;
        }
        let end = async {
            execution_until(t, name, "Succeeded").await?;
            released(t, name).await
        };
        tokio::select! {
            code = operator.ended() => {
                let code = code?;
                ensure!(code == 128 + 9, "it ends with {code} instead of dying at {fault:?}");
                lives += 1;
            }
            ended = end => {
                ended?;
                operator.kill9().await?;
                break;
            }
        }
    }
    match deaths {
        Deaths::Once => ensure!(lives == once.len(), "{name} did not pass {:?}", once.get(lives)),
        Deaths::Each(point) => ensure!(lives >= shop::ACTIONS - 1, "{name} passed {point} {lives} times"),
        Deaths::These(_) => ensure!(lives > 1, "{name} ended after {lives} deaths"),
        Deaths::None => {}
    }
    Ok(())
}
