//! What the API server refuses, asking the operator through its Service.

use anyhow::{Context, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;

use super::shop::EXAMPLE;
use super::{NAMESPACE, Trial, seen};

/// What is written, and what is written by mistake.
const MISTAKE: (&str, &str) = ("dependsOn: [infrastructure]", "dependsOn: [infrastucture]");

impl Trial<'_> {
    /// The example is taken, and a copy with a mistake is not.
    pub(super) async fn refused(&self) -> anyhow::Result<()> {
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let webhooks = webhooks
            .get("drplan-operator")
            .await?
            .webhooks
            .unwrap_or_default();
        let services: Vec<String> = webhooks
            .iter()
            .filter_map(|webhook| webhook.client_config.service.as_ref())
            .map(|service| format!("{}/{}", service.namespace, service.name))
            .collect();
        let wanted = format!("{NAMESPACE}/drplan-operator-webhook");
        ensure!(
            !services.is_empty()
                && services.len() == webhooks.len()
                && services.iter().all(|name| *name == wanted),
            "the webhooks are asked at {services:?}"
        );
        self.apply_shop().await?;
        let plan = std::fs::read_to_string(format!("{EXAMPLE}/plan.yaml"))?;
        ensure!(plan.contains(MISTAKE.0), "`{}` is not in the example", MISTAKE.0);
        let wrong = plan.replacen(MISTAKE.0, MISTAKE.1, 1);
        let answer = self.kubectl.run_with(&["apply", "-f", "-"], &wrong).await;
        let refused = answer.err().context("a plan with a mistake was taken")?;
        let refused = format!("{refused:#}");
        ensure!(
            refused.contains("denied the request") && refused.contains("infrastucture"),
            "it is refused by something else: {refused}"
        );
        seen(format!("asked at the Service {wanted}"));
        seen(refused.lines().next_back().unwrap_or_default());
        Ok(())
    }
}
