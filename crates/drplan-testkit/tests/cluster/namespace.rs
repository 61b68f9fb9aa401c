use drplan_testkit::{ControlPlane, TestNamespace, object_until};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::json;
use std::sync::OnceLock;

use crate::shared;

async fn gone(control_plane: &ControlPlane, name: &str) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(control_plane.client()?);
    object_until(&namespaces, name, "is gone", |namespace| {
        namespace.is_none().then_some(())
    })
    .await
}

#[tokio::test]
async fn namespaces_are_distinct_and_gone_after_the_test() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |outer: &TestNamespace| {
        let inner = OnceLock::new();
        let test = async |t: &TestNamespace| {
            assert_ne!(t.name, outer.name);
            inner.get_or_init(|| t.name.clone());
            Ok(())
        };
        control_plane.with_namespace("same", test).await?;
        gone(&control_plane, inner.get().expect("the inner test ran")).await
    };
    control_plane.with_namespace("same", test).await
}

#[tokio::test]
async fn a_failure_is_handed_on_and_the_namespace_goes() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let name = OnceLock::new();
    let test = async |t: &TestNamespace| {
        name.get_or_init(|| t.name.clone());
        anyhow::bail!("this failure is part of the test")
    };
    let error = control_plane
        .with_namespace("fails", test)
        .await
        .expect_err("the test fails");
    assert_eq!(error.to_string(), "this failure is part of the test");
    gone(&control_plane, name.get().expect("the test ran")).await
}

#[tokio::test]
async fn a_panic_is_handed_on_and_the_namespace_goes() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let (sender, name) = std::sync::mpsc::channel();
    let panicking = tokio::spawn({
        let control_plane = control_plane.clone();
        async move {
            let test = async |t: &TestNamespace| {
                sender.send(t.name.clone())?;
                panic!("this panic is part of the test")
            };
            control_plane.with_namespace("panics", test).await
        }
    });
    assert!(panicking.await.expect_err("the test panics").is_panic());
    gone(&control_plane, &name.recv()?).await
}

#[tokio::test]
async fn a_namespace_goes_although_nobody_serves_its_finalizers_any_more() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let name = OnceLock::new();
    let test = async |t: &TestNamespace| {
        name.get_or_init(|| t.name.clone());
        let kind = GroupVersionKind::gvk("dr.bkbcs.tencent.com", "v1alpha1", "DRPlan");
        let resource = ApiResource::from_gvk_with_plural(&kind, "drplans");
        let plans: Api<DynamicObject> = Api::namespaced_with(t.client.clone(), &t.name, &resource);
        let mut plan = DynamicObject::new("held", &resource).data(json!({"spec": {}}));
        plan.metadata.finalizers = Some(vec!["dr.bkbcs.tencent.com/held".into()]);
        plans.create(&PostParams::default(), &plan).await?;
        Ok(())
    };
    control_plane.with_namespace("finalizers", test).await?;
    gone(&control_plane, name.get().expect("the test ran")).await
}
