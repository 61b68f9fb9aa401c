//! Where the operator lets calls go.

use drplan_testkit::{Answer, HttpStandIn, TestNamespace};

use crate::fixtures::{action_of, apply_plan, create, execution, execution_until, get, post, text};
use crate::shared;

/// Runs one call under `name` and returns the record of its end, Failed after one attempt.
async fn refused(t: &TestNamespace, name: &str, url: &str) -> anyhow::Result<String> {
    let call = get("call", url)
        .doing("followRedirects", true.into())
        .retried(3, "1ms");
    apply_plan(t, name, &[call]).await?;
    create(t, &execution(name, name)).await?;
    let ended = execution_until(t, name, "Failed").await?;
    let action = action_of(&ended, &format!("main/{name}[0]/call"));
    assert_eq!(action["attempts"], 1, "a refused destination is not tried again");
    Ok(text(action, "/message").to_owned())
}

#[tokio::test]
async fn calls_go_where_the_flags_let_them_and_through_no_proxy_of_the_environment() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (trap, denied) = (HttpStandIn::start().await?, HttpStandIn::start().await?);
        let mut launch = t
            .operator_launch()?
            .arg("--http-allow=127.0.0.1,db.example")
            .arg("--http-deny=127.0.0.2");
        for variable in [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ] {
            launch = launch.env(variable, trap.url(""));
        }
        t.launch_operator(launch.env("NO_PROXY", ""))
            .await?
            .ready()
            .await?;

        apply_plan(t, "allowed", &[post("call", &t.stand_in.url("/call"))]).await?;
        create(t, &execution("allowed", "allowed")).await?;
        execution_until(t, "allowed", "Succeeded").await?;

        let message = refused(t, "metadata", "http://169.254.169.254/latest/meta-data/?k=v").await?;
        assert!(
            message.ends_with(
                "169.254.169.254 is link-local, where clouds serve metadata, which only an address or range in \
                 --http-allow opens"
            ),
            "{message}"
        );
        let port = denied.address().port();
        let message = refused(t, "denied", &format!("http://127.0.0.2:{port}/")).await?;
        assert!(
            message.ends_with("127.0.0.2 is denied by --http-deny=127.0.0.2"),
            "{message}"
        );
        let message = refused(t, "other", "http://127.0.0.3/").await?;
        assert!(
            message.ends_with("is not among the destinations of --http-allow"),
            "{message}"
        );

        let away = Answer::status(302).header("Location", "http://0xa9fea9fe/latest/meta-data/");
        t.stand_in.script("/away", [away]);
        let message = refused(t, "redirected", &t.stand_in.url("/away")).await?;
        assert!(message.contains("169.254.169.254 is link-local"), "{message}");

        assert_eq!((trap.all().len(), denied.all().len()), (0, 0));
        Ok(())
    };
    control_plane.with_namespace("egress", test).await
}

#[tokio::test]
async fn the_proxy_of_the_flag_gets_every_call() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let launch = t.operator_launch()?.arg("--http-deny=*.denied.invalid");
        let launch = launch.env("DRPLAN_HTTP_PROXY", t.stand_in.url(""));
        t.launch_operator(launch).await?.ready().await?;
        apply_plan(t, "shop", &[post("call", "http://db.invalid/switch")]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        assert_eq!(t.stand_in.all().len(), 1);
        let message = refused(t, "denied", "http://db.denied.invalid/").await?;
        assert!(
            message.ends_with("is denied by --http-deny=*.denied.invalid"),
            "{message}"
        );
        assert_eq!(t.stand_in.all().len(), 1);
        Ok(())
    };
    control_plane.with_namespace("proxied", test).await
}
