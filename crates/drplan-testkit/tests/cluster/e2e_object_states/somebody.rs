//! Somebody else, who has to do with the same objects.

use anyhow::Context;
use drplan_testkit::{TestNamespace, object_until};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// What somebody holds an object with.
pub(super) const HOLD: &str = "testkit.drplan/hold";

/// The name under which somebody writes.
const MANAGER: &str = "somebody";

/// What somebody does to ConfigMaps.
pub(super) struct Somebody {
    client: Client,
    /// Where they are.
    pub(super) namespace: String,
    maps: Api<ConfigMap>,
}

impl Somebody {
    /// In the test's own namespace.
    pub(super) fn in_own(t: &TestNamespace) -> Self {
        Self::in_namespace(t, t.name.clone())
    }

    /// In another one, which is made.
    pub(super) async fn beside(t: &TestNamespace) -> anyhow::Result<Self> {
        let name = format!("{}-going", t.name);
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        let namespaces: Api<Namespace> = Api::all(t.client.clone());
        namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(Self::in_namespace(t, name))
    }

    fn in_namespace(t: &TestNamespace, namespace: String) -> Self {
        Self {
            client: t.client.clone(),
            maps: Api::namespaced(t.client.clone(), &namespace),
            namespace,
        }
    }

    /// Makes it with `k=theirs`.
    pub(super) async fn makes(&self, name: &str) -> anyhow::Result<()> {
        let map = json!({
            "metadata": {"name": name, "labels": {"app": "theirs"}, "annotations": {"note": "theirs"}},
            "data": {"k": "theirs"},
        });
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let made = self.maps.create(&params, &serde_json::from_value(map)?).await;
        made.with_context(|| format!("somebody fails to make {name}"))?;
        Ok(())
    }

    /// Deletes it and makes another.
    pub(super) async fn remakes(&self, name: &str) -> anyhow::Result<()> {
        self.deletes(name).await?;
        object_until(&self.maps, name, "is gone", |map| map.is_none().then_some(())).await?;
        self.makes(name).await
    }

    /// Sets these values.
    pub(super) async fn changes(&self, name: &str, data: Value) -> anyhow::Result<()> {
        self.patch(name, json!({ "data": data })).await
    }

    /// Puts a finalizer on it.
    pub(super) async fn holds(&self, name: &str) -> anyhow::Result<()> {
        self.patch(name, json!({"metadata": {"finalizers": [HOLD]}}))
            .await
    }

    /// Takes the finalizer off.
    pub(super) async fn lets_go(&self, name: &str) -> anyhow::Result<()> {
        self.patch(name, json!({"metadata": {"finalizers": null}})).await
    }

    /// Deletes it, without waiting until it is gone.
    pub(super) async fn deletes(&self, name: &str) -> anyhow::Result<()> {
        self.maps.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Deletes the namespace, and waits until all in it is deleted or being deleted.
    pub(super) async fn deletes_namespace(&self, held: &[&str], others: &[&str]) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await?;
        for name in held {
            object_until(&self.maps, name, "is being deleted", |map| {
                map?.metadata.deletion_timestamp.as_ref().map(drop)
            })
            .await?;
        }
        for name in others {
            object_until(&self.maps, name, "is gone", |map| map.is_none().then_some(())).await?;
        }
        Ok(())
    }

    /// It, as it is now.
    pub(super) async fn sees(&self, name: &str) -> anyhow::Result<Option<Value>> {
        let map = self.maps.get_opt(name).await?;
        Ok(map.map(serde_json::to_value).transpose()?)
    }

    async fn patch(&self, name: &str, patch: Value) -> anyhow::Result<()> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched = self.maps.patch(name, &params, &Patch::Merge(patch)).await;
        patched.with_context(|| format!("somebody fails to change {name}"))?;
        Ok(())
    }
}

/// The data of a ConfigMap, `"k=theirs ours=v"`.
pub(super) fn data_of(map: &Value) -> String {
    let data = map["data"].as_object().cloned().unwrap_or_default();
    let pairs = data
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(" ")
}
