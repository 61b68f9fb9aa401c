//! Values of Secrets: sent where the author says, shown nowhere.

mod canary;
mod plugin;

use std::collections::BTreeSet;

use drplan_testkit::{Answer, ControlPlane, Options, TestNamespace};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::fixtures::{
    Action, action_of, apply, create, execution, execution_until, get, phases, plan, post, released,
    resource, revert, text, workflow,
};
use crate::rights::until_allowed;
use crate::{options, shared};
use canary::{CORE, NUMBER, Shown, echoes, header_value, value};

/// A Secret of these keys, made or changed.
async fn secret(t: &TestNamespace, name: &str, data: Value) -> anyhow::Result<()> {
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    let applied = Patch::Apply(&secret);
    t.api::<Secret>()
        .patch(name, &PatchParams::apply("test").force(), &applied)
        .await?;
    Ok(())
}

fn from_secret(key: &str) -> Value {
    json!({"secretKeyRef": {"name": "db", "key": key}})
}

fn saved(action: Action) -> Action {
    action.doing("saveBody", true.into())
}

/// The workflow of the canary: every place where a value may go, and every way in which it comes back.
fn everywhere(t: &TestNamespace) -> crate::fixtures::Manifest {
    let url = |path: &str| t.stand_in.url(path);
    let made = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: made\nstringData:\n  a: '{{ .params.text }}'\ndata:\n  \
                b: {{ .params.text | b64enc }}\n";
    let refused =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: refused\nstringData:\n  a: {{ .params.number }}\n";
    workflow("flow")
        .with("failurePolicy", "Continue".into())
        .parameter(json!({"name": "text"}))
        .parameter(json!({"name": "head"}))
        .parameter(json!({"name": "number", "type": "int", "valueFrom": from_secret("number")}))
        .parameter(json!({"name": "lines", "valueFrom": from_secret("lines")}))
        .action(saved(get("query", &url("/query?k={{ .params.text }}"))).undone_by(
            saved(post("undo", &url("/undo?k={{ .params.text }}"))).doing("headersFrom", json!([
                {"name": "Authorization", "valueFrom": from_secret("head")},
            ])),
        ))
        .action(
            saved(post("header", &url("/header")))
                .doing("headers", json!({"X-Bearer": "Bearer {{ .params.head }}", "X-Basic": "Basic {{ .params.head | b64enc }}"}))
                .doing("headersFrom", json!([{"name": "Authorization", "valueFrom": from_secret("head")}])),
        )
        .action(
            saved(post("body", &url("/body")))
                .doing("body", "{\"a\": {{ .params.text }}, \"n\": {{ .params.number }}}".into())
                .retried(3, "1ms"),
        )
        .action(saved(post("whole", &url("/whole"))).doing("bodyFrom", from_secret("text")))
        .action(saved(post("reader", &url("/reader"))).doing("body", "{{ .outputs.query.body }}".into()))
        .action(get("away", &url("/away?k={{ .params.text }}")).doing("followRedirects", true.into()))
        .action(post("bad", &url("/bad")).doing("headers", json!({"X-S": "{{ .params.head }}"})))
        .action(post("broken", "http://127.0.0.1:1/?k={{ .params.text }}"))
        .action(resource("make", "Create", made))
        .action(resource("refused", "Apply", refused))
        .action(post("unfit", &url("/unfit")).doing("headers", json!({"X-S": "{{ .params.lines }}"})))
}

#[tokio::test]
async fn a_value_of_a_secret_is_sent_and_shown_nowhere() -> anyhow::Result<()> {
    let options = Options {
        audit_bodies: true,
        ..options().await?
    };
    let control_plane = ControlPlane::start(options).await?;
    let test = async |t: &TestNamespace| {
        let operator = t
            .launch_operator(t.operator_launch()?.arg("--log-level=trace"))
            .await?;
        operator.ready().await?;
        let number = NUMBER.to_string();
        secret(
            t,
            "db",
            json!({"text": value(), "head": header_value(), "number": number.clone(), "lines": format!("{}\nx", value())}),
        )
        .await?;
        // A server knows what it was sent.
        let echo = |status: u16, values: &[String]| {
            Answer::status(status)
                .body(echoes(values))
                .header("X-Echo", &header_value())
        };
        let (both, numbers) = ([value(), header_value()], [value(), number]);
        t.stand_in.script("/query", [echo(200, &both[..1])]);
        t.stand_in.script("/header", [echo(200, &both[1..])]);
        t.stand_in.script("/whole", [echo(200, &both[..1])]);
        t.stand_in.script("/undo", [echo(200, &both)]);
        t.stand_in
            .script("/body", [echo(503, &numbers), echo(200, &numbers)]);
        t.stand_in.script("/bad", [echo(400, &both[1..])]);
        let landing = format!(
            "/land/{}?k={}",
            canary::percent(&value()),
            canary::percent(&value())
        );
        t.stand_in
            .script("/away", [Answer::status(302).header("Location", &landing)]);
        t.stand_in.script(
            &format!("/land/{}", canary::percent(&value())),
            [echo(404, &both[..1])],
        );

        let given = json!([{"name": "text", "valueFrom": from_secret("text")}, {"name": "head", "valueFrom": from_secret("head")}]);
        let shop = plan("shop").with("globalParams", given).stage("main", &["flow"]);
        apply(t, &everywhere(t)).await?;
        apply(t, &shop).await?;
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        assert_eq!(
            phases(&ended),
            "query Succeeded, header Succeeded, body Succeeded, whole Succeeded, reader Succeeded, away Failed, \
             bad Failed, broken Failed, make Succeeded, refused Failed, unfit Failed",
            "{ended:#}"
        );
        assert_eq!(
            ended["status"]["resolvedParams"],
            json!({
                "text": "secret:db/text", "head": "secret:db/head", "number": "secret:db/number", "lines": "secret:db/lines",
            })
        );
        sent(t).await?;
        // What came back is there, without the value.
        for name in ["query", "header", "body", "whole"] {
            let body = text(
                action_of(&ended, &format!("main/flow[0]/{name}")),
                "/outputs/body",
            );
            assert!(body.starts_with("plain=***"), "{name}: {body}");
        }
        released(t, "run").await?;
        create(
            t,
            &revert("undo", "shop", "run").with("allowPartial", true.into()),
        )
        .await?;
        execution_until(t, "undo", "Succeeded").await?;
        let undone = t.stand_in.requests("/undo").remove(0);
        assert_eq!(undone.header("authorization"), Some(header_value().as_str()));
        released(t, "undo").await?;

        let directory = tempfile::tempdir()?;
        let db = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"text": value()}});
        for (file, manifest) in [("flow", everywhere(t).0), ("shop", shop.0), ("db", db)] {
            std::fs::write(
                directory.path().join(format!("{file}.json")),
                manifest.to_string(),
            )?;
        }
        let printed = plugin::printed(t, directory.path()).await?;
        let found = Shown::of(t, &operator).await?.and(printed).canaries();
        assert_eq!(found, Vec::<String>::new());
        Ok(())
    };
    control_plane.with_namespace("canary", test).await
}

/// Every value has arrived where it was to go.
async fn sent(t: &TestNamespace) -> anyhow::Result<()> {
    let one = |path: &str| t.stand_in.requests(path).remove(0);
    assert_eq!(one("/query").query, format!("k={}", canary::percent(&value())));
    let header = one("/header");
    assert_eq!(header.header("authorization"), Some(header_value().as_str()));
    assert_eq!(
        header.header("x-bearer"),
        Some(format!("Bearer {}", header_value()).as_str())
    );
    assert_eq!(
        header.header("x-basic"),
        Some(format!("Basic {}", canary::base64(&header_value())).as_str())
    );
    let bodies = t.stand_in.requests("/body");
    assert_eq!(bodies.len(), 2, "it is tried again");
    for body in bodies {
        assert_eq!(body.json()?, json!({"a": value(), "n": NUMBER}));
    }
    assert_eq!(String::from_utf8(one("/whole").body)?, value());
    let made = t.api::<Secret>().get("made").await?;
    let data = made.data.unwrap_or_default();
    for key in ["a", "b"] {
        assert_eq!(
            data.get(key).map(|value| value.0.clone()),
            Some(value().into_bytes()),
            "{key}"
        );
    }
    Ok(())
}

/// Gives the ServiceAccount `dr` of the namespace the right to get these.
async fn grant(t: &TestNamespace, resources: &[&str]) -> anyhow::Result<()> {
    let rules = json!([{"apiGroups": [""], "resources": resources, "verbs": ["get"]}]);
    let role: Role = serde_json::from_value(json!({"metadata": {"name": "dr"}, "rules": rules}))?;
    t.api().create(&PostParams::default(), &role).await?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "dr"},
        "subjects": [{"kind": "ServiceAccount", "name": "dr", "namespace": t.name}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "dr"},
    }))?;
    t.api().create(&PostParams::default(), &binding).await?;
    let user = format!("system:serviceaccount:{}:dr", t.name);
    for resource in resources {
        let right = [
            "get".to_owned(),
            String::new(),
            (*resource).to_owned(),
            t.name.clone(),
        ];
        until_allowed(&t.client, &user, &BTreeSet::from([right])).await?;
    }
    Ok(())
}

/// A plan that calls `/call` with a header of a Secret and one of a ConfigMap, as the ServiceAccount `dr`.
async fn apply_reader(t: &TestNamespace) -> anyhow::Result<()> {
    let call = post("call", &t.stand_in.url("/call"))
        .doing(
            "headersFrom",
            json!([
                {"name": "X-Secret", "valueFrom": from_secret("head")},
                {"name": "X-Plain", "valueFrom": {"configMapKeyRef": {"name": "site", "key": "name"}}},
            ]),
        )
        .retried(3, "1ms");
    apply(t, &workflow("flow").action(call)).await?;
    let given = plan("shop").with("serviceAccountName", "dr".into());
    apply(t, &given.stage("main", &["flow"])).await?;
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "dr"}}))?;
    t.api().create(&PostParams::default(), &account).await?;
    Ok(())
}

/// Runs it and returns the message of its end, after one attempt that sent nothing.
async fn refused(t: &TestNamespace, name: &str) -> anyhow::Result<String> {
    create(t, &execution(name, "shop")).await?;
    let ended = execution_until(t, name, "Failed").await?;
    let action = action_of(&ended, "main/flow[0]/call");
    assert_eq!(
        (&action["attempts"], t.stand_in.all().len()),
        (&json!(1), 0),
        "{action}"
    );
    released(t, name).await?;
    Ok(text(action, "/message").to_owned())
}

#[tokio::test]
async fn values_are_read_as_the_plans_account_and_what_is_missing_is_named() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_reader(t).await?;
        let user = format!("system:serviceaccount:{}:dr", t.name);
        create(t, &execution("forbidden", "shop")).await?;
        let forbidden = execution_until(t, "forbidden", "Failed").await?;
        let message = text(&forbidden, "/status/message");
        let lack = format!(
            "may not get configmaps site in {0}, get secrets db in {0}.",
            t.name
        );
        assert!(
            message.starts_with("RightsMissing: ") && message.contains(&lack),
            "{message}"
        );
        grant(t, &["secrets", "configmaps"]).await?;
        let message = refused(t, "absent").await?;
        assert_eq!(
            message,
            format!(
                "secret:db/head cannot be read: there is no Secret {}/db; create it with the key head",
                t.name
            )
        );
        secret(t, "db", json!({"other": "x"})).await?;
        let message = refused(t, "keyless").await?;
        assert_eq!(
            message,
            format!(
                "secret:db/head cannot be used: Secret {}/db has no such key; add it",
                t.name
            )
        );
        secret(t, "db", json!({"head": format!("{}\n", header_value())})).await?;
        let site: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": "site"}, "data": {"name": "west"}}))?;
        t.api().create(&PostParams::default(), &site).await?;
        let message = refused(t, "unfit").await?;
        assert!(
            message.contains("secret:db/head holds a line break") && !message.contains(CORE),
            "{message}"
        );

        secret(t, "db", json!({"head": header_value()})).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        let request = t.stand_in.requests("/call").remove(0);
        assert_eq!(request.header("x-secret"), Some(header_value().as_str()));
        assert_eq!(request.header("x-plain"), Some("west"));
        let reads = t.audit().resource("secrets").verb("get").code(200);
        assert_eq!(
            reads.clone().impersonated(&user).wait_for(1).await?.len(),
            reads.entries()?.len()
        );
        Ok(())
    };
    control_plane.with_namespace("reading", test).await
}

#[tokio::test]
async fn a_call_that_is_repeated_after_a_crash_reads_its_values_anew() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        secret(t, "db", json!({"head": "first"})).await?;
        t.stand_in.script("/call", [Answer::ok().held(), Answer::ok()]);
        let call = post("call", &t.stand_in.url("/call")).doing(
            "headersFrom",
            json!([{"name": "X-Secret", "valueFrom": from_secret("head")}]),
        );
        apply(t, &workflow("flow").action(call)).await?;
        apply(t, &plan("shop").stage("main", &["flow"])).await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/call", 1).await?;
        operator.kill9().await?;
        secret(t, "db", json!({"head": "second"})).await?;
        operator.restart().await?;
        execution_until(t, "run", "Succeeded").await?;
        let requests = t.stand_in.requests("/call");
        let sent: Vec<_> = requests
            .iter()
            .map(|request| request.header("x-secret"))
            .collect();
        assert_eq!(sent, [Some("first"), Some("second")]);
        assert_eq!(requests[0].idempotency_key(), requests[1].idempotency_key());
        Ok(())
    };
    control_plane.with_namespace("anew", test).await
}

#[tokio::test]
async fn a_value_where_it_must_not_be_makes_the_plan_invalid() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let call = post("call", &t.stand_in.url("/{{ .params.s }}"));
        apply(t, &workflow("flow").parameter(json!({"name": "s"})).action(call)).await?;
        let given = json!([{"name": "s", "valueFrom": from_secret("head")}]);
        apply(
            t,
            &plan("shop").with("globalParams", given).stage("main", &["flow"]),
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(
            message.contains("puts a value that is read when it is sent before the `?`"),
            "{message}"
        );
        assert_eq!(t.stand_in.all().len(), 0);
        Ok(())
    };
    control_plane.with_namespace("misplaced", test).await
}
