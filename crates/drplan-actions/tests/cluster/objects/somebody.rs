//! Somebody else, who has to do with the same object.

use std::collections::BTreeMap;

use anyhow::Context;
use drplan_testkit::{TestNamespace, object_until};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

/// What somebody else puts on an object to hold it.
pub(super) const FINALIZER: &str = "actions.drplan/hold";

/// What somebody else does to the ConfigMap `settings`.
pub(super) struct Somebody {
    pub(super) maps: Api<ConfigMap>,
}

impl Somebody {
    pub(super) fn new(t: &TestNamespace) -> Self {
        Self::in_namespace(&t.client, &t.name)
    }

    pub(super) fn in_namespace(client: &Client, namespace: &str) -> Self {
        Self {
            maps: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Makes it with this one value; tells its UID.
    pub(super) async fn makes(&self, key: &str, value: &str) -> anyhow::Result<String> {
        let map = json!({"metadata": {"name": "settings"}, "data": {key: value}});
        let params = PostParams {
            field_manager: Some("somebody".to_owned()),
            ..PostParams::default()
        };
        let made = self.maps.create(&params, &serde_json::from_value(map)?).await?;
        made.metadata.uid.context("it has a UID")
    }

    /// Changes one value.
    pub(super) async fn changes(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"data": {key: value}}));
        let params = PatchParams {
            field_manager: Some("somebody".to_owned()),
            ..PatchParams::default()
        };
        self.maps.patch("settings", &params, &patch).await?;
        Ok(())
    }

    /// Deletes it and waits until it is gone.
    pub(super) async fn removes(&self) -> anyhow::Result<()> {
        self.deletes().await?;
        object_until(&self.maps, "settings", "is gone", |map| {
            map.is_none().then_some(())
        })
        .await
    }

    pub(super) async fn deletes(&self) -> anyhow::Result<()> {
        self.maps.delete("settings", &DeleteParams::default()).await?;
        Ok(())
    }

    /// Puts a finalizer on it, or takes it off.
    pub(super) async fn holds(&self, holds: bool) -> anyhow::Result<()> {
        let finalizers: &[&str] = if holds { &[FINALIZER] } else { &[] };
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        self.maps
            .patch("settings", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// The object as it is.
    pub(super) async fn sees(&self) -> anyhow::Result<ConfigMap> {
        Ok(self.maps.get("settings").await?)
    }

    /// All its values.
    pub(super) async fn reads(&self) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(self.sees().await?.data.unwrap_or_default())
    }
}
