//! The shop of the examples as it is written, and what it needs around it.

use anyhow::{Context, ensure};
use drplan_api::status::{ExecutionPhase, PlanPhase};
use drplan_api::{DRPlan, DRPlanExecution};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{Trial, seen};
use crate::eventually::{Seen, eventually, object_until};

pub(super) const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ecommerce");
/// Where it is.
pub(super) const SHOP: &str = "production";
pub(super) const PLAN: &str = "ecommerce-dr-plan";
/// What the plan moves, and asks for its health then.
const SERVICES: [&str; 6] = [
    "kafka",
    "order-service",
    "payment-service",
    "user-service",
    "frontend",
    "smoke-test",
];

/// A run that has begun, or ended.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) uid: String,
}

impl Trial<'_> {
    /// Applies the example, and what answers for its services at the other site: a container behind Services of their
    /// names. Waits until the plan may run.
    pub(super) async fn apply_shop(&self) -> anyhow::Result<()> {
        // A Pod is ready a moment before the way to it through the Service is laid on the node.
        eventually("the way to the webhooks", async || {
            match self.kubectl.run(&["apply", "-f", EXAMPLE]).await {
                Ok(_) => Ok(Seen::when(Some(()), String::new)),
                Err(error) if format!("{error:#}").contains("failed calling webhook") => {
                    Ok(Seen::when(None, || format!("{error:#}")))
                }
                Err(error) => Err(error),
            }
        })
        .await?;
        let labels = json!({"app": "answers"});
        let service = |name: &&str| {
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": SHOP},
                "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
            })
        };
        let mut items: Vec<Value> = SERVICES.iter().map(service).collect();
        let script = "busybox mkdir /tmp /tmp/site; echo ok > /tmp/site/health; \
                      exec busybox httpd -f -p 8080 -h /tmp/site";
        items.push(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "answers", "namespace": SHOP},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                        "name": "main",
                        "image": "busybox:1",
                        "command": ["sh", "-c", script],
                        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
                    }]},
                },
            },
        }));
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}))
            .await?;
        let deployment = ["rollout", "status", "deployment/answers", "--timeout=180s"];
        self.kubectl
            .run(&[&deployment[..], &["--namespace", SHOP]].concat())
            .await?;
        self.plan_is(PlanPhase::Ready).await?;
        seen(format!("{PLAN} is Ready, and six Services answer in {SHOP}"));
        Ok(())
    }

    pub(super) fn executions(&self, namespace: &str) -> Api<DRPlanExecution> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(super) fn plans(&self) -> Api<DRPlan> {
        Api::namespaced(self.client.clone(), SHOP)
    }

    /// Begins an Execute.
    pub(super) async fn forth(&self) -> anyhow::Result<Run> {
        self.begin(json!({"planRef": PLAN, "operationType": "Execute"}))
            .await
    }

    /// Begins the Revert of this run.
    pub(super) async fn back(&self, run: &Run) -> anyhow::Result<Run> {
        let revert = json!({"planRef": PLAN, "operationType": "Revert", "revertExecutionRef": run.name});
        self.begin(revert).await
    }

    async fn begin(&self, spec: Value) -> anyhow::Result<Run> {
        let execution: DRPlanExecution = serde_json::from_value(json!({
            "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
            "kind": "DRPlanExecution",
            "metadata": {"generateName": format!("{PLAN}-")},
            "spec": spec,
        }))?;
        let created = self
            .executions(SHOP)
            .create(&PostParams::default(), &execution)
            .await?;
        Ok(Run {
            name: created.name_any(),
            uid: created.uid().context("the execution has no UID")?,
        })
    }

    /// Waits until the run has Succeeded, and its plan is free for another. Returns the run's record.
    pub(super) async fn succeeded(&self, run: &Run, then: PlanPhase) -> anyhow::Result<DRPlanExecution> {
        let ended = self.ended(SHOP, &run.name).await?;
        let status = ended.status.clone().unwrap_or_default();
        ensure!(
            status.phase == ExecutionPhase::Succeeded,
            "{} is {:?}: {}",
            run.name,
            status.phase,
            status.message
        );
        self.plan_is(then).await?;
        Ok(ended)
    }

    /// Waits until the execution has ended, in whatever way.
    pub(super) async fn ended(&self, namespace: &str, name: &str) -> anyhow::Result<DRPlanExecution> {
        object_until(&self.executions(namespace), name, "has ended", |execution| {
            let phase = execution?.status.as_ref()?.phase;
            let is_over = matches!(
                phase,
                ExecutionPhase::Succeeded
                    | ExecutionPhase::Failed
                    | ExecutionPhase::Cancelled
                    | ExecutionPhase::Unknown
            );
            execution.filter(|_| is_over).cloned()
        })
        .await
    }

    async fn plan_is(&self, phase: PlanPhase) -> anyhow::Result<()> {
        object_until(&self.plans(), PLAN, &format!("is {phase:?}"), |plan| {
            (plan?.status.as_ref()?.phase == Some(phase)).then_some(())
        })
        .await
    }
}
