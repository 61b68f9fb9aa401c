//! The rights that the chart gives an operator, for operators that run as processes here.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::chart::Chart;
use crate::eventually::{Seen, eventually};
use crate::operator::OperatorLaunch;

/// The ServiceAccount, with all rights, that plans without one act as where the operator itself has few.
pub(crate) const ACTOR: &str = "testkit-actor";

/// What the chart calls the Secret with the webhooks' certificate.
const SECRET: &str = "drplan-operator-webhook-certificate";

/// Whom an operator that runs here is given rights.
pub(crate) struct Grantee<'a> {
    /// Of all rights.
    pub(crate) client: &'a Client,
    /// The user.
    pub(crate) user: &'a str,
    /// The namespace that counts as that of its Pod.
    pub(crate) own: &'a str,
}

impl Grantee<'_> {
    /// Gives what the chart would for this launch and for `before`, the namespaces of earlier ones, and waits until the
    /// API server knows of it. Returns the namespaces of all.
    ///
    /// # Errors
    ///
    /// When the chart cannot be rendered, or the API server refuses a role.
    pub(crate) async fn grant(
        &self,
        launch: &OperatorLaunch,
        before: Option<BTreeSet<String>>,
    ) -> anyhow::Result<BTreeSet<String>> {
        let further = launch
            .args
            .iter()
            .filter_map(|arg| arg.strip_prefix("--namespace="));
        let mut namespaces: BTreeSet<String> = launch
            .namespace
            .iter()
            .map(String::as_str)
            .chain(further)
            .map(str::to_owned)
            .collect();
        namespaces.extend(before.into_iter().flatten());
        let has = |flag: &str| launch.args.iter().any(|arg| arg == flag);
        let has_webhooks = launch.args.iter().any(|arg| arg.starts_with("--webhook-bind="))
            || launch.env.iter().any(|(name, _)| name == "WEBHOOK_BIND");
        let chart = Chart::in_namespace(self.own)
            .with(format!("webhook.enabled={has_webhooks}"))
            .with(format!(
                "operator.triggerAnnotations={}",
                has("--trigger-annotations")
            ))
            // Tests name ServiceAccounts as they like. With `namespaces` this reaches no further than these.
            .with(r#"rbac.impersonate=["*/*"]"#)
            .only("rbac.yaml");
        let (everywhere, limited) = (
            launch.everywhere.then(|| chart.clone()),
            chart.with(format!("namespaces={}", json!(namespaces))),
        );
        let roles = tokio::task::spawn_blocking(move || {
            let mut limited = limited.objects()?;
            let Some(everywhere) = everywhere else {
                return anyhow::Ok(limited);
            };
            // What it registers is called by its namespaces; no role is in one of them.
            limited.retain(|role| role["metadata"]["namespace"].is_null());
            let mut roles = everywhere.objects()?;
            roles.append(&mut limited);
            Ok(roles)
        })
        .await??;
        let secret = launch
            .args
            .iter()
            .find_map(|arg| arg.strip_prefix("--webhook-secret=")?.split_once('/'));
        for role in roles {
            self.apply(self.renamed(role, secret.map(|(_, name)| name))?)
                .await?;
        }
        for right in rights(self.own, &namespaces, launch.everywhere) {
            self.until_allowed(&right).await?;
        }
        Ok(namespaces)
    }

    /// Makes the ServiceAccount [`ACTOR`] in this namespace.
    ///
    /// # Errors
    ///
    /// When the API server refuses it.
    pub(crate) async fn make_actor(&self, namespace: &str) -> anyhow::Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACTOR}});
        accounts
            .patch(ACTOR, &parameters(), &Patch::Apply(account))
            .await?;
        self.apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{ACTOR}-{namespace}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": ACTOR, "namespace": namespace}],
        }))
        .await?;
        let user = format!("system:serviceaccount:{namespace}:{ACTOR}");
        let actor = Grantee { user: &user, ..*self };
        actor
            .until_allowed(&json!({"verb": "delete", "resource": "nodes"}))
            .await
    }

    /// For this user instead of the chart's ServiceAccount, and for the webhooks' `secret` if that has a name of its own.
    /// What has no namespace gets a name that no other test uses.
    fn renamed(&self, role: Value, secret: Option<&str>) -> anyhow::Result<Value> {
        let mut role = match secret {
            Some(secret) => serde_json::from_str(&role.to_string().replace(SECRET, secret))?,
            None => role,
        };
        let unique = |name: &Value| {
            json!(format!(
                "{}-{}",
                name.as_str().unwrap_or_default(),
                self.user.replace(':', "-")
            ))
        };
        let rules = role.get_mut("rules").and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            if rule["resources"] == json!(["clusterroles"]) {
                rule["resourceNames"] = json!([unique(&rule["resourceNames"][0])]);
            }
        }
        if role["metadata"]["namespace"].is_null() {
            role["metadata"]["name"] = unique(&role["metadata"]["name"]);
        }
        if role["roleRef"]["kind"] == "ClusterRole" {
            role["roleRef"]["name"] = unique(&role["roleRef"]["name"]);
        }
        if role["subjects"].is_array() {
            role["subjects"] = json!([
                {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user},
            ]);
        }
        Ok(role)
    }

    async fn apply(&self, object: Value) -> anyhow::Result<()> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind));
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        api.patch(name, &parameters(), &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// The API server's authorizer learns of roles by watches of its own.
    async fn until_allowed(&self, right: &Value) -> anyhow::Result<()> {
        let review: SubjectAccessReview = serde_json::from_value(json!({
            "metadata": {}, "spec": {"user": self.user, "resourceAttributes": right},
        }))?;
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        eventually(&format!("{} to be allowed {right}", self.user), async || {
            let answer = reviews.create(&PostParams::default(), &review).await?;
            let allowed = answer.status.is_some_and(|status| status.allowed);
            Ok(Seen::when(allowed.then_some(()), || "not yet".into()))
        })
        .await
    }
}

fn parameters() -> PatchParams {
    PatchParams::apply("drplan-testkit").force()
}

/// One right of each role.
fn rights(own: &str, namespaces: &BTreeSet<String>, everywhere: bool) -> Vec<Value> {
    let mut rights = vec![
        json!({"verb": "create", "group": "coordination.k8s.io", "resource": "leases", "namespace": own}),
        json!({"verb": "get", "resource": "namespaces", "name": namespaces.first()}),
    ];
    let jobs = |namespace: Option<&String>| json!({"verb": "list", "group": "batch", "resource": "jobs", "namespace": namespace});
    match everywhere || namespaces.is_empty() {
        true => rights.push(jobs(None)),
        false => rights.extend(namespaces.iter().map(|namespace| jobs(Some(namespace)))),
    }
    rights
}
