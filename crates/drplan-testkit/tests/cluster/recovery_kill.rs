//! kill -9 at every point of the shell: whoever comes next carries the run on, and nothing happens twice that was
//! recorded once.

use anyhow::{Context, bail, ensure};
use drplan_testkit::{TestNamespace, object_until};
use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::fixtures::{
    action_of, apply_plan, create, event, events, execution, execution_until, job, ours, phases, post,
    released, text,
};
use crate::shared;

/// Cases under way at once: a case mostly waits for its Job.
const AT_ONCE: usize = 5;

/// One life after another of the operator: each but the last is told where to die.
struct Case {
    faults: &'static [&'static str],
    /// Requests of the first call, under one key.
    first: usize,
    /// Requests of the last call, under one key.
    last: usize,
    /// The call of which it is told that it was sent again.
    repeated: Option<&'static str>,
}

const fn case(
    faults: &'static [&'static str],
    first: usize,
    last: usize,
    repeated: Option<&'static str>,
) -> Case {
    Case {
        faults,
        first,
        last,
        repeated,
    }
}

/// The run is POST `first`, Job `work`, POST `last`. Its writes: intent of `first`; result of `first` with intent of
/// `work`; the Job's UID; result of `work` with intent of `last`; the end. Its effects: call, create, await, call.
const CASES: &[Case] = &[
    case(&["before-metadata"], 1, 1, None),
    case(&["after-metadata"], 1, 1, None),
    case(&["before-plan-finalizer"], 1, 1, None),
    case(&["after-plan-finalizer"], 1, 1, None),
    case(&["before-lock"], 1, 1, None),
    case(&["after-lock"], 1, 1, None),
    case(&["before-snapshot"], 1, 1, None),
    case(&["after-snapshot"], 1, 1, None),
    case(&["before-intent"], 1, 1, None),
    // From here on the next process cannot know whether the call was sent.
    case(&["after-intent"], 1, 1, Some("first")),
    case(&["before-effect"], 1, 1, Some("first")),
    case(&["after-effect"], 2, 1, Some("first")),
    case(&["before-result"], 2, 1, Some("first")),
    case(&["after-result"], 1, 1, None),
    case(&["before-effect#2"], 1, 1, None),
    case(&["after-effect#2"], 1, 1, None),
    case(&["before-result#2"], 1, 1, None),
    case(&["after-result#2"], 1, 1, None),
    case(&["before-effect#3"], 1, 1, None),
    case(&["after-effect#3"], 1, 1, None),
    case(&["before-result#3"], 1, 1, None),
    case(&["after-result#3"], 1, 1, Some("last")),
    case(&["before-effect#4"], 1, 1, Some("last")),
    case(&["after-effect#4"], 1, 2, Some("last")),
    case(&["before-end"], 1, 2, Some("last")),
    case(&["after-end"], 1, 1, None),
    case(&["before-release"], 1, 1, None),
    case(&["after-release"], 1, 1, None),
    case(&["before-plan-unfinalized"], 1, 1, None),
    case(&["after-plan-unfinalized"], 1, 1, None),
    case(&["before-unfinalized"], 1, 1, None),
    case(&["after-unfinalized"], 1, 1, None),
    // Whoever claims dies as well.
    case(&["after-result", "before-claim"], 1, 1, None),
    case(&["after-result", "after-claim"], 1, 1, None),
    case(&["after-effect#3", "after-claim"], 1, 1, None),
    case(
        &["after-intent", "before-claim", "after-claim"],
        1,
        1,
        Some("first"),
    ),
    case(&["after-effect", "after-claim"], 2, 1, Some("first")),
    case(&["after-effect", "after-effect"], 3, 1, Some("first")),
    case(&["after-lock", "after-snapshot", "before-intent"], 1, 1, None),
];

/// Covers EC-1.
#[tokio::test]
async fn killed_at_any_point_the_run_goes_on_and_repeats_only_what_nobody_recorded() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let outcomes: Vec<(String, anyhow::Result<()>)> = stream::iter(CASES.iter().enumerate())
        .map(|(number, case)| {
            let control_plane = control_plane.clone();
            async move {
                let test = async |t: &TestNamespace| survive(t, case).await;
                let outcome = control_plane
                    .with_namespace(&format!("killed-{number}"), test)
                    .await;
                (case.faults.join(" then "), outcome)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    if outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
        return Ok(());
    }
    let mut table = String::new();
    for (faults, outcome) in &outcomes {
        let outcome = outcome
            .as_ref()
            .map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned());
        table.push_str(&format!("{faults:45} {outcome}\n"));
    }
    bail!("killed at:\n{table}")
}

async fn survive(t: &TestNamespace, case: &Case) -> anyhow::Result<()> {
    let actions = [
        post("first", &t.stand_in.url("/first")),
        job("work"),
        post("last", &t.stand_in.url("/last")),
    ];
    apply_plan(t, "shop", &actions).await?;
    let mut created = None;
    for fault in case.faults {
        let fault = format!("{fault}=kill");
        let operator = t
            .launch_operator(t.operator_launch()?.env("DRPLAN_FAULT", &fault))
            .await?;
        if created.is_none() {
            created = Some(create(t, &execution("run", "shop")).await?);
        }
        let code = operator
            .ended()
            .await
            .with_context(|| format!("it does not pass {fault}"))?;
        ensure!(code == 128 + 9, "it ends with {code} instead of dying at {fault}");
    }
    let uid = created
        .and_then(|object| object.metadata.uid)
        .context("it was created")?;
    t.start_operator().await?;
    let done = execution_until(t, "run", "Succeeded").await?;
    let (_, plan) = released(t, "run").await?;

    ensure!(
        phases(&done) == "first Succeeded, work Succeeded, last Succeeded",
        phases(&done)
    );
    for (name, count) in [("first", case.first), ("last", case.last)] {
        let counts = t.stand_in.count_by_key(&format!("/{name}"));
        let expected = [(format!("{uid}/main/shop[0]/{name}"), count)].into();
        ensure!(
            counts == expected,
            "requests of {name}: {counts:?} instead of {expected:?}"
        );
        let attempts = &action_of(&done, &format!("main/shop[0]/{name}"))["attempts"];
        ensure!(*attempts == json!(1), "{name} has {attempts} attempts");
    }
    made_once(t, &done, &uid).await?;
    ensure!(
        entered_once(&plan, &uid),
        "the history is {}",
        plan["status"]["executionHistory"]
    );
    match case.repeated {
        Some(name) => {
            let told = event(t, "run", "ActionRepeated").await?;
            ensure!(told.contains(name), "of the repeat of {name} it is told: {told}");
        }
        None => {
            let told = events(t, "run").await?;
            ensure!(
                !told.iter().any(|event| event.starts_with("ActionRepeated")),
                "{told:?}"
            );
        }
    }
    Ok(())
}

/// One Job and one snapshot, by what there is and by what was ever created.
async fn made_once(t: &TestNamespace, done: &Value, uid: &str) -> anyhow::Result<()> {
    let jobs = t.api::<Job>().list(&ListParams::default()).await?.items;
    let names: Vec<_> = jobs.iter().filter_map(|job| job.metadata.name.clone()).collect();
    let recorded = action_of(done, "main/shop[0]/work");
    ensure!(
        names == [text(recorded, "/outputs/jobRef/name")],
        "{names:?} instead of {recorded}"
    );
    let annotations = jobs[0].metadata.annotations.clone().unwrap_or_default();
    ensure!(
        annotations
            .get(&ours("execution-uid"))
            .is_some_and(|known| known == uid),
        "{annotations:?}"
    );
    let snapshots = t
        .api::<ControllerRevision>()
        .list(&ListParams::default())
        .await?
        .items;
    ensure!(snapshots.len() == 1, "{} snapshots", snapshots.len());
    for resource in ["jobs", "controllerrevisions"] {
        t.audit()
            .resource(resource)
            .verb("create")
            .happened(201, 1)
            .await?;
    }
    // The Job is finished and not being deleted.
    object_until(&t.api::<Job>(), &names[0], "stays", |job| {
        job.filter(|job| job.metadata.deletion_timestamp.is_none())
            .map(drop)
    })
    .await
}

/// Whether the run is in the plan's history once, with its end, and is the plan's last success.
fn entered_once(plan: &Value, uid: &str) -> bool {
    let history = plan["status"]["executionHistory"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let [entry] = history.as_slice() else { return false };
    entry["uid"] == *uid
        && entry["phase"] == "Succeeded"
        && entry["completionTime"].is_string()
        && plan["status"]["lastExecutionRef"] == "run"
        && plan["status"]["lastSuccessfulExecution"]["name"] == "run"
}
