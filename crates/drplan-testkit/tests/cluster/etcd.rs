use drplan_testkit::{TestNamespace, etcd_key};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{shared, toys};

#[tokio::test]
async fn what_is_put_into_etcd_is_served_although_the_schema_forbids_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let toys: Api<DynamicObject> =
            Api::namespaced_with(t.client.clone(), &t.name, &toys::resource("Toy", "toys"));
        let key = etcd_key("testkit.drplan", "toys", Some(&t.name), "car");
        assert_eq!(control_plane.etcd_get(&key).await?, None);
        let car = json!({
            "apiVersion": "testkit.drplan/v1",
            "kind": "Toy",
            "metadata": {"name": "car", "namespace": t.name, "uid": "00000000-0000-0000-0000-000000000001"},
            "spec": {"wheels": "four"},
        });
        control_plane.etcd_put(&key, &car).await?;
        let stored = control_plane.etcd_get(&key).await?.unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Value>(&stored)?, car);
        assert_eq!(toys.get("car").await?.data["spec"]["wheels"], "four");

        control_plane.etcd_delete(&key).await?;
        assert!(toys.get_opt("car").await?.is_none());
        Ok(())
    };
    control_plane.with_namespace("etcd", test).await
}
