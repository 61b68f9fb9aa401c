//! Two namespaces, an operator that serves both, and people with few rights in one of them.

use std::sync::Arc;

use anyhow::Context;
use drplan_testkit::{Kubectl, OperatorProcess, TestNamespace, cli_binary, object_until};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::e2e_examples::granted_by;
use crate::fixtures::{execution_until, plans, text};
use crate::rights::until_allowed;
use crate::shared;

/// Where attacks take place.
pub(super) struct Town<'a> {
    /// Where the people have rights.
    pub(super) t: &'a TestNamespace,
    /// Where they have none.
    pub(super) other: &'a TestNamespace,
    /// Writes workflows and plans.
    pub(super) author: Kubectl,
    /// Creates executions and sees them.
    pub(super) runner: Kubectl,
    admin: Kubectl,
    operator: OnceCell<Arc<OperatorProcess>>,
}

/// Runs the test in a town with an account `dr` without rights.
pub(super) async fn in_town(
    name: &str,
    test: impl AsyncFnOnce(&Town<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    in_town_with(name, "", test).await
}

/// The same with this fault of the operator.
pub(super) async fn in_town_with(
    name: &str,
    fault: &str,
    test: impl AsyncFnOnce(&Town<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let here = async |t: &TestNamespace| {
        let both = async |other: &TestNamespace| {
            let town = Town::build(t, other).await?;
            let launch = t
                .operator_launch()?
                .default_identity()
                .arg(format!("--namespace={}", other.name))
                .arg("--reconcile-interval=2s");
            let launch = match fault {
                "" => launch,
                fault => launch.env("DRPLAN_FAULT", fault),
            };
            let operator = t.launch_operator(launch).await?;
            operator.ready().await?;
            town.operator.set(operator)?;
            test(&town).await
        };
        control_plane.with_namespace("elsewhere", both).await
    };
    control_plane.with_namespace(name, here).await
}

fn role(namespace: &str, name: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": name, "namespace": namespace}, "rules": rules,
    })
}

fn binding(namespace: &str, name: &str, subject: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace}, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
    })
}

impl<'a> Town<'a> {
    async fn build(t: &'a TestNamespace, other: &'a TestNamespace) -> anyhow::Result<Self> {
        let person = |what: &str| format!("{what}:{}", t.name);
        let of = |user: &str| Kubectl::of_user(&t.control_plane, &t.name, user);
        let (author, runner) = (person("author"), person("runner"));
        let town = Self {
            t,
            other,
            author: of(&author)?,
            runner: of(&runner)?,
            admin: Kubectl::without_namespace(&t.control_plane),
            operator: OnceCell::new(),
        };
        let ours = |resources: Value, verbs: Value| json!([{"apiGroups": ["dr.bkbcs.tencent.com"], "resources": resources, "verbs": verbs}]);
        let writes = ours(
            json!(["drplans", "drworkflows"]),
            json!(["get", "create", "patch"]),
        );
        town.grant(t, &author, &writes).await?;
        let runs = ours(json!(["drplanexecutions"]), json!(["get", "create"]));
        town.grant(t, &runner, &runs).await?;
        town.account(t, "dr").await?;
        Ok(town)
    }

    /// Gives the user these rights in a namespace, and waits until it has them.
    pub(super) async fn grant(&self, t: &TestNamespace, user: &str, rules: &Value) -> anyhow::Result<()> {
        let name = user.replace(':', "-");
        let subject = match user.split(':').collect::<Vec<_>>().as_slice() {
            ["system", "serviceaccount", namespace, name] => {
                json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
            }
            _ => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}),
        };
        let role = role(&t.name, &name, rules);
        self.admin_applies(&role).await?;
        self.admin_applies(&binding(&t.name, &name, &subject)).await?;
        until_allowed(&t.client, user, &granted_by([&role])).await
    }

    /// Makes an account.
    pub(super) async fn account(&self, t: &TestNamespace, name: &str) -> anyhow::Result<()> {
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        t.api().create(&PostParams::default(), &account).await?;
        Ok(())
    }

    /// Makes an account that may do what actions do in its namespace.
    pub(super) async fn account_with_all(&self, t: &TestNamespace, name: &str) -> anyhow::Result<()> {
        self.account(t, name).await?;
        let verbs = ["get", "list", "watch", "create", "patch", "delete"];
        let rules = json!([{"apiGroups": ["", "batch"], "resources": ["configmaps", "jobs", "pods", "pods/log"], "verbs": verbs}]);
        self.grant(t, &format!("system:serviceaccount:{}:{name}", t.name), &rules)
            .await
    }

    /// The user that plans with the account `dr` act as.
    pub(super) fn dr(&self) -> String {
        format!("system:serviceaccount:{}:dr", self.t.name)
    }

    /// The operator of both namespaces.
    pub(super) fn operator(&self) -> anyhow::Result<&OperatorProcess> {
        Ok(self.operator.get().context("it was started")?)
    }

    pub(super) async fn admin_runs(&self, args: &[&str]) -> anyhow::Result<()> {
        self.admin.run(args).await?;
        Ok(())
    }

    pub(super) async fn admin_applies(&self, manifest: &Value) -> anyhow::Result<()> {
        self.admin
            .run_with(&["apply", "-f", "-"], &manifest.to_string())
            .await?;
        Ok(())
    }

    pub(super) async fn author_applies(&self, manifest: &Value) -> anyhow::Result<()> {
        self.author
            .run_with(&["apply", "-f", "-"], &manifest.to_string())
            .await?;
        Ok(())
    }

    pub(super) async fn runner_creates(&self, manifest: &Value) -> anyhow::Result<()> {
        self.runner
            .run_with(&["create", "-f", "-"], &manifest.to_string())
            .await?;
        Ok(())
    }

    /// Gives a plan the rights that are printed for it, as an administrator who has looked at them.
    pub(super) async fn grant_what_is_printed(&self, plan: &str) -> anyhow::Result<()> {
        let program = tokio::task::spawn_blocking(cli_binary).await??;
        let output = tokio::process::Command::new(program)
            .args([
                "--kubeconfig".as_ref(),
                self.t.control_plane.kubeconfig().as_os_str(),
            ])
            .args(["rbac", plan, "-n", &self.t.name])
            .output()
            .await?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "rbac {plan}: {error}");
        let rights = String::from_utf8(output.stdout)?;
        self.admin.run_with(&["apply", "-f", "-"], &rights).await?;
        Ok(())
    }

    /// Waits until the plan has this phase and its message says this, and returns the message.
    pub(super) async fn plan_until(&self, name: &str, phase: &str, says: &str) -> anyhow::Result<String> {
        object_until(&plans(self.t), name, &format!("{phase}: {says}"), |plan| {
            let plan = plan?;
            let message = text(&plan.data, "/status/message");
            (text(&plan.data, "/status/phase") == phase && message.contains(says)).then(|| message.to_owned())
        })
        .await
    }

    /// Waits until an execution has ended so.
    pub(super) async fn ended(&self, name: &str, phase: &str) -> anyhow::Result<Value> {
        execution_until(self.t, name, phase).await
    }

    /// Waits until an execution was refused before it began, for this reason, in these words.
    pub(super) async fn refused_for(&self, name: &str, reason: &str, says: &str) -> anyhow::Result<()> {
        let failed = self.ended(name, "Failed").await?;
        let message = text(&failed, "/status/message");
        assert!(
            message.starts_with(&format!("{reason}: ")) && message.contains(says),
            "{message}"
        );
        assert!(failed["status"].get("startTime").is_none(), "{failed}");
        Ok(())
    }

    /// Nothing in the other namespace was asked for as this user.
    pub(super) fn never_reached_the_other(&self, user: &str) -> anyhow::Result<()> {
        let asked = self.other.audit().impersonated(user).entries()?;
        anyhow::ensure!(asked.is_empty(), "{user} asked for {asked:?}");
        Ok(())
    }
}
