//! What a ServiceAccount must be allowed, and the Roles that allow it.

mod rules;

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use rules::rules;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Make one.
    Create,
    /// Read one.
    Get,
    /// Read all.
    List,
    /// See changes.
    Watch,
    /// Change one; with `Create` also apply one that is absent.
    Patch,
    /// Delete one.
    Delete,
}

impl Verb {
    /// As in a Role.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// One thing that somebody must be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// Where; none of kinds that have no namespace.
    pub namespace: Option<String>,
    /// The group of the resource, empty for the core one.
    pub group: String,
    /// The plural, such as `jobs`, with the subresource if it is about one: `pods/log`.
    pub resource: String,
    /// The object; none: any.
    pub name: Option<String>,
    /// What.
    pub verb: Verb,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl Right {
    /// The spec of an access review: whether `account` has this right. The groups are those that the API server gives
    /// every ServiceAccount.
    pub fn review_of(&self, account: &Account) -> Value {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        json!({
            "user": account.to_string(),
            "groups": [
                "system:serviceaccounts",
                format!("system:serviceaccounts:{}", account.namespace),
                "system:authenticated",
            ],
            "resourceAttributes": {
                "verb": self.verb.as_str(),
                "group": self.group,
                // Of whichever version: no rule tells them apart.
                "version": "*",
                "resource": resource,
                "subresource": subresource,
                "namespace": self.namespace.as_deref().unwrap_or_default(),
                "name": self.name.as_deref().unwrap_or_default(),
            },
        })
    }
}

/// The Roles and RoleBindings that give a plan's ServiceAccount rights: one Role for each namespace, a ClusterRole for
/// what has none. `Display` writes YAML of several documents, `{:#}` one line; `kubectl apply -f -` takes both.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// To whom.
    pub account: Account,
    /// For which plan of the account's namespace. Names follow from it, so that a later grant replaces this one.
    pub plan: String,
    /// What.
    pub rights: Vec<Right>,
}

impl Grant {
    /// The Roles with their bindings, by namespace.
    pub fn manifests(&self) -> Vec<Value> {
        let mut by_namespace: BTreeMap<Option<&str>, Vec<&Right>> = BTreeMap::new();
        for right in &self.rights {
            by_namespace
                .entry(right.namespace.as_deref())
                .or_default()
                .push(right);
        }
        let pairs = by_namespace
            .into_iter()
            .map(|(namespace, rights)| self.role_and_binding(namespace, &rights));
        pairs.flatten().collect()
    }

    fn role_and_binding(&self, namespace: Option<&str>, rights: &[&Right]) -> [Value; 2] {
        let prefix = if namespace.is_some() { "" } else { "Cluster" };
        let name = format!("drplan:{}:{}", self.account.namespace, self.plan);
        let mut metadata = json!({"name": name});
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{prefix}Role"),
            "metadata": metadata,
            "rules": rules(rights),
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{prefix}RoleBinding"),
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": format!("{prefix}Role"), "name": name},
            "subjects": [{
                "kind": "ServiceAccount", "name": self.account.name, "namespace": self.account.namespace,
            }],
        });
        [role, binding]
    }
}

/// Manifests as YAML documents.
///
/// # Errors
/// None for manifests of objects.
pub fn to_yaml(manifests: &[Value]) -> Result<String, fmt::Error> {
    let documents = manifests.iter().map(serde_saphyr::to_string);
    let documents: Vec<String> = documents.collect::<Result<_, _>>().map_err(|_| fmt::Error)?;
    Ok(documents.join("---\n"))
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifests = self.manifests();
        match f.alternate() {
            true => {
                let list = json!({"apiVersion": "v1", "kind": "List", "items": manifests});
                write!(f, "{list}")
            }
            false => f.write_str(to_yaml(&manifests)?.trim_end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(namespace: &str, resource: &str, verb: Verb, name: Option<&str>) -> Right {
        Right {
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            group: if resource == "jobs" { "batch" } else { "" }.to_owned(),
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            verb,
        }
    }

    fn account() -> Account {
        Account {
            namespace: "shop".to_owned(),
            name: "dr".to_owned(),
        }
    }

    #[test]
    fn a_grant_is_a_role_for_each_namespace_and_a_cluster_role_for_what_has_none() {
        let grant = Grant {
            account: account(),
            plan: "failover".to_owned(),
            rights: vec![
                right("shop", "jobs", Verb::Create, None),
                right("shop", "jobs", Verb::Get, None),
                right("far", "configmaps", Verb::Get, Some("settings")),
                right("", "namespaces", Verb::Get, Some("far")),
            ],
        };
        let yaml = grant.to_string();
        let expected = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: drplan:shop:failover
rules:
- apiGroups:
  - \"\"
  resourceNames:
  - far
  resources:
  - namespaces
  verbs:
  - get
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: drplan:shop:failover
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: drplan:shop:failover
subjects:
- kind: ServiceAccount
  name: dr
  namespace: shop
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: drplan:shop:failover
  namespace: far
";
        assert!(yaml.starts_with(expected), "{yaml}");
        let line = format!("{grant:#}");
        let list: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(6));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_right_is_told_in_words_and_reviewed_with_the_groups_of_a_service_account() {
        let log = right("shop", "pods/log", Verb::Get, None);
        assert_eq!(log.to_string(), "get pods/log in shop");
        assert_eq!(
            right("shop", "jobs", Verb::Delete, Some("sync")).to_string(),
            "delete jobs.batch sync in shop"
        );
        let review = log.review_of(&account());
        assert_eq!(review["user"], "system:serviceaccount:shop:dr");
        assert_eq!(review["groups"][1], "system:serviceaccounts:shop");
        assert_eq!(review["resourceAttributes"]["resource"], "pods");
        assert_eq!(review["resourceAttributes"]["subresource"], "log");
    }
}
