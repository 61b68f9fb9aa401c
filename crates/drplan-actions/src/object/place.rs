//! Where one object stands: kind, namespace and name, and the client that reaches it.

use std::fmt;

use drplan_api::status::ObjectRef;
use drplan_engine::effect::{Failure, FailureKind};
use kube::{Client, core::ApiResource};

use super::{Access, Stop};
use crate::deadline::Deadline;

/// The place of one object. Shown as `ConfigMap shop/settings` or `Namespace shop`.
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) resource: ApiResource,
    /// None of kinds that have none.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Place {
    /// The place that `target` names. Its namespace counts only where the kind has one.
    pub(super) async fn find(access: &Access, target: &ObjectRef, deadline: Deadline) -> Result<Self, Stop> {
        let api_version = target.api_version.as_deref().unwrap_or_default();
        let named = |what: &str, text: &str, good: bool| match good {
            true => Ok(()),
            false => Err(Failure::new(
                FailureKind::Render,
                format!("`{}` is no {what} of an object", text.escape_debug()),
            )),
        };
        named("apiVersion", api_version, is_api_version(api_version))?;
        let kind = target.kind.as_deref().unwrap_or_default();
        named("kind", kind, is_segment(kind))?;
        named("name", &target.name, is_segment(&target.name))?;
        let kind = access.kinds.find(&access.client, target, deadline).await?;
        let namespace = target.namespace.as_deref().unwrap_or_default();
        if kind.namespaced {
            named("namespace", namespace, is_segment(namespace))?;
        }
        Ok(Self {
            client: access.client.clone(),
            resource: kind.resource,
            namespace: kind.namespaced.then(|| namespace.to_owned()),
            name: target.name.clone(),
        })
    }

    /// Whether its contents must never be told.
    pub(super) fn is_secret(&self) -> bool {
        self.resource.group.is_empty() && self.resource.kind == "Secret"
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = &self.resource.kind;
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{}", self.name),
            None => write!(f, "{kind} {}", self.name),
        }
    }
}

/// Whether `text` is one or two segments of a path.
pub(super) fn is_api_version(text: &str) -> bool {
    let mut segments = text.split('/');
    segments.by_ref().take(2).all(is_segment) && segments.next().is_none()
}

/// Whether `text` can stand as one segment of a path and nowhere leads out of it. What else a name must be is the API
/// server's to say.
fn is_segment(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~:@!$&'()*+,;=".contains(c);
    !matches!(text, "" | "." | "..") && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_lead_to_other_objects() {
        for good in ["settings", "system:node", "a.b-c", "v1"] {
            assert!(is_segment(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "../secrets/x",
            "a?b",
            "a#b",
            "a%2fb",
            "a b",
            "ä",
            "a\n",
        ] {
            assert!(!is_segment(bad), "{bad}");
        }
        assert!(is_api_version("v1") && is_api_version("apps/v1"));
        for bad in ["", "/", "apps/", "/v1", "a/b/c", "../v1"] {
            assert!(!is_api_version(bad), "{bad}");
        }
    }
}
