//! The unit in which everything else is told: one write of a status as large as that of a run of 20 actions.

use anyhow::Context;
use drplan_api::DRPlanExecution;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::figures::Figures;
use crate::bench::objects::object;

/// Writes of the status of an execution that no operator acts on: its namespace is not the operator's.
pub(super) struct Unit {
    executions: Api<DRPlanExecution>,
    name: String,
    version: String,
    status: Value,
    written: usize,
    pub(super) figures: Figures,
}

impl Unit {
    /// Of an execution in the namespace `default`, with `status`.
    pub(super) async fn new(client: kube::Client, name: &str, status: Value) -> anyhow::Result<Self> {
        let executions = Api::namespaced(client, "default");
        let execution = object(name, json!({"planRef": "none", "operationType": "Execute"}))?;
        let execution: DRPlanExecution = executions.create(&PostParams::default(), &execution).await?;
        Ok(Self {
            executions,
            name: name.to_owned(),
            version: execution.resource_version().context("it has a version")?,
            status,
            written: 0,
            figures: Figures::default(),
        })
    }

    /// Writes `count` times, as the operator does: by compare-and-swap, the whole status.
    pub(super) async fn write(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            self.written += 1;
            self.status["message"] = format!("write {}", self.written).into();
            let patch = json!([
                {"op": "replace", "path": "/metadata/resourceVersion", "value": self.version},
                {"op": "add", "path": "/status", "value": self.status},
            ]);
            let patch = Patch::<Value>::Json(serde_json::from_value(patch)?);
            let begun = Instant::now();
            let written = self
                .executions
                .patch_status(&self.name, &PatchParams::default(), &patch)
                .await
                .context("failed to write the status")?;
            self.figures.add(begun.elapsed());
            self.version = written.resource_version().context("it has a version")?;
        }
        Ok(())
    }
}
