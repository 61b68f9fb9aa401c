//! Somebody else's admission webhook that refuses with a code that means something else of the API server.

use drplan_testkit::{Answer, TestNamespace};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use serde_json::Value;

use super::{
    assert_not_told, assert_received,
    foreign::{NAMED, WORDS, Webhook, Webhooks, ours, rule},
    silence::begin_runs,
};
use crate::fixtures::{
    action_of, apply_plan, config_map, create, event, events, execution, execution_until, execution_where,
    executions, job, phases, plans, post, released, resource, text,
};
use crate::shared;

/// Runs whose records cannot be written.
const STATUS: [&str; 2] = ["status-404", "status-409"];
/// Runs that cannot begin: their plan, or their snapshot, cannot be written.
const LOCK: [&str; 3] = ["lock-404", "lock-409", "snapshot-409"];
/// Runs that end while their plan cannot be written.
const END: [&str; 2] = ["end-404", "end-409"];
/// Runs whose object cannot be made, changed or deleted.
const OBJECT: [&str; 4] = ["job-409", "make-409", "patch-404", "delete-404"];

/// 404 is not "it is gone", 409 neither "somebody has changed it" nor "it exists already", where a webhook says so. The
/// user sees the same as of any other refusal, and once the webhooks are gone all go on by themselves.
#[tokio::test]
async fn the_code_of_a_foreign_webhook_says_nothing_about_the_object() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        for name in ["patch-404", "delete-404"] {
            let map = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            };
            t.api::<ConfigMap>().create(&PostParams::default(), &map).await?;
        }
        for name in LOCK {
            apply_plan(t, name, &[post("call", &t.stand_in.url(&format!("/{name}")))]).await?;
        }
        let map = |name: &str, operation: &str| resource("act", operation, &config_map(name, "mode: dr"));
        apply_plan(t, "job-409", &[job("act").doing("name", "job-409".into())]).await?;
        apply_plan(t, "make-409", &[map("make-409", "Create")]).await?;
        let patch = map("patch-404", "Patch").undone_by(map("patch-404", "Patch"));
        apply_plan(t, "patch-404", &[patch]).await?;
        apply_plan(t, "delete-404", &[map("delete-404", "Delete")]).await?;
        begin_runs(t, &STATUS).await?;
        begin_runs(t, &END).await?;
        let webhooks = Webhooks::install(t, &webhooks(), "lock-409").await?;

        for name in LOCK.iter().chain(&OBJECT) {
            create(t, &execution(name, name)).await?;
        }
        for name in STATUS.iter().chain(&END) {
            t.stand_in.release(&format!("/{name}"));
        }
        records_wait(t).await?;
        beginnings_wait(t).await?;
        ends_wait(t).await?;
        objects_are_refused(t).await?;
        webhooks.remove().await?;
        everything_goes_on(t).await
    };
    control_plane.with_namespace("faults-codes", test).await
}

/// Nobody leads, and the log says why.
#[tokio::test]
async fn a_foreign_webhook_that_refuses_the_lease_is_named() -> anyhow::Result<()> {
    const LEASE: &str = "drplan-operator";
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        for name in ["probe", "run"] {
            apply_plan(t, name, &[post("call", &t.stand_in.url(&format!("/{name}")))]).await?;
        }
        let leases = rule("coordination.k8s.io", "v1", &["leases"], "CREATE");
        let taken = Answer::refusal_with(409, "AlreadyExists", WORDS);
        let webhooks = [
            Webhook::new(LEASE, Some(taken), &leases, NAMED),
            Webhook::new("probe", Some(Answer::refusal(WORDS)), &ours(&["drplans"]), NAMED),
        ];
        let webhooks = Webhooks::install(t, &webhooks, "probe").await?;
        let launch = t
            .operator_launch()?
            .arg("--leader-elect")
            .arg(format!("--leader-elect-resource-namespace={}", t.name));
        let operator = t.launch_operator(launch).await?;
        create(t, &execution("run", "run")).await?;
        let told = |line: &Value| {
            let says = text(line, "/message").starts_with("the lease cannot be taken or renewed");
            (says && text(line, "/error").contains(&denial(LEASE))).then_some(())
        };
        operator.logged("why nobody leads", told).await?;
        assert_eq!(t.stand_in.requests("/run").len(), 0);
        webhooks.remove().await?;
        execution_until(t, "run", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("faults-lease", test).await
}

fn webhooks() -> Vec<Webhook> {
    let refusal = |name: &str| {
        let (code, reason) = match name {
            "job-409" | "make-409" | "snapshot-409" => (409, "AlreadyExists"),
            _ if name.ends_with("409") => (409, "Conflict"),
            _ => (404, "NotFound"),
        };
        Some(Answer::refusal_with(code, reason, WORDS))
    };
    let of =
        |name: &'static str, rule: &Value, is_about: &str| Webhook::new(name, refusal(name), rule, is_about);
    let records = ours(&["drplanexecutions/status"]);
    let plans_too = ours(&["drplans", "drplans/status"]);
    let maps = |operation: &str| rule("", "v1", &["configmaps"], operation);
    let snapshots = rule("apps", "v1", &["controllerrevisions"], "CREATE");
    let of_run = "object.metadata.?labels['dr.bkbcs.tencent.com/execution'].orValue('') == 'PLAN'";
    let mut webhooks: Vec<Webhook> = STATUS.map(|name| of(name, &records, NAMED)).into();
    webhooks.extend(END.map(|name| of(name, &plans_too, NAMED)));
    webhooks.extend([
        of("lock-404", &plans_too, NAMED),
        of("lock-409", &plans_too, NAMED),
        of("snapshot-409", &snapshots, of_run),
        of("job-409", &rule("batch", "v1", &["jobs"], "CREATE"), of_run),
        of("make-409", &maps("CREATE"), NAMED),
        of("patch-404", &maps("UPDATE"), NAMED),
        of("delete-404", &maps("DELETE"), "oldObject.metadata.name == 'PLAN'"),
    ]);
    webhooks
}

fn denial(name: &str) -> String {
    format!("admission webhook \"{name}.faults.example.com\" denied the request: {WORDS}")
}

async fn records_wait(t: &TestNamespace) -> anyhow::Result<()> {
    for name in STATUS {
        let told = event(t, name, "StatusRefused").await?;
        assert!(told.contains(&denial(name)), "{told}");
        let seen = executions(t).get(name).await?;
        assert_eq!(text(&seen.data, "/status/phase"), "Running");
        assert_eq!(phases(&seen.data), "call Running, next Pending");
    }
    Ok(())
}

async fn beginnings_wait(t: &TestNamespace) -> anyhow::Result<()> {
    for name in LOCK {
        let words = format!("cannot begin yet: the API server refused: {}", denial(name));
        execution_where(t, name, "why it waits", |seen| {
            let is_told = text(seen, "/status/message") == words;
            (is_told && text(seen, "/status/phase") == "Pending").then_some(())
        })
        .await?;
        assert_eq!(t.stand_in.requests(&format!("/{name}")).len(), 0);
    }
    Ok(())
}

async fn ends_wait(t: &TestNamespace) -> anyhow::Result<()> {
    for name in END {
        execution_until(t, name, "Succeeded").await?;
        for reason in ["ReleaseRefused", "StatusRefused"] {
            let told = event(t, name, reason).await?;
            assert!(told.contains(&denial(name)), "{told}");
        }
        let plan = plans(t).get(name).await?;
        assert_eq!(text(&plan.data, "/status/currentExecution/name"), name);
        // Its end is entered before it may go.
        let ended = executions(t).get(name).await?;
        assert_eq!(ended.metadata.finalizers.unwrap_or_default().len(), 1);
    }
    Ok(())
}

async fn objects_are_refused(t: &TestNamespace) -> anyhow::Result<()> {
    for name in OBJECT {
        let failed = execution_until(t, name, "Failed").await?;
        let action = action_of(&failed, &format!("main/{name}[0]/act"));
        let message = text(action, "/message");
        assert!(message.contains(&denial(name)), "{message}");
        assert_eq!(action["attempts"], 1, "{message}");
    }
    let maps = t.api::<ConfigMap>();
    assert_eq!(maps.get("patch-404").await?.data, None);
    assert_eq!(maps.get("delete-404").await?.metadata.deletion_timestamp, None);
    Ok(())
}

async fn everything_goes_on(t: &TestNamespace) -> anyhow::Result<()> {
    for name in STATUS.iter().chain(&LOCK).chain(&END) {
        execution_until(t, name, "Succeeded").await?;
        released(t, name).await?;
        assert_not_told(t, name, &["ActionRepeated", "ExecutionUnknown"]).await?;
        assert_received(t, &format!("/{name}"), 1);
        let told = events(t, name).await?;
        // Of an end its own event, and that of its plan, which has the same name.
        for reason in ["StatusRefused:", "ReleaseRefused:"] {
            let refusals = told.iter().filter(|event| event.starts_with(reason)).count();
            assert!(refusals <= 1, "{name}: {told:?}");
        }
    }
    Ok(())
}
