use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use drplan_testkit::{Direction, HttpStandIn, Proxy, ProxyMode, TestNamespace};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::net::TcpStream;

use crate::shared;

/// Starts a proxy in front of a stand-in; returns both and the URL of a path through the proxy.
async fn in_front_of_a_stand_in() -> anyhow::Result<(Proxy, HttpStandIn, String)> {
    let stand_in = HttpStandIn::start().await?;
    let server: SocketAddr = stand_in.url("").trim_start_matches("http://").parse()?;
    let proxy = Proxy::start(server).await?;
    let url = format!("http://127.0.0.1:{}/", proxy.port());
    Ok((proxy, stand_in, url))
}

#[tokio::test]
async fn a_cut_closes_connections_and_refuses_new_ones() -> anyhow::Result<()> {
    let (proxy, stand_in, url) = in_front_of_a_stand_in().await?;
    let client = reqwest::Client::new();
    assert!(client.get(&url).send().await?.status().is_success());
    assert_eq!(proxy.connections(), 1);

    proxy.set(ProxyMode::Cut).await?;
    assert_eq!(proxy.connections(), 0);
    client.get(&url).send().await.expect_err("the way is cut");
    let refused = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(stand_in.all().len(), 1);

    proxy.set(ProxyMode::Pass).await?;
    assert!(client.get(&url).send().await?.status().is_success());
    Ok(())
}

#[tokio::test]
async fn a_hang_holds_everything_back_until_it_is_over() -> anyhow::Result<()> {
    let (proxy, stand_in, url) = in_front_of_a_stand_in().await?;
    proxy.set(ProxyMode::Hang(Direction::Both)).await?;
    let request = tokio::spawn(reqwest::Client::new().get(&url).send());
    proxy.connected(1).await?;
    assert!(!request.is_finished());
    assert_eq!(stand_in.all().len(), 0);
    proxy.set(ProxyMode::Pass).await?;
    assert!(request.await??.status().is_success());
    Ok(())
}

#[tokio::test]
async fn a_hang_towards_the_client_lets_requests_take_effect() -> anyhow::Result<()> {
    let (proxy, stand_in, url) = in_front_of_a_stand_in().await?;
    proxy.set(ProxyMode::Hang(Direction::ToClient)).await?;
    let request = tokio::spawn(reqwest::Client::new().get(&url).send());
    stand_in.wait_for("/", 1).await?;
    assert!(!request.is_finished());
    proxy.set(ProxyMode::Cut).await?;
    request.await?.expect_err("the answer is lost");
    Ok(())
}

#[tokio::test]
async fn a_hang_towards_the_server_does_not() -> anyhow::Result<()> {
    let (proxy, stand_in, url) = in_front_of_a_stand_in().await?;
    proxy.set(ProxyMode::Hang(Direction::ToServer)).await?;
    let request = tokio::spawn(reqwest::Client::new().get(&url).send());
    proxy.connected(1).await?;
    proxy.set(ProxyMode::Cut).await?;
    request.await?.expect_err("the request is lost");
    assert_eq!(stand_in.all().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_delay_is_no_loss() -> anyhow::Result<()> {
    let (proxy, _stand_in, url) = in_front_of_a_stand_in().await?;
    proxy.set(ProxyMode::Delay(Duration::from_millis(30))).await?;
    assert!(reqwest::get(&url).await?.status().is_success());
    Ok(())
}

#[tokio::test]
async fn the_api_server_is_verified_through_a_proxy() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let proxy = Proxy::to_api_server(&control_plane).await?;
        let kubeconfig =
            Kubeconfig::read_from(proxy.kubeconfig_for(&control_plane, "erin", Some("system:masters"))?)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        let config_maps: Api<ConfigMap> = Api::namespaced(Client::try_from(config)?, &t.name);
        assert!(config_maps.get_opt("none").await?.is_none());
        assert_eq!(proxy.connections(), 1);
        proxy.set(ProxyMode::Cut).await?;
        config_maps.get_opt("none").await.expect_err("the way is cut");
        assert!(
            t.api::<ConfigMap>().get_opt("none").await?.is_none(),
            "the others go on"
        );
        Ok(())
    };
    control_plane.with_namespace("proxy", test).await
}
