//! A plan with every type of action and every way to undo one, and what there is after its run and its Revert.

use anyhow::{Context, ensure};
use drplan_testkit::TestNamespace;
use k8s_openapi::api::{apps::v1::ControllerRevision, batch::v1::Job, core::v1::ConfigMap};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use crate::fixtures::{
    Action, Manifest, action_of, apply, call, clusternet, clusternet_api, config_map, executions, job, ours,
    plan, plans, post, resource, text, workflow,
};

/// How many actions there are.
pub(super) const ACTIONS: usize = 11;

/// How the actions follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// One after another, in one workflow.
    Chain,
    /// Side by side, each in a workflow of its own.
    Beside,
}

/// The plan `shop`, and what was there before.
pub(super) struct Shop<'a> {
    t: &'a TestNamespace,
    course: Course,
    /// Objects that no action is about.
    bystanders: Vec<Value>,
}

fn overrides(value: &str) -> Value {
    json!([{"name": "replicas", "type": "JSONPatch", "value": value}])
}

fn placed(name: &str) -> Value {
    json!({
        "name": name, "overridePolicy": "ApplyNow", "overrides": overrides("[1]"),
        "feed": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"},
    })
}

fn spread(name: &str) -> Value {
    json!({
        "name": name, "subscribers": [{"clusterAffinity": {"matchLabels": {"site": "b"}}}],
        "feeds": [{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}],
    })
}

fn actions(t: &TestNamespace) -> [Action; ACTIONS] {
    let url = |path: &str| t.stand_in.url(path);
    let patch = |name: &str, mode: &str| resource("", "Patch", &config_map(name, &format!("mode: {mode}")));
    let shifted = |value: &str| json!({"name": "shifted", "overrides": overrides(value)});
    [
        post("call", &url("/call")).undone_by(call("", "PUT", &url("/call-back"))),
        job("work"),
        post("told", &url("/told")).undone_by(job("")),
        clusternet("place", "Localization", "Create", placed("placed")),
        clusternet("spread", "Subscription", "Apply", spread("spread")),
        clusternet("shift", "Localization", "Patch", shifted("[2]")).undone_by(clusternet(
            "",
            "Localization",
            "Patch",
            shifted("[0]"),
        )),
        resource("make", "Create", &config_map("made", "mode: dr")),
        resource("apply", "Apply", &config_map("applied", "mode: dr")),
        resource("over", "Apply", &config_map("over", "mode: dr")).undone_by(patch("over", "normal")),
        resource("patch", "Patch", &config_map("patched", "mode: dr")).undone_by(patch("patched", "normal")),
        resource("delete", "Delete", &config_map("deleted", "mode: dr")).undone_by(resource(
            "",
            "Create",
            &config_map("deleted", "mode: again"),
        )),
    ]
}

impl<'a> Shop<'a> {
    /// Applies the plan and makes what is there before.
    pub(super) async fn open(t: &'a TestNamespace, course: Course) -> anyhow::Result<Self> {
        let there = |name: &str| {
            let map = json!({"metadata": {"name": name}, "data": {"kept": "yes"}});
            serde_json::from_value::<ConfigMap>(map)
        };
        let maps = t.api::<ConfigMap>();
        for name in ["over", "patched", "deleted", "bystander"] {
            maps.create(&PostParams::default(), &there(name)?).await?;
        }
        for (kind, name, mut spec) in [
            ("Localization", "shifted", placed("shifted")),
            ("Localization", "bystander", placed("bystander")),
            ("Subscription", "bystander", spread("bystander")),
        ] {
            if let Some(fields) = spec.as_object_mut() {
                fields.remove("name");
            }
            let object = json!({
                "apiVersion": "apps.clusternet.io/v1alpha1", "kind": kind,
                "metadata": {"name": name}, "spec": spec,
            });
            let object = serde_json::from_value(object)?;
            clusternet_api(t, kind)
                .create(&PostParams::default(), &object)
                .await?;
        }
        let actions = actions(t);
        let shop = match course {
            Course::Chain => {
                let all = actions.into_iter().fold(workflow("all"), Manifest::action);
                apply(t, &all).await?;
                plan("shop").stage("main", &["all"])
            }
            Course::Beside => {
                let names = actions.clone().map(|action| text(&action.0, "/name").to_owned());
                for action in actions {
                    let name = text(&action.0, "/name").to_owned();
                    apply(t, &workflow(&name).action(action)).await?;
                }
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                plan("shop").stage_with("main", &names, json!({"parallel": true}))
            }
        };
        apply(t, &shop).await?;
        let mut shop = Self {
            t,
            course,
            bystanders: Vec::new(),
        };
        shop.bystanders = shop.bystanders_now().await?;
        Ok(shop)
    }

    async fn bystanders_now(&self) -> anyhow::Result<Vec<Value>> {
        let mut now = vec![serde_json::to_value(
            self.t.api::<ConfigMap>().get("bystander").await?,
        )?];
        for kind in ["Localization", "Subscription"] {
            now.push(serde_json::to_value(
                clusternet_api(self.t, kind).get("bystander").await?,
            )?);
        }
        Ok(now)
    }

    /// The path of an action.
    fn path(&self, name: &str) -> String {
        match self.course {
            Course::Chain => format!("main/all[0]/{name}"),
            Course::Beside => {
                let index = actions(self.t).iter().position(|action| action.0["name"] == name);
                format!("main/{name}[{}]/{name}", index.unwrap_or_default())
            }
        }
    }

    /// Checks that everything was made and deleted once, and tells what there is.
    pub(super) async fn after_run(&self) -> anyhow::Result<String> {
        for (resource, name, verb) in [
            ("jobs", "", "create"),
            ("localizations", "placed", "create"),
            ("subscriptions", "spread", "patch"),
            ("configmaps", "made", "create"),
            ("configmaps", "applied", "patch"),
        ] {
            self.happened(resource, name, verb, 201, 1).await?;
        }
        // The snapshot, and the list that a Patch replaced.
        self.happened("controllerrevisions", "", "create", 201, 2).await?;
        self.happened("configmaps", "deleted", "delete", 200, 1).await?;
        self.tell("run").await
    }

    /// The same after the Revert, and which requests were sent.
    pub(super) async fn after_revert(&self, requests: Option<[usize; 3]>) -> anyhow::Result<String> {
        // Nothing of the run was made again; the Revert made a Job, what had been deleted, and as many records.
        for (resource, name, verb, count) in [
            ("jobs", "", "create", 2),
            ("localizations", "placed", "create", 1),
            ("subscriptions", "spread", "patch", 1),
            ("configmaps", "made", "create", 1),
            ("configmaps", "applied", "patch", 1),
            ("configmaps", "deleted", "create", 1),
            ("controllerrevisions", "", "create", 4),
        ] {
            self.happened(resource, name, verb, 201, count).await?;
        }
        for (resource, name) in [
            ("jobs", ""),
            ("localizations", "placed"),
            ("subscriptions", "spread"),
            ("configmaps", "made"),
            ("configmaps", "applied"),
            ("configmaps", "deleted"),
        ] {
            self.happened(resource, name, "delete", 200, 1).await?;
        }
        ensure!(
            self.bystanders_now().await? == self.bystanders,
            "bystanders were touched: {:?}",
            self.bystanders
        );
        let run = executions(self.t).get("run").await?.metadata;
        let uid = run.uid.context("the run has a UID")?;
        let keys = [
            ("/call", format!("{uid}/{}", self.path("call"))),
            ("/told", format!("{uid}/{}", self.path("told"))),
            ("/call-back", format!("{uid}/{}/undo", self.path("call"))),
        ];
        for (index, (path, key)) in keys.into_iter().enumerate() {
            let counts = self.t.stand_in.count_by_key(path);
            let expected = requests.map(|requests| requests[index]);
            let found: Vec<(&str, usize)> =
                counts.iter().map(|(key, count)| (key.as_str(), *count)).collect();
            ensure!(
                matches!(found[..], [(found, count)] if found == key && expected.is_none_or(|all| all == count)),
                "{path}: {counts:?} instead of {expected:?} of {key}"
            );
        }
        self.tell("back").await
    }

    /// Checks how often the operator's requests of this kind were answered so, whatever became of others.
    async fn happened(
        &self,
        resource: &str,
        name: &str,
        verb: &str,
        code: u16,
        count: usize,
    ) -> anyhow::Result<()> {
        let by_operator = self.t.audit().user(&format!("operator:{}", self.t.name));
        let mut asked = by_operator.resource(resource).verb(verb);
        if !name.is_empty() {
            asked = asked.name(name);
        }
        asked.happened(code, count).await
    }

    /// All there is: objects and records, without what differs from one run to the next.
    async fn tell(&self, execution: &str) -> anyhow::Result<String> {
        let t = self.t;
        let mut told = Vec::new();
        for map in t.api::<ConfigMap>().list(&ListParams::default()).await? {
            let map = serde_json::to_value(map)?;
            if text(&map, "/metadata/name") != "kube-root-ca.crt" {
                told.push(format!("ConfigMap {} {}", made(&map), map["data"]));
            }
        }
        for kind in ["Localization", "Subscription"] {
            for object in clusternet_api(t, kind).list(&ListParams::default()).await? {
                let object = serde_json::to_value(object)?;
                told.push(format!("{kind} {} {}", made(&object), object["spec"]));
            }
        }
        for job in t.api::<Job>().list(&ListParams::default()).await? {
            let mut job = serde_json::to_value(job)?;
            // Named after the run's UID.
            job["metadata"]["name"] = "".into();
            let completed = job["status"]["succeeded"] == 1;
            told.push(format!("Job {} completed={completed}", made(&job)));
        }
        let snapshots = t
            .api::<ControllerRevision>()
            .list(&ListParams::default())
            .await?
            .items;
        told.push(format!("{} records beside", snapshots.len()));
        for name in ["run", execution] {
            let found = serde_json::to_value(executions(t).get(name).await?)?;
            told.push(format!("{name} {}", text(&found, "/status/phase")));
            for action in actions(t) {
                let name = text(&action.0, "/name");
                let action = action_of(&found, &self.path(name));
                let before = match text(action, "/before") {
                    "" | "absent" => text(action, "/before"),
                    _ => "a UID",
                };
                let (phase, attempts) = (text(action, "/phase"), &action["attempts"]);
                told.push(format!("  {name} {phase} attempts={attempts} before={before}"));
            }
            let undone = &found["status"]["undone"];
            let count = undone["actions"].as_array().map_or(0, Vec::len);
            told.push(format!("  undone {count} wholly={}", undone["wholly"]));
        }
        let plan = plans(t).get("shop").await?.data;
        for entry in plan["status"]["executionHistory"]
            .as_array()
            .into_iter()
            .flatten()
        {
            told.push(format!("history {} {}", entry["name"], entry["phase"]));
        }
        told.push(format!("lock {}", plan["status"]["currentExecution"]));
        Ok(told.join("\n"))
    }
}

/// An object's name and which action made it.
fn made(object: &Value) -> String {
    let annotations = &object["metadata"]["annotations"];
    let path = annotations[ours("action-path")].as_str().unwrap_or("somebody");
    // The workflow depends on the course.
    let action = match path.split_once(']') {
        Some((_, action)) => action,
        None => path,
    };
    let deleted = object["metadata"]["deletionTimestamp"].is_string();
    format!(
        "{} by {action} attempt={} owners={} deleted={deleted}",
        text(object, "/metadata/name"),
        annotations[ours("attempt")],
        object["metadata"]["ownerReferences"]
            .as_array()
            .map_or(0, Vec::len)
    )
}
