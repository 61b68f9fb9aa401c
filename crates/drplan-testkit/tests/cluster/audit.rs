use drplan_testkit::TestNamespace;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use crate::shared;

#[tokio::test]
async fn the_audit_log_tells_who_did_what_and_what_came_of_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let client = control_plane.client_as("carol", Some("system:masters")).await?;
        let config_maps: Api<ConfigMap> = Api::namespaced(client, &t.name);
        let one = serde_json::from_value(json!({"metadata": {"name": "one"}}))?;
        config_maps.create(&PostParams::default(), &one).await?;
        config_maps
            .create(&PostParams::default(), &one)
            .await
            .expect_err("it is there");
        config_maps.list(&ListParams::default()).await?;

        let by_carol = t.audit().user("carol").resource("configmaps");
        let created = by_carol.clone().verb("create").wait_for(2).await?;
        let codes: Vec<u16> = created.iter().map(|entry| entry.code()).collect();
        assert_eq!(codes, [201, 409]);
        let object = created[0].object_ref.clone().unwrap_or_default();
        assert_eq!(
            (object.name.as_str(), object.namespace.as_str()),
            ("one", t.name.as_str())
        );
        assert!(
            created[0]
                .request_uri
                .starts_with(&format!("/api/v1/namespaces/{}/configmaps", t.name))
        );
        assert_eq!(created[0].stage, "ResponseComplete");
        assert!(created[0].user.groups.contains(&"system:masters".into()));
        by_carol.clone().verb("list").code(200).wait_for(1).await?;

        assert_eq!(by_carol.clone().verb("delete").entries()?.len(), 0);
        assert_eq!(t.audit().user("nobody").entries()?.len(), 0);
        assert_eq!(control_plane.audit().from_now().user("carol").entries()?.len(), 0);
        Ok(())
    };
    control_plane.with_namespace("audit", test).await
}

#[tokio::test]
async fn impersonation_shows_both_users() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let path = format!("/api/v1/namespaces/{}/configmaps", t.name);
        let request = http::Request::get(path)
            .header("Impersonate-User", "dave")
            .body(Vec::new())?;
        t.client.request_text(request).await.expect_err("dave may not");
        let entries = t
            .audit()
            .impersonated("dave")
            .verb("list")
            .code(403)
            .wait_for(1)
            .await?;
        assert_eq!(entries[0].user.username, "testkit:admin");
        Ok(())
    };
    control_plane.with_namespace("impersonation", test).await
}
