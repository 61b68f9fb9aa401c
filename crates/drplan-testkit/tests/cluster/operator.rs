use drplan_testkit::{OperatorLaunch, Proxy, ProxyMode, TestNamespace, object_until};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use crate::processes::lives;
use crate::shared;

fn toy(launch: OperatorLaunch) -> OperatorLaunch {
    launch.program(env!("CARGO_BIN_EXE_testkit-toy-operator"))
}

fn message(line: &Value) -> Option<&str> {
    line["message"].as_str()
}

#[tokio::test]
async fn an_operator_becomes_ready_is_killed_and_comes_back() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let launch = toy(t.privileged_launch()?).env("TOY_GREETING", "hello");
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        t.api::<ConfigMap>().get("greeting").await?;
        assert_eq!(operator.log()?[0]["greeting"], "hello");
        t.audit()
            .user(&format!("operator:{}", t.name))
            .resource("configmaps")
            .verb("patch")
            .wait_for(1)
            .await?;

        let first = operator.pid()?;
        operator.kill9().await?;
        assert!(!lives(first));
        assert_eq!(operator.ended().await?, 128 + 9);

        operator.restart().await?;
        assert_ne!(operator.pid()?, first);
        let lines = operator.log()?;
        assert_eq!(
            lines.iter().filter(|line| message(line) == Some("ready")).count(),
            2
        );

        assert_eq!(operator.terminate().await?, 0);
        operator
            .logged("its farewell", |line| {
                (message(line) == Some("ending")).then_some(())
            })
            .await
    };
    control_plane.with_namespace("operator", test).await
}

#[tokio::test]
async fn an_operator_that_is_stopped_goes_on_where_it_was() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.launch_operator(toy(t.privileged_launch()?)).await?;
        operator.ready().await?;
        operator.stop()?;
        let state = std::fs::read_to_string(format!("/proc/{}/stat", operator.pid()?))?;
        assert!(state.contains(") T "), "{state}");
        operator.cont()?;
        operator.ready().await
    };
    control_plane.with_namespace("operator-stopped", test).await
}

#[tokio::test]
async fn an_operator_that_ends_at_once_is_an_error_with_its_log() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t
            .launch_operator(toy(t.privileged_launch()?).arg("--exit=3"))
            .await?;
        let error = format!("{:#}", operator.ready().await.expect_err("it ends"));
        assert!(
            error.contains("exit code 3") && error.contains(r#""message":"starting""#),
            "{error}"
        );
        Ok(())
    };
    control_plane.with_namespace("operator-ends", test).await
}

#[tokio::test]
async fn an_operator_behind_a_proxy_loses_the_api_server_alone() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let proxy = Proxy::to_api_server(&control_plane).await?;
        proxy.set(ProxyMode::Cut).await?;
        let kubeconfig = proxy.kubeconfig_for(&control_plane, "cut-off", Some("system:masters"))?;
        let operator = t
            .launch_operator(toy(t.privileged_launch()?.kubeconfig(kubeconfig)))
            .await?;
        assert_eq!(operator.ended().await?, 1, "{}", operator.log_tail(20));
        assert!(t.api::<ConfigMap>().get_opt("greeting").await?.is_none());

        proxy.set(ProxyMode::Pass).await?;
        operator.restart().await?;
        object_until(&t.api::<ConfigMap>(), "greeting", "is there", |map| map.map(drop)).await
    };
    control_plane.with_namespace("operator-proxied", test).await
}
