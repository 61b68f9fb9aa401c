//! Jobs: what runs and Reverts do where somebody had a hand in it.

use anyhow::ensure;
use drplan_testkit::{TestNamespace, object_until};
use futures::future::join_all;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    Cell, Changed, Create, Existed, Going, HOLD, Held, Leaving, Nothing, Ours, Recreated, Somebody, State,
    Theirs, Untouched, all_hold, cell, ends,
};
use crate::{
    fixtures::{
        Action, action_of, apply_plan, create, execution, execution_until, job, released, revert, text,
    },
    jobs::make,
    shared,
};

const LEFT_ALONE: &str = "is another object by now and was left alone";

/// The action `act`, a Job of this name.
fn named(name: &str) -> Action {
    let mut action = job("act");
    action.0["job"]["name"] = name.into();
    action
}

/// What somebody does to Jobs.
struct Jobs(Api<Job>);

impl Jobs {
    fn of(t: &TestNamespace) -> Self {
        Self(t.api())
    }

    async fn sees(&self, name: &str) -> anyhow::Result<Option<Value>> {
        let job = self.0.get_opt(name).await?;
        Ok(job.map(serde_json::to_value).transpose()?)
    }

    async fn uid(&self, name: &str) -> anyhow::Result<String> {
        let job = self.sees(name).await?.unwrap_or_default();
        Ok(text(&job, "/metadata/uid").to_owned())
    }

    async fn removes(&self, name: &str) -> anyhow::Result<()> {
        self.0.delete(name, &DeleteParams::background()).await?;
        object_until(&self.0, name, "is gone", |job| job.is_none().then_some(())).await
    }

    async fn patches(&self, name: &str, metadata: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        self.0.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn holds(&self, name: &str) -> anyhow::Result<()> {
        self.patches(name, json!({"finalizers": [HOLD]})).await
    }

    /// Takes the finalizer off, and no other.
    async fn lets_go(&self, name: &str) -> anyhow::Result<()> {
        let job = self.sees(name).await?.unwrap_or_default();
        let mut finalizers = job["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != HOLD);
        self.patches(name, json!({ "finalizers": finalizers })).await
    }
}

async fn is_there(jobs: &Jobs, cell: &Cell, name: &str, uid: &str, ended: &Value) -> anyhow::Result<()> {
    let seen = jobs.sees(name).await?;
    let found = seen.as_ref().map_or("", |job| text(job, "/metadata/uid"));
    match cell.stands {
        Nothing => ensure!(seen.is_none(), "{seen:?}"),
        Untouched => ensure!(
            found == uid
                && seen
                    .as_ref()
                    .is_some_and(|job| job["metadata"]["annotations"]["note"] == "theirs"),
            "{seen:?} instead of {uid}"
        ),
        Ours(_) | Theirs(_) | Leaving(_) => {
            let action = action_of(ended, "main/create[0]/act");
            ensure!(
                found == text(action, "/outputs/jobRef/uid"),
                "{seen:?} is not of {action}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_namesake_of_a_job_is_left_to_whom_it_belongs() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let jobs = Jobs::of(t);
        let going = Somebody::beside(t).await?;
        going.makes("held").await?;
        going.holds("held").await?;
        going.deletes_namespace(&["held"], &[]).await?;
        // The operator refuses plans whose Jobs it could not watch.
        let launch = t
            .operator_launch()?
            // A namespace that is being deleted takes no roles.
            .rights_everywhere()
            .arg(format!("--namespace={}", going.namespace));
        t.launch_operator(launch).await?;
        for name in ["existed", "held"] {
            make(t, name, json!({"testkit.drplan/hang": "true"})).await?;
            jobs.patches(name, json!({"annotations": {"note": "theirs"}}))
                .await?;
        }
        jobs.holds("held").await?;
        jobs.0.delete("held", &DeleteParams::background()).await?;
        let left = [jobs.sees("existed").await?, jobs.sees("held").await?];

        let exists = "exists and was not made by this attempt: delete it, or give the Job another name";
        let held = format!("exists and is still being deleted (finalizers: {HOLD})");
        let there = named("new").doing("namespace", going.namespace.clone().into());
        for (plan, action, says) in [
            ("existed", named("existed"), exists),
            ("held", named("held").timeout("2s"), held.as_str()),
            ("going", there, "because it is being terminated"),
        ] {
            apply_plan(t, plan, &[action]).await?;
            create(t, &execution(plan, plan)).await?;
            let failed = execution_until(t, plan, "Failed").await?;
            released(t, plan).await?;
            let message = text(&failed, "/status/message");
            ensure!(message.contains(says), "{message}");
            create(
                t,
                &revert(&format!("back-{plan}"), plan, plan).with("allowPartial", json!(true)),
            )
            .await?;
            let undone = execution_until(t, &format!("back-{plan}"), "Succeeded").await?;
            let why = text(action_of(&undone, &format!("main/{plan}[0]/act")), "/message");
            ensure!(why == "it failed without any effect", "{why}");
        }
        let uid = |job: &Option<Value>| job.as_ref().map(|job| job["metadata"]["uid"].clone());
        for (name, left) in ["existed", "held"].into_iter().zip(&left) {
            let seen = jobs.sees(name).await?;
            ensure!(uid(&seen) == uid(left), "{seen:?} instead of {left:?}");
        }
        jobs.lets_go("held").await?;
        going.lets_go("held").await
    };
    shared().await?.with_namespace("states-job", test).await
}

/// Killed after the request for the Job was answered, before that is recorded; somebody is faster than the successor.
const CUT: [Cell; 3] = [
    cell(
        Recreated,
        Create,
        "Failed",
        "exists and was not made by this attempt: delete it, or give the Job another name",
        Untouched,
    ),
    cell(Changed, Create, "Succeeded", "Job fixed completed", Ours("")),
    cell(Held, Create, "Succeeded", "Job fixed completed", Ours("")),
];

#[tokio::test]
async fn a_job_that_nobody_recorded_is_found_or_told_from_a_namesake() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let outcomes = CUT.map(async |cell| {
        let test = async |t: &TestNamespace| {
            let jobs = Jobs::of(t);
            apply_plan(t, "create", &[named("fixed")]).await?;
            let launch = t.operator_launch()?.env("DRPLAN_FAULT", "after-effect=kill");
            let operator = t.launch_operator(launch).await?;
            create(t, &execution("create", "create")).await?;
            ensure!(operator.ended().await? == 128 + 9, "it does not die");
            match cell.state {
                Recreated => {
                    jobs.removes("fixed").await?;
                    make(t, "fixed", json!({"testkit.drplan/hang": "true"})).await?;
                    jobs.patches("fixed", json!({"annotations": {"note": "theirs"}}))
                        .await?;
                }
                Held => jobs.holds("fixed").await?,
                Existed | Changed | Going => {
                    jobs.patches("fixed", json!({"labels": {"changed": "yes"}}))
                        .await?
                }
            }
            let uid = jobs.uid("fixed").await?;
            t.start_operator().await?;
            let ended = ends(t, "create", cell.phase, &cell).await?;
            is_there(&jobs, &cell, "fixed", &uid, &ended).await?;
            if cell.state == Held {
                jobs.lets_go("fixed").await?;
            }
            Ok(())
        };
        (cell, control_plane.with_namespace("states-job-cut", test).await)
    });
    all_hold(join_all(outcomes).await)
}

/// The undo of a Job that has completed; none is "gone" by somebody's hand in the state Existed.
const UNDO: [Cell; 4] = [
    cell(Existed, Create, "Succeeded", "was absent", Nothing),
    cell(Recreated, Create, "Succeeded", LEFT_ALONE, Untouched),
    cell(Changed, Create, "Succeeded", "deleted", Nothing),
    cell(Held, Create, "Succeeded", "deleted", Nothing),
];

/// The plan of a state.
fn plan_of(state: State) -> &'static str {
    match state {
        Existed => "gone",
        Recreated => "recreated",
        Changed => "changed",
        Held => "held",
        Going => "going",
    }
}

/// Covers US3.3, FR-014.
#[tokio::test]
async fn a_job_is_undone_by_deletion_of_that_very_job() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let jobs = Jobs::of(t);
        t.start_operator().await?;
        let execute = UNDO.map(async |cell| {
            let plan = plan_of(cell.state);
            apply_plan(t, plan, &[named(plan)]).await?;
            create(t, &execution(plan, plan)).await?;
            execution_until(t, plan, "Succeeded").await?;
            released(t, plan).await?;
            match cell.state {
                Existed => jobs.removes(plan).await?,
                Recreated => {
                    jobs.removes(plan).await?;
                    make(t, plan, json!({"testkit.drplan/hang": "true"})).await?;
                    jobs.patches(plan, json!({"annotations": {"note": "theirs"}}))
                        .await?;
                }
                Changed => jobs.patches(plan, json!({"labels": {"changed": "yes"}})).await?,
                Held | Going => jobs.holds(plan).await?,
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(execute).await?;
        let undo = async |cell: &Cell| {
            let plan = plan_of(cell.state);
            let uid = jobs.uid(plan).await?;
            let back = format!("back-{plan}");
            create(t, &revert(&back, plan, plan)).await?;
            if cell.state == Held {
                object_until(&jobs.0, plan, "is being deleted", |job| {
                    job?.metadata.deletion_timestamp.as_ref().map(drop)
                })
                .await?;
                jobs.lets_go(plan).await?;
            }
            let ended = execution_until(t, &back, "Succeeded").await?;
            let action = action_of(&ended, &format!("main/{plan}[0]/act"));
            let message = text(action, "/message");
            ensure!(message == format!("{plan} {}", cell.says), "{message}");
            is_there(&jobs, cell, plan, &uid, &ended).await
        };
        let outcomes = UNDO.map(async |cell| (cell, undo(&cell).await));
        all_hold(join_all(outcomes).await)
    };
    shared().await?.with_namespace("undo-job", test).await
}
