//! Uninstalling, and installing again.

use anyhow::ensure;
use drplan_api::status::PlanPhase;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::shop::{PLAN, Run, SHOP};
use super::{Trial, seen};
use crate::eventually::{Seen, eventually};

/// What the operator registers by itself.
const REGISTERED: &str = "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";

impl Trial<'_> {
    /// Uninstalls the chart, sees that plans and records stay and can be written, installs it again, and undoes a run of
    /// before.
    pub(super) async fn again(&self, run: &Run) -> anyhow::Result<()> {
        let before = self.records().await?;
        let begun = Timestamp::now();
        self.uninstall().await?;
        self.uninstalled.set(Some((begun, Timestamp::now())));
        ensure!(self.records().await? == before, "plans or records were changed");
        seen(format!(
            "uninstalled; {} plans, workflows and records are as they were",
            before.len()
        ));
        // They go by the garbage collector, with the role that owns them.
        eventually("webhooks and policies to be gone", async || {
            let left = self.kubectl.run(&["get", REGISTERED, "-o", "name"]).await?;
            let left: Vec<&str> = left.lines().filter(|name| name.contains("drplan")).collect();
            Ok(Seen::when(left.is_empty().then_some(()), || left.join(" ")))
        })
        .await?;
        let spec = r#"{"spec": {"description": "written while there is no operator"}}"#;
        let patch = [
            "patch",
            "drplan",
            PLAN,
            "--namespace",
            SHOP,
            "--type=merge",
            "--patch",
            spec,
        ];
        self.kubectl.run(&patch).await?;
        seen("no webhook is left, and a plan can be written");

        self.install().await?;
        let revert = self.back(run).await?;
        self.succeeded(&revert, PlanPhase::Ready).await?;
        self.undone_once(run, &[]).await?;
        let history = self.plans().get(PLAN).await?;
        let history = history
            .status
            .map(|status| status.execution_history)
            .unwrap_or_default();
        ensure!(
            history.len() == 4,
            "the plan's history has {} entries",
            history.len()
        );
        seen(format!(
            "installed again; {} undid {}, and the history has all four runs",
            revert.name, run.name
        ));
        Ok(())
    }

    /// All objects of our kinds, without what the API server counts.
    async fn records(&self) -> anyhow::Result<Vec<Value>> {
        let mut records = Vec::new();
        for execution in self.executions(SHOP).list(&ListParams::default()).await? {
            records.push(json!([
                execution.name_any(),
                execution.uid(),
                execution.spec,
                execution.status
            ]));
        }
        for plan in self.plans().list(&ListParams::default()).await? {
            records.push(json!([plan.name_any(), plan.uid(), plan.spec, plan.status]));
        }
        let workflows = ["get", "drworkflows", "--all-namespaces", "-o", "json"];
        let workflows: Value = serde_json::from_str(&self.kubectl.run(&workflows).await?)?;
        for workflow in workflows["items"].as_array().into_iter().flatten() {
            records.push(json!([
                workflow["metadata"]["name"],
                workflow["metadata"]["uid"],
                workflow["spec"]
            ]));
        }
        Ok(records)
    }
}
