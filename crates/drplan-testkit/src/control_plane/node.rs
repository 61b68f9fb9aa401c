//! The one node that pods run on, or seem to.

use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::eventually::object_until;

/// Makes the node and waits until KWOK has made it ready.
pub(super) async fn add(client: &Client) -> anyhow::Result<()> {
    let node = serde_json::from_value(json!({
        "metadata": {
            "name": "kwok-0",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": "kwok-0", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
    }))?;
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.create(&PostParams::default(), &node).await?;
    object_until(&nodes, "kwok-0", "is ready", |node| {
        let conditions = node?.status.as_ref()?.conditions.as_ref()?;
        conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            .then_some(())
    })
    .await
}
