use drplan_testkit::{ControlPlane, Options, etcd_key};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};

const CRD: &str = r#"{
  "apiVersion": "apiextensions.k8s.io/v1",
  "kind": "CustomResourceDefinition",
  "metadata": {"name": "toys.testkit.drplan"},
  "spec": {
    "group": "testkit.drplan",
    "scope": "Namespaced",
    "names": {"kind": "Toy", "plural": "toys"},
    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
      "type": "object",
      "properties": {"spec": {"type": "object", "properties": {"wheels": {"type": "integer"}}}}
    }}}]
  }
}"#;

#[tokio::test]
async fn what_is_put_into_etcd_is_served_although_the_schema_forbids_it() -> anyhow::Result<()> {
    let control_plane = ControlPlane::start(Options::api_only().with_crds([CRD.into()])).await?;
    let resource = ApiResource {
        group: "testkit.drplan".into(),
        version: "v1".into(),
        api_version: "testkit.drplan/v1".into(),
        kind: "Toy".into(),
        plural: "toys".into(),
    };
    let toys: Api<DynamicObject> = Api::namespaced_with(control_plane.client()?, "default", &resource);

    let key = etcd_key("testkit.drplan", "toys", Some("default"), "car");
    assert_eq!(control_plane.etcd_get(&key).await?, None);
    let car = json!({
        "apiVersion": "testkit.drplan/v1",
        "kind": "Toy",
        "metadata": {"name": "car", "namespace": "default", "uid": "00000000-0000-0000-0000-000000000001"},
        "spec": {"wheels": "four"},
    });
    control_plane.etcd_put(&key, &car).await?;
    let stored = control_plane.etcd_get(&key).await?.unwrap_or_default();
    assert_eq!(serde_json::from_slice::<Value>(&stored)?, car);
    assert_eq!(toys.get("car").await?.data["spec"]["wheels"], "four");
    assert_eq!(toys.list(&ListParams::default()).await?.items.len(), 1);

    control_plane.etcd_delete(&key).await?;
    assert!(toys.get_opt("car").await?.is_none());
    Ok(())
}
