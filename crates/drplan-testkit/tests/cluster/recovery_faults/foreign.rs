//! Somebody else's admission webhooks.

use drplan_testkit::{Answer, Authority, HttpStandIn, Seen, TestNamespace, eventually, free_port};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::fixtures::plans;

/// What the webhooks say where they refuse.
pub(super) const WORDS: &str = "no changes on Fridays";

/// It is an object of a run of the plan.
pub(super) const OF_PLAN: &str = "object.metadata.?labels['dr.bkbcs.tencent.com/plan'].orValue('') == 'PLAN'";
/// It has the plan's name.
pub(super) const NAMED: &str = "object.metadata.name == 'PLAN'";

/// One webhook, about the objects of one plan.
pub(super) struct Webhook {
    plan: &'static str,
    answer: Option<Answer>,
    rule: Value,
    is_about: String,
}

impl Webhook {
    /// One that is asked about what `rule` and `is_about` choose, where PLAN stands for the plan's name. Without an
    /// `answer` it must be asked and is down.
    pub(super) fn new(plan: &'static str, answer: Option<Answer>, rule: &Value, is_about: &str) -> Self {
        Self {
            plan,
            answer,
            rule: rule.clone(),
            is_about: is_about.replace("PLAN", plan),
        }
    }
}

/// One operation on resources of a group.
pub(super) fn rule(group: &str, version: &str, resources: &[&str], operation: &str) -> Value {
    json!({
        "apiGroups": [group], "apiVersions": [version], "resources": resources, "operations": [operation],
    })
}

/// Changes of our own kinds.
pub(super) fn ours(resources: &[&str]) -> Value {
    rule("dr.bkbcs.tencent.com", "v1alpha1", resources, "UPDATE")
}

/// What somebody else registered for the test's namespace.
pub(super) struct Webhooks {
    configurations: Api<ValidatingWebhookConfiguration>,
    name: String,
    _server: HttpStandIn,
}

impl Webhooks {
    /// Registers `webhooks`, and waits until they are asked: until plan `probe` cannot be changed.
    pub(super) async fn install(
        t: &TestNamespace,
        webhooks: &[Webhook],
        probe: &str,
    ) -> anyhow::Result<Self> {
        let authority = Authority::generate()?;
        let server = HttpStandIn::start_secure(&authority.server(&[])?).await?;
        let nobody = format!("https://127.0.0.1:{}/", free_port()?);
        let registered = |webhook: &Webhook| {
            let path = format!("/{}", webhook.plan);
            let url = match &webhook.answer {
                Some(answer) => {
                    server.script(&path, [answer.clone()]);
                    server.url(&path)
                }
                None => nobody.clone(),
            };
            json!({
                "name": format!("{}.faults.example.com", webhook.plan),
                "clientConfig": {"url": url, "caBundle": base64_of(&authority.certificate())},
                "rules": [webhook.rule],
                "matchConditions": [{"name": "plan", "expression": webhook.is_about}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": t.name}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            })
        };
        let name = format!("faults-{}", t.name);
        let configuration = serde_json::from_value(json!({
            "metadata": {"name": name},
            "webhooks": webhooks.iter().map(registered).collect::<Vec<_>>(),
        }))?;
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(t.client.clone());
        configurations
            .create(&PostParams::default(), &configuration)
            .await?;
        let change = Patch::Merge(json!({"metadata": {"annotations": {"probe": "1"}}}));
        let dry = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        eventually("the webhooks to be asked", async || {
            let answer = plans(t).patch(probe, &dry, &change).await;
            let said = answer
                .err()
                .map_or_else(|| "it is admitted".into(), |error| error.to_string());
            Ok(Seen::when(said.contains(WORDS).then_some(()), || said))
        })
        .await?;
        Ok(Self {
            configurations,
            name,
            _server: server,
        })
    }

    pub(super) async fn remove(self) -> anyhow::Result<()> {
        self.configurations
            .delete(&self.name, &DeleteParams::default())
            .await?;
        Ok(())
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}
