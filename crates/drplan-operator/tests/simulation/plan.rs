//! Random plans, in words of their own, and as users write them.

use serde_json::{Value, json};

use crate::{api::Kind, dice::Dice};

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const PLAN: &str = "failover";

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stop: bool,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Indices of stages before it; of one in a plan without dependencies the one before.
    pub(crate) after: Vec<usize>,
    /// Whether `after` is written.
    pub(crate) has_dependencies: bool,
    pub(crate) parallel: bool,
    pub(crate) workflows: Vec<Workflow>,
}

#[derive(Clone, Debug)]
pub(crate) struct Workflow {
    pub(crate) name: String,
    pub(crate) fail_fast: bool,
    pub(crate) actions: Vec<Action>,
}

#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) what: What,
    pub(crate) timeout_seconds: u64,
    pub(crate) retry: Option<Retry>,
    pub(crate) fails_if_interrupted: bool,
    pub(crate) rollback: Option<What>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Call {
        method: &'static str,
    },
    Job,
    Object {
        kind: Kind,
        operation: &'static str,
        name: String,
        force: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub(crate) limit: u64,
    pub(crate) seconds: u64,
    pub(crate) on_timeout: bool,
}

impl Plan {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let has_dependencies = dice.percent(40);
        let mut names = 0;
        // Most plans are small, so that many are played.
        let size = match dice.below(10) {
            0..5 => 1,
            5..8 => 2,
            _ => 3,
        };
        let stages = (0..1 + dice.below(size)).map(|index| {
            let index = usize::try_from(index).unwrap();
            let after = match has_dependencies {
                true => (0..index).filter(|_| dice.percent(50)).collect(),
                false => index.checked_sub(1).into_iter().collect(),
            };
            let workflows = (0..1 + dice.below(size))
                .map(|at| Workflow::new(dice, format!("w{index}-{at}"), &mut names, size))
                .collect();
            Stage {
                after,
                has_dependencies,
                parallel: dice.percent(50),
                workflows,
            }
        });
        let mut stages: Vec<Stage> = stages.collect();
        // Without any written dependency the stages are a sequence.
        if stages.iter().all(|stage| stage.after.is_empty()) {
            for (index, stage) in stages.iter_mut().enumerate() {
                stage.after = index.checked_sub(1).into_iter().collect();
                stage.has_dependencies = false;
            }
        }
        Self {
            stop: dice.percent(60),
            timeout_seconds: dice.percent(8).then(|| 5 + dice.below(60)),
            stages,
        }
    }

    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        let workflows = self.stages.iter().flat_map(|stage| &stage.workflows);
        workflows.flat_map(|workflow| &workflow.actions)
    }

    /// The paths of its actions.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (s, stage) in self.stages.iter().enumerate() {
            for (w, workflow) in stage.workflows.iter().enumerate() {
                let of = |action: &Action| format!("s{s}/{}[{w}]/{}", workflow.name, action.name);
                paths.extend(workflow.actions.iter().map(of));
            }
        }
        paths
    }

    /// The action at this path.
    pub(crate) fn action(&self, path: &str) -> Option<&Action> {
        let name = path.split('/').nth(2)?;
        self.actions().find(|action| action.name == name)
    }

    /// The plan as its author writes it.
    pub(crate) fn written(&self) -> Value {
        let stages: Vec<Value> = self
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| {
                let uses: Vec<Value> = stage
                    .workflows
                    .iter()
                    .map(|workflow| json!({"workflowRef": {"name": workflow.name}}))
                    .collect();
                let mut written =
                    json!({"name": format!("s{index}"), "parallel": stage.parallel, "workflows": uses});
                if stage.has_dependencies {
                    let after: Vec<String> = stage.after.iter().map(|before| format!("s{before}")).collect();
                    written["dependsOn"] = json!(after);
                }
                written
            })
            .collect();
        let mut spec = json!({
            "stages": stages,
            "failurePolicy": if self.stop { "Stop" } else { "Continue" },
        });
        if let Some(seconds) = self.timeout_seconds {
            spec["timeout"] = json!(format!("{seconds}s"));
        }
        object("DRPlan", PLAN, spec)
    }

    /// Its workflows as their authors write them.
    pub(crate) fn written_workflows(&self) -> Vec<Value> {
        let workflows = self.stages.iter().flat_map(|stage| &stage.workflows);
        workflows.map(Workflow::written).collect()
    }
}

impl Workflow {
    fn new(dice: &mut Dice, name: String, names: &mut u32, size: u64) -> Self {
        let actions = (0..1 + dice.below(1 + size))
            .map(|_| {
                *names += 1;
                Action::new(dice, format!("a{names}"))
            })
            .collect();
        Self {
            name,
            fail_fast: dice.percent(70),
            actions,
        }
    }

    fn written(&self) -> Value {
        let actions: Vec<Value> = self.actions.iter().map(Action::written).collect();
        let policy = if self.fail_fast { "FailFast" } else { "Continue" };
        object(
            "DRWorkflow",
            &self.name,
            json!({"actions": actions, "failurePolicy": policy}),
        )
    }
}

impl Action {
    fn new(dice: &mut Dice, name: String) -> Self {
        let what = What::new(dice, &name);
        let retry = dice.percent(40).then(|| Retry {
            limit: 1 + dice.below(3),
            seconds: dice.below(8),
            on_timeout: dice.percent(50),
        });
        let timeout_seconds = match what {
            What::Call { .. } => 2 + dice.below(10),
            What::Job => 10 + dice.below(40),
            What::Object { .. } => 3 + dice.below(30),
        };
        let rollback = dice.percent(60).then(|| What::rollback(dice, &name));
        // A patch must have one.
        let rollback = match &what {
            What::Object {
                operation: "Patch", ..
            } => rollback.or(Some(What::Call { method: "POST" })),
            _ => rollback,
        };
        let is_call = matches!(what, What::Call { .. });
        Self {
            name,
            what,
            timeout_seconds,
            retry,
            fails_if_interrupted: is_call && dice.percent(15),
            rollback,
        }
    }

    fn written(&self) -> Value {
        let mut written = self.what.written(&self.name, self.fails_if_interrupted);
        written["name"] = json!(self.name);
        written["timeout"] = json!(format!("{}s", self.timeout_seconds));
        if let Some(retry) = &self.retry {
            written["retryPolicy"] = json!({
                "limit": retry.limit,
                "interval": format!("{}s", retry.seconds),
                "onTimeout": retry.on_timeout,
            });
        }
        if let Some(rollback) = &self.rollback {
            written["rollback"] = rollback.written(&format!("undo-{}", self.name), false);
            written["rollback"]["timeout"] = json!(format!("{}s", 20.max(self.timeout_seconds * 3)));
        }
        written
    }
}

impl What {
    fn new(dice: &mut Dice, name: &str) -> Self {
        match dice.below(10) {
            0..5 => Self::call(dice),
            5..8 => Self::Job,
            _ => Self::object(dice, name),
        }
    }

    fn rollback(dice: &mut Dice, name: &str) -> Self {
        match dice.below(10) {
            0..5 => Self::call(dice),
            5..8 => Self::Job,
            _ => Self::Object {
                kind: Kind::ConfigMap,
                operation: if dice.percent(50) { "Apply" } else { "Delete" },
                name: format!("undo-{name}"),
                force: true,
            },
        }
    }

    fn call(dice: &mut Dice) -> Self {
        Self::Call {
            method: if dice.percent(70) { "POST" } else { "PUT" },
        }
    }

    fn object(dice: &mut Dice, name: &str) -> Self {
        let kind = match dice.below(4) {
            0 => Kind::Localization,
            1 => Kind::Subscription,
            _ => Kind::ConfigMap,
        };
        let operations = match kind {
            Kind::ConfigMap => ["Create", "Apply", "Patch", "Delete"].as_slice(),
            _ => ["Create", "Apply", "Delete"].as_slice(),
        };
        Self::Object {
            kind,
            operation: operations[dice.index(operations.len())],
            // Some get in each other's way.
            name: if dice.percent(35) {
                format!("shared{}", dice.below(2))
            } else {
                format!("of-{name}")
            },
            force: kind == Kind::ConfigMap && dice.percent(20),
        }
    }

    fn written(&self, name: &str, fails_if_interrupted: bool) -> Value {
        match self {
            Self::Call { method } => {
                let mut http = json!({"url": format!("http://site.example/{name}"), "method": method});
                if fails_if_interrupted {
                    http["onInterrupted"] = json!("Fail");
                }
                json!({"type": "HTTP", "http": http})
            }
            Self::Job => json!({
                "type": "Job",
                "job": {"backoffLimit": 0, "template": {
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
                }},
            }),
            Self::Object {
                kind: Kind::ConfigMap,
                operation,
                name: object,
                force,
            } => {
                let mut resource = json!({"operation": operation, "manifest": manifest(object, name)});
                if *force && *operation == "Apply" {
                    resource["force"] = json!(true);
                }
                json!({"type": "KubernetesResource", "resource": resource})
            }
            Self::Object {
                kind: Kind::Localization,
                operation,
                name: object,
                ..
            } => json!({"type": "Localization", "localization": {
                "operation": operation, "name": object, "namespace": NAMESPACE, "overridePolicy": "ApplyNow",
                "feed": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "namespace": NAMESPACE},
                "overrides": [{"name": name, "type": "MergePatch", "value": "spec: {replicas: 3}"}],
            }}),
            Self::Object {
                operation,
                name: object,
                ..
            } => json!({"type": "Subscription", "subscription": {
                "operation": operation, "name": object, "namespace": NAMESPACE, "schedulingStrategy": "Replication",
                "feeds": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "namespace": NAMESPACE}],
                "subscribers": [{"clusterAffinity": {"matchLabels": {"by": name}}}],
            }}),
        }
    }
}

/// A ConfigMap as action `by` writes it.
fn manifest(name: &str, by: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  by: {by}\n  {by}: x\n")
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    })
}

/// An execution of the plan, or a Revert of `target`.
pub(crate) fn execution(name: &str, target: Option<&str>) -> Value {
    let mut spec = json!({"planRef": PLAN, "operationType": "Execute"});
    if let Some(target) = target {
        spec["operationType"] = json!("Revert");
        spec["revertExecutionRef"] = json!(target);
        spec["allowPartial"] = json!(true);
    }
    object("DRPlanExecution", name, spec)
}
