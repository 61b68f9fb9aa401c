//! The configurations by which the API server asks: made, and healed when somebody changes or deletes them.

use drplan_api::{GROUP, VERSION};
use drplan_engine::snapshot::sha256_hex;
use k8s_openapi::api::{
    admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingWebhookConfiguration,
    },
    authentication::v1::SelfSubjectReview,
    rbac::v1::ClusterRole,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::ClusterResourceScope,
};
use serde_json::{Value, json};

use super::{
    Reached,
    policy::{self, annotation},
    stamp::PLAN_COMMANDS,
};
use crate::store::{StoreError, bounded};

/// The field manager of what is registered.
const FIELD_MANAGER: &str = "drplan-operator-admission";
/// How long the API server waits for an answer, in seconds. People wait with it.
const TIMEOUT_SECONDS: u32 = 5;

/// What is registered, for one operator or for its replicas.
pub struct Registration {
    client: Client,
    name: String,
    reached: Reached,
    namespace_selector: Option<Value>,
    /// The ClusterRole with which it goes.
    owner: Option<String>,
    operator: Option<String>,
}

impl Registration {
    /// Registers webhooks that are `reached` so, for objects in `namespaces`; none given: in all. What is registered
    /// belongs to the ClusterRole `owner`, and goes with it.
    ///
    /// Operators with other namespaces have registrations of their own.
    pub fn new(client: Client, reached: Reached, namespaces: &[String], owner: Option<String>) -> Self {
        let mut sorted = namespaces.to_vec();
        sorted.sort();
        sorted.dedup();
        let (name, namespace_selector) = match sorted.as_slice() {
            [] => ("drplan-operator".to_owned(), None),
            served => (
                format!(
                    "drplan-operator-{}",
                    &sha256_hex(served.join(",").as_bytes())[..10]
                ),
                Some(json!({"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": served},
                ]})),
            ),
        };
        Self {
            client,
            name,
            reached,
            namespace_selector,
            owner,
            operator: None,
        }
    }

    /// Makes everything as it should be, with `ca_bundle` (PEM) as what the API server trusts; none: what it trusts by
    /// itself, or what somebody else writes there. Returns whether something had to be written.
    ///
    /// # Errors
    /// [`StoreError`]; to be tried again.
    pub async fn heal(&mut self, ca_bundle: Option<&str>) -> Result<bool, StoreError> {
        let operator = match &self.operator {
            Some(known) => known.clone(),
            None => self.operator.insert(whoami(&self.client).await?).clone(),
        };
        let owners = self.owners().await?;
        let policy = json!({"spec": policy::spec(&operator, self.namespace_selector.as_ref())});
        let binding = json!({"spec": {"policyName": self.name, "validationActions": ["Deny"]}});
        let validating = json!({"webhooks": self.validating(&operator, ca_bundle)});
        let mutating = json!({"webhooks": self.mutating(&operator, ca_bundle)});
        // The policy first: from the first stamp on, nobody else may write one.
        let mut written = self.hold::<ValidatingAdmissionPolicy>(policy, &owners).await?;
        written |= self
            .hold::<ValidatingAdmissionPolicyBinding>(binding, &owners)
            .await?;
        written |= self
            .hold::<MutatingWebhookConfiguration>(mutating, &owners)
            .await?;
        written |= self
            .hold::<ValidatingWebhookConfiguration>(validating, &owners)
            .await?;
        Ok(written)
    }

    /// The owner as a reference, looked for each time: an operator that outlives it must not register again.
    async fn owners(&self) -> Result<Vec<Value>, StoreError> {
        let Some(name) = &self.owner else {
            return Ok(Vec::new());
        };
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        let role = bounded(roles.get_metadata(name)).await?;
        Ok(vec![json!({
            "apiVersion": ClusterRole::api_version(&()),
            "kind": ClusterRole::kind(&()),
            "name": name,
            "uid": role.metadata.uid,
        })])
    }

    async fn hold<K>(&self, mut wanted: Value, owners: &[Value]) -> Result<bool, StoreError>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope>,
    {
        let resource = ApiResource::erase::<K>(&());
        wanted["apiVersion"] = resource.api_version.clone().into();
        wanted["kind"] = resource.kind.clone().into();
        wanted["metadata"] = json!({
            "name": self.name,
            "labels": {"app.kubernetes.io/managed-by": "drplan-operator", "app.kubernetes.io/name": "drplan"},
        });
        if !owners.is_empty() {
            wanted["metadata"]["ownerReferences"] = owners.into();
        }
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let found = bounded(api.get_opt(&self.name)).await?;
        let is_held =
            found.is_some_and(|found| serde_json::to_value(found).is_ok_and(|found| holds(&wanted, &found)));
        if is_held {
            return Ok(false);
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        bounded(api.patch(&self.name, &parameters, &Patch::Apply(&wanted))).await?;
        Ok(true)
    }

    fn validating(&self, operator: &str, ca_bundle: Option<&str>) -> Vec<Value> {
        let spec_changes = json!({
            "name": "created-or-spec-changed",
            "expression": "request.operation == 'CREATE' || (object.?spec != oldObject.?spec \
                           && !has(object.metadata.deletionTimestamp))",
        });
        let lives = json!({
            "name": "not-being-deleted",
            "expression": "!has(oldObject.metadata.deletionTimestamp)",
        });
        let write = |plural: &str, policy: &str, conditions: Vec<Value>| {
            let operations = ["CREATE", "UPDATE"];
            self.webhook(
                "write",
                "validate",
                plural,
                &operations,
                policy,
                conditions,
                ca_bundle,
            )
        };
        let delete = |plural: &str| {
            let conditions = vec![lives.clone()];
            self.webhook(
                "delete",
                "validate",
                plural,
                &["DELETE"],
                "Ignore",
                conditions,
                ca_bundle,
            )
        };
        vec![
            write("drworkflows", "Fail", vec![spec_changes.clone()]),
            write("drplans", "Fail", vec![spec_changes.clone()]),
            write(
                "drplanexecutions",
                "Ignore",
                vec![policy::not_by(operator), spec_changes],
            ),
            delete("drworkflows"),
            delete("drplans"),
            delete("drplanexecutions"),
        ]
    }

    fn mutating(&self, operator: &str, ca_bundle: Option<&str>) -> Vec<Value> {
        let differ = |name: &str| {
            format!(
                "{} != {}",
                annotation("object", name),
                annotation("oldObject", name)
            )
        };
        let commanded: Vec<String> = PLAN_COMMANDS
            .iter()
            .flat_map(|(command, stamp)| [differ(command), differ(stamp)])
            .collect();
        let commanded = json!({"name": "command-changed", "expression": commanded.join(" || ")});
        let metadata = |field: &str| {
            let of = |object: &str| format!("{object}.metadata.?{field}.orValue({{}})");
            format!("{} != {}", of("object"), of("oldObject"))
        };
        let changed = json!({
            "name": "created-or-metadata-changed",
            "expression":
                format!("request.operation == 'CREATE' || {} || {}", metadata("annotations"), metadata("labels")),
        });
        let stamp = |plural: &str, condition: Value| {
            let operations = ["CREATE", "UPDATE"];
            let conditions = vec![policy::not_by(operator), condition];
            self.webhook(
                "stamp",
                "stamp",
                plural,
                &operations,
                "Ignore",
                conditions,
                ca_bundle,
            )
        };
        vec![stamp("drplans", commanded), stamp("drplanexecutions", changed)]
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one table row, with its two callers above"
    )]
    fn webhook(
        &self,
        what: &str,
        path: &str,
        plural: &str,
        operations: &[&str],
        failure_policy: &str,
        match_conditions: Vec<Value>,
        ca_bundle: Option<&str>,
    ) -> Value {
        let mut webhook = json!({
            "name": format!("{plural}.{what}.{GROUP}"),
            "clientConfig": self.reached.client_config(&format!("/{path}/{plural}")),
            "rules": [{
                "apiGroups": [GROUP],
                "apiVersions": [VERSION],
                "operations": operations,
                "resources": [plural],
                "scope": "Namespaced",
            }],
            "matchPolicy": "Equivalent",
            "matchConditions": match_conditions,
            "failurePolicy": failure_policy,
            "sideEffects": "None",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "admissionReviewVersions": ["v1"],
        });
        if let Some(bundle) = ca_bundle {
            webhook["clientConfig"]["caBundle"] = base64_of(bundle).into();
        }
        if let Some(selector) = &self.namespace_selector {
            webhook["namespaceSelector"] = selector.clone();
        }
        webhook
    }
}

/// The user that the API server takes the operator for.
async fn whoami(client: &Client) -> Result<String, StoreError> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let answer = bounded(api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    let user = answer.status.and_then(|status| status.user_info?.username);
    user.ok_or_else(|| {
        StoreError::silence("the API server does not say as whom it knows the operator".to_owned())
    })
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

/// Whether `found` has all that is `wanted`. What the API server adds as defaults does not count; in lists it adds none.
fn holds(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| holds(wanted, found))),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(wanted, found)| holds(wanted, found))
        }
        (wanted, found) => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_adds_is_no_change_and_what_somebody_changes_is() {
        let wanted = json!({"a": [{"b": 1}], "c": "x"});
        let check = |found: Value, expected: bool| assert_eq!(holds(&wanted, &found), expected, "{found}");
        check(
            json!({"a": [{"b": 1, "default": 2}], "c": "x", "metadata": {}}),
            true,
        );
        check(json!({"a": [{"b": 2}], "c": "x"}), false);
        check(json!({"a": [{"b": 1}, {"b": 3}], "c": "x"}), false);
        check(json!({"a": [], "c": "x"}), false);
        check(json!({"a": [{"b": 1}]}), false);
    }
}
