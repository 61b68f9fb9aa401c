//! Rights of users, and whether the API server knows of them.

use std::collections::BTreeSet;

use drplan_testkit::{Seen, eventually};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

/// A verb, a group, a resource and a namespace.
pub(crate) type Right = [String; 4];

/// Waits until the user has these rights: the API server's authorizer learns of roles by a watch of its own.
pub(crate) async fn until_allowed(
    client: &Client,
    user: &str,
    rights: &BTreeSet<Right>,
) -> anyhow::Result<()> {
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    for [verb, group, resource, namespace] in rights {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review: SubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": {
            "user": user,
            "resourceAttributes": {
                "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                "namespace": namespace,
            },
        }}))?;
        eventually(
            &format!("{user} to {verb} {resource} in {namespace}"),
            async || {
                let answer = reviews.create(&PostParams::default(), &review).await?;
                let allowed = answer.status.is_some_and(|status| status.allowed);
                Ok(Seen::when(allowed.then_some(()), || "not yet".into()))
            },
        )
        .await?;
    }
    Ok(())
}
