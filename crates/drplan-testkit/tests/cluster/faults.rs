use drplan_testkit::{Component, ControlPlane, Options};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::processes::lives;

#[tokio::test]
async fn components_can_be_paused_killed_and_restarted_and_keep_their_data() -> anyhow::Result<()> {
    let control_plane = ControlPlane::start(Options::api_only()).await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(control_plane.client()?, "default");
    let one = serde_json::from_value(json!({"metadata": {"name": "one"}}))?;
    config_maps.create(&PostParams::default(), &one).await?;

    control_plane.pause(Component::ApiServer)?;
    let get = tokio::spawn({
        let config_maps = config_maps.clone();
        async move { config_maps.get("one").await }
    });
    assert!(!get.is_finished());
    control_plane.resume(Component::ApiServer)?;
    get.await??;

    for component in [Component::ApiServer, Component::Etcd] {
        let pid = control_plane.pid(component).unwrap_or_default();
        control_plane.kill(component)?;
        assert!(!lives(pid));
        assert_eq!(control_plane.pid(component), None);
        if component == Component::ApiServer {
            config_maps.get("one").await.expect_err("nothing listens");
        }
        control_plane.restart(component).await?;
        config_maps.get("one").await?;
    }
    Ok(())
}
