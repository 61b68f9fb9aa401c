//! The unit in which everything else is told: one write of a status as large as that of a run of 20 actions.

use anyhow::Context;
use drplan_api::DRPlanExecution;
use http::{HeaderValue, header::ACCEPT};
use kube::api::{PartialObjectMeta, Patch, PatchParams, PostParams, Request};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::figures::Figures;
use crate::bench::objects::object;

/// Where the execution is: not in the operator's namespace.
const NAMESPACE: &str = "default";
/// As the operator asks for its answers.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Writes of the status of an execution that no operator acts on: its namespace is not the operator's.
pub(super) struct Unit {
    client: Client,
    name: String,
    version: String,
    status: Value,
    written: usize,
    pub(super) figures: Figures,
}

impl Unit {
    /// Of an execution in the namespace `default`, with `status`.
    pub(super) async fn new(client: Client, name: &str, status: Value) -> anyhow::Result<Self> {
        let executions: Api<DRPlanExecution> = Api::namespaced(client.clone(), NAMESPACE);
        let execution = object(name, json!({"planRef": "none", "operationType": "Execute"}))?;
        executions.create(&PostParams::default(), &execution).await?;
        // As the operator has it: without an account of who set which field.
        let unmanaged = Patch::Merge(json!({"metadata": {"managedFields": [{}]}}));
        let execution = executions
            .patch(name, &PatchParams::default(), &unmanaged)
            .await?;
        Ok(Self {
            client,
            name: name.to_owned(),
            version: execution.resource_version().context("it has a version")?,
            status,
            written: 0,
            figures: Figures::default(),
        })
    }

    /// Writes `count` times, as the operator does: by compare-and-swap, the whole status, for an answer of metadata alone.
    pub(super) async fn write(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            self.written += 1;
            self.status["message"] = format!("write {}", self.written).into();
            let text = serde_json::to_vec(&json!({
                "apiVersion": DRPlanExecution::api_version(&()),
                "kind": DRPlanExecution::kind(&()),
                "metadata": {"name": self.name, "namespace": NAMESPACE, "resourceVersion": self.version},
                "status": self.status,
            }))?;
            let path = DRPlanExecution::url_path(&(), Some(NAMESPACE));
            let put =
                Request::new(path).replace_subresource("status", &self.name, &PostParams::default(), text);
            let mut put = put?;
            put.headers_mut()
                .insert(ACCEPT, HeaderValue::from_static(METADATA_ONLY));
            let begun = Instant::now();
            let written: PartialObjectMeta<DRPlanExecution> = self
                .client
                .request(put)
                .await
                .context("failed to write the status")?;
            self.figures.add(begun.elapsed());
            self.version = written.resource_version().context("it has a version")?;
        }
        Ok(())
    }
}
