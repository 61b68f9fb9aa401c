//! As whom actions run, and what the operator does without.

use drplan_testkit::TestNamespace;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::fixtures::{
    apply, apply_plan, create, execution, execution_until, job, plan, post, released, text,
};
use crate::shared;

/// Gives a subject these rules in the test's namespace.
async fn grant(t: &TestNamespace, name: &str, subject: Value, rules: Value) -> anyhow::Result<()> {
    let role: Role = serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules}))?;
    t.api().create(&PostParams::default(), &role).await?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
    }))?;
    t.api().create(&PostParams::default(), &binding).await?;
    Ok(())
}

fn service_account(t: &TestNamespace, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": t.name})
}

/// What an action with a Job needs.
fn job_rules() -> Value {
    json!([
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
    ])
}

#[tokio::test]
async fn actions_run_as_the_plans_service_account_with_its_rights_and_no_others() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        for name in ["bare", "worker"] {
            let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            t.api().create(&PostParams::default(), &account).await?;
            apply_plan(
                t,
                name,
                &[
                    post("call", &t.stand_in.url("/call")),
                    job("work").retried(3, "1ms"),
                ],
            )
            .await?;
            apply(
                t,
                &plan(name)
                    .with("serviceAccountName", name.into())
                    .stage("main", &[name]),
            )
            .await?;
        }
        grant(t, "worker", service_account(t, "worker"), job_rules()).await?;
        for name in ["bare", "worker"] {
            create(t, &execution(name, name)).await?;
        }
        let ended = execution_until(t, "bare", "Failed").await?;
        let message = text(&ended, "/status/message");
        let lack = format!("ServiceAccount {0}/bare may not create jobs.batch in {0}", t.name);
        assert!(message.contains(&lack), "{message}");

        execution_until(t, "worker", "Succeeded").await?;
        assert_eq!(t.stand_in.requests("/call").len(), 1, "of this plan alone");
        let made = t.audit().resource("jobs").verb("create").code(201);
        let worker = format!("system:serviceaccount:{}:worker", t.name);
        let made = made.clone().impersonated(&worker).wait_for(1).await?;
        assert_eq!(
            (made.len(), made[0].user.username.as_str()),
            (1, format!("operator:{}", t.name).as_str())
        );
        let itself = t
            .audit()
            .resource("jobs")
            .verb("create")
            .impersonated("")
            .entries()?;
        assert_eq!(itself.len(), 0);
        Ok(())
    };
    control_plane.with_namespace("identity", test).await
}

#[tokio::test]
async fn without_a_service_account_a_plan_runs_as_the_default_one_of_its_namespace() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(t.operator_launch()?.default_identity())
            .await?
            .ready()
            .await?;
        apply_plan(t, "calls", &[post("call", &t.stand_in.url("/call"))]).await?;
        apply_plan(t, "works", &[job("work")]).await?;
        create(t, &execution("call", "calls")).await?;
        create(t, &execution("before", "works")).await?;
        // A call needs no right.
        execution_until(t, "call", "Succeeded").await?;
        let ended = execution_until(t, "before", "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(
            message.contains(&format!("ServiceAccount {}/default may not create", t.name)),
            "{message}"
        );
        released(t, "before").await?;

        grant(t, "default", service_account(t, "default"), job_rules()).await?;
        create(t, &execution("after", "works")).await?;
        let done = execution_until(t, "after", "Succeeded").await?;
        assert_eq!(text(&done, "/status/serviceAccountName"), "default");
        Ok(())
    };
    control_plane.with_namespace("default-identity", test).await
}

#[tokio::test]
async fn refused_events_slow_nothing_and_their_loss_is_logged() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let user = format!("mute:{}", t.name);
        let rules = json!([{
            "apiGroups": ["dr.bkbcs.tencent.com", "apps", "batch"], "resources": ["*"], "verbs": ["*"],
        }]);
        let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
        grant(t, "mute", subject, rules).await?;
        let kubeconfig = t.control_plane.kubeconfig_for(&user, None)?;
        let operator = t
            .launch_operator(t.operator_launch()?.kubeconfig(kubeconfig))
            .await?;
        operator.ready().await?;
        apply_plan(
            t,
            "shop",
            &[
                post("a", &t.stand_in.url("/a")),
                job("work"),
                post("b", &t.stand_in.url("/b")),
            ],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        assert_eq!(
            (t.stand_in.requests("/a").len(), t.stand_in.requests("/b").len()),
            (1, 1)
        );
        t.audit()
            .user(&user)
            .resource("events")
            .verb("create")
            .code(403)
            .wait_for(1)
            .await?;
        let (lost, reason) = operator
            .logged("that events were lost", |line| {
                let lost = line["lost_total"].as_u64()?;
                Some((lost, text(line, "/reason").to_owned()))
            })
            .await?;
        assert!(lost >= 1 && reason.contains("forbidden"), "{lost} {reason}");
        Ok(())
    };
    control_plane.with_namespace("mute", test).await
}
