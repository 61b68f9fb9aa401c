//! Runs that an earlier release has stored: `stored/format-N` holds, for each format of records, the objects of one that
//! ended and of one that was cut off in the middle of a call. They are put back under their own names and UIDs, behind the
//! API server, which would give them others.

mod write;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use drplan_api::status::FORMAT_VERSION;
use drplan_testkit::{TestNamespace, etcd_key, object_until};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::fixtures::{action_of, create, event, execution_until, ours, phases, released, revert, text};
use crate::shared;
use write::{SITE, actor, namespace, site};

/// Where the runs of a format are.
fn directory(format: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cluster/stored/format-{format}"))
}

/// The stored objects of a format, by file.
fn stored(format: u32) -> anyhow::Result<Vec<(String, Value)>> {
    let directory = directory(format);
    let files = fs::read_dir(&directory).with_context(|| {
        format!(
            "there is no `{}`: CONTRIBUTING.md says how runs of a new format are stored",
            directory.display()
        )
    })?;
    let mut objects = Vec::new();
    for file in files {
        let path = file?.path();
        let object = serde_saphyr::from_str(&fs::read_to_string(&path)?)?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        objects.push((name, object));
    }
    // Owners first: what has none is collected.
    objects.sort_by_key(|(name, _)| (!name.starts_with("dr"), name.clone()));
    Ok(objects)
}

/// Where the API server keeps the object.
fn key(object: &Value) -> anyhow::Result<String> {
    let [namespace, name] = ["namespace", "name"].map(|field| text(object, &format!("/metadata/{field}")));
    Ok(match text(object, "/kind") {
        "ConfigMap" => format!("/registry/configmaps/{namespace}/{name}"),
        "ControllerRevision" => format!("/registry/controllerrevisions/{namespace}/{name}"),
        kind if kind.starts_with("DR") => {
            let plural = format!("{}s", kind.to_lowercase());
            etcd_key("dr.bkbcs.tencent.com", &plural, Some(namespace), name)
        }
        kind => anyhow::bail!("nobody knows where a {kind} is kept"),
    })
}

#[tokio::test]
async fn runs_of_every_earlier_format_are_gone_on_with_and_undone() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for format in 1..=FORMAT_VERSION {
        let test = async |t: &TestNamespace| goes_on(t, format).await;
        control_plane
            .with_namespace_of_name(namespace(format), test)
            .await?;
    }
    Ok(())
}

async fn goes_on(t: &TestNamespace, format: u32) -> anyhow::Result<()> {
    actor(t).await?;
    let objects = stored(format)?;
    for (file, object) in &objects {
        ensure!(
            text(object, "/metadata/namespace") == t.name,
            "{file} is of another namespace"
        );
        t.control_plane.etcd_put(&key(object)?, object).await?;
    }
    let of = |file: &str| {
        let found = objects.iter().find(|(name, _)| name == file);
        found
            .map(|(_, object)| object)
            .with_context(|| format!("there is no `{file}.yaml`"))
    };
    let (finished, running) = (of("drplanexecution-finished")?, of("drplanexecution-running")?);
    for (execution, phase) in [(finished, "Succeeded"), (running, "Running")] {
        assert_eq!(execution["status"]["formatVersion"], format);
        assert_eq!(text(execution, "/status/phase"), phase);
    }
    let future = later_than_known(running);
    t.control_plane.etcd_put(&key(&future)?, &future).await?;

    site(t);
    t.launch_operator(
        t.operator_launch()?
            .arg(SITE.replace("PORT", &t.stand_in.address().port().to_string())),
    )
    .await?
    .ready()
    .await?;
    // What was cut off is sent again, as it was; what was done is not.
    let done = execution_until(t, "running", "Succeeded").await?;
    released(t, "running").await?;
    assert_eq!(
        phases(&done),
        "first Succeeded, map Succeeded, work Succeeded, held Succeeded, last Succeeded"
    );
    let uid = text(running, "/metadata/uid");
    let of_action = |name: &str| format!("main/flow[0]/{name}");
    let sent: Vec<(String, String)> = t
        .stand_in
        .all()
        .iter()
        .map(|sent| {
            (
                sent.path.clone(),
                sent.idempotency_key().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let keyed = |path: &str| (format!("/{path}"), format!("{uid}/{}", of_action(path)));
    assert_eq!(sent, [keyed("held"), keyed("last")]);
    let body = t.stand_in.requests("/held").remove(0).json()?;
    let began = text(action_of(running, &of_action("held")), "/startTime");
    assert_eq!(
        body,
        json!({"word": "stored", "said": "said \"first\"", "at": body["at"]})
    );
    // Templates see whole seconds.
    assert_eq!(text(&body, "/at").get(..19), began.get(..19));
    let before = |name: &str| action_of(running, &of_action(name));
    for name in ["first", "map", "work"] {
        assert_eq!(action_of(&done, &of_action(name)), before(name), "{name}");
    }

    // What had ended is as it was, and can be undone.
    assert_eq!(read(t, finished).await?, *finished);
    for (name, target) in [("undo-finished", finished), ("undo-running", running)] {
        let plan = text(target, "/spec/planRef");
        create(t, &revert(name, plan, plan)).await?;
        execution_until(t, name, "Succeeded").await?;
        released(t, name).await?;
        let made = format!("{plan}-made");
        object_until(&t.api::<ConfigMap>(), &made, "is gone", |map| {
            map.is_none().then_some(())
        })
        .await?;
    }
    let undone = t.stand_in.requests("/undo-first");
    let keys: Vec<_> = undone
        .iter()
        .map(|sent| sent.idempotency_key().unwrap_or_default())
        .collect();
    let undo = |target: &Value| format!("{}/{}/undo", text(target, "/metadata/uid"), of_action("first"));
    assert_eq!(keys, [undo(finished), undo(running)]);
    assert_eq!(undone[0].json()?, json!({"word": "stored", "status": 200}));

    let message = event(t, "future", "UnsupportedFormat").await?;
    assert_eq!(
        message,
        format!(
            "its status has format {}, which this release does not know; it is left alone, run a release that reads it",
            FORMAT_VERSION + 1
        )
    );
    assert_eq!(read(t, &future).await?, future);
    Ok(())
}

/// What is stored of it now.
async fn read(t: &TestNamespace, object: &Value) -> anyhow::Result<Value> {
    let bytes = t
        .control_plane
        .etcd_get(&key(object)?)
        .await?
        .context("it is stored")?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The same run, as a release after this one might have left it.
fn later_than_known(running: &Value) -> Value {
    let mut future = running.clone();
    let uid = "00000000-0000-0000-0000-0000000000ff";
    future["metadata"]["name"] = "future".into();
    future["metadata"]["uid"] = uid.into();
    future["metadata"]["annotations"][ours("started-uid")] = uid.into();
    // Else it would hold the plan of the other.
    future["spec"]["planRef"] = "future".into();
    for label in ["drplan", &ours("plan")] {
        future["metadata"]["labels"][label] = "future".into();
    }
    future["status"]["formatVersion"] = (FORMAT_VERSION + 1).into();
    future["status"]["news"] = json!(["nobody here knows what this is"]);
    future
}
