//! What kinds are served as, without a cluster to ask.

use drplan_engine::rights::{Kind, Served};

/// Kinds of Kubernetes that have no namespace.
const WITHOUT_NAMESPACE: [&str; 19] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingWebhookConfiguration",
];
/// Kinds whose plural is their singular.
const UNCOUNTED: [&str; 1] = ["Endpoints"];

/// The plural that nearly every kind has: that of the English word, in lower case. Kinds that are not Kubernetes' own
/// are taken to have a namespace.
pub fn by_convention(kind: &Kind) -> Option<Served> {
    let name = kind.kind.as_str();
    let singular = name.to_lowercase();
    let resource = match () {
        () if UNCOUNTED.contains(&name) => singular,
        () if ["s", "x", "ch", "sh"].iter().any(|end| singular.ends_with(end)) => format!("{singular}es"),
        () => match singular.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
            Some(_) | None => format!("{singular}s"),
        },
    };
    let is_kubernetes = kind
        .api_version
        .split_once('/')
        .is_none_or(|(group, _)| !group.contains('.') || group.ends_with(".k8s.io"));
    Some(Served {
        resource,
        namespaced: !(is_kubernetes && WITHOUT_NAMESPACE.contains(&name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_of_kubernetes() {
        let check = |api_version: &str, kind: &str, resource: &str, namespaced: bool| {
            let found = by_convention(&Kind {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            });
            let expected = Served {
                resource: resource.to_owned(),
                namespaced,
            };
            assert_eq!(found, Some(expected), "{kind}");
        };
        check("v1", "ConfigMap", "configmaps", true);
        check("v1", "Endpoints", "endpoints", true);
        check("v1", "Namespace", "namespaces", false);
        check("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true);
        check("networking.k8s.io/v1", "Ingress", "ingresses", true);
        check("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", false);
        check("gateway.networking.k8s.io/v1", "Gateway", "gateways", true);
        check(
            "apps.clusternet.io/v1alpha1",
            "Localization",
            "localizations",
            true,
        );
        check("a.example/v1", "Node", "nodes", true);
    }
}
