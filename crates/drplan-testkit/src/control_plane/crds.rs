//! Installing CustomResourceDefinitions.

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::{Api, Client};

use crate::eventually::{Seen, eventually, object_until};

/// The two kinds of Clusternet that actions write, with the fields that users write in them.
pub const CLUSTERNET_KINDS: &str = include_str!("../clusternet.yaml");

/// Installs the definitions in the texts and waits until their objects can be made.
pub(super) async fn install(client: &Client, texts: &[String]) -> anyhow::Result<()> {
    let mut definitions: Vec<CustomResourceDefinition> = Vec::new();
    for text in texts {
        definitions.extend(serde_saphyr::from_multiple(text).context("failed to read a CRD")?);
    }
    try_join_all(
        definitions
            .iter()
            .map(|definition| install_one(client, definition)),
    )
    .await?;
    Ok(())
}

async fn install_one(client: &Client, definition: &CustomResourceDefinition) -> anyhow::Result<()> {
    let name = definition.metadata.name.as_deref().context("a CRD has no name")?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), definition)
        .await
        .with_context(|| format!("failed to install the CRD `{name}`"))?;
    object_until(&definitions, name, "is established", |definition| {
        let conditions = definition?.status.as_ref()?.conditions.as_ref()?;
        conditions
            .iter()
            .any(|condition| condition.type_ == "Established" && condition.status == "True")
            .then_some(())
    })
    .await?;
    // Established means accepted; the handlers follow a moment later.
    for version in definition.spec.versions.iter().filter(|version| version.served) {
        let resource = ApiResource {
            group: definition.spec.group.clone(),
            version: version.name.clone(),
            api_version: format!("{}/{}", definition.spec.group, version.name),
            kind: definition.spec.names.kind.clone(),
            plural: definition.spec.names.plural.clone(),
        };
        let objects: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        eventually(&format!("objects of `{name}` to be served"), async || {
            objects.list(&ListParams::default().limit(1)).await?;
            Ok(Seen::Done(()))
        })
        .await?;
    }
    Ok(())
}
