//! Rights as the fewest rules of a Role.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Right, Verb};

/// The rules that grant exactly `rights`, which are of one namespace.
pub(super) fn rules(rights: &[&Right]) -> Vec<Value> {
    // Verbs for all objects of a resource, and for single ones besides.
    let mut all: BTreeMap<(&str, &str), BTreeSet<Verb>> = BTreeMap::new();
    let mut single: BTreeMap<(&str, &str), BTreeMap<&str, BTreeSet<Verb>>> = BTreeMap::new();
    for right in rights {
        let resource = (right.group.as_str(), right.resource.as_str());
        if right.name.is_none() {
            all.entry(resource).or_default().insert(right.verb);
        }
    }
    for right in rights {
        let resource = (right.group.as_str(), right.resource.as_str());
        let is_granted = all
            .get(&resource)
            .is_some_and(|verbs| verbs.contains(&right.verb));
        if let Some(name) = right.name.as_deref().filter(|_| !is_granted) {
            let names = single.entry(resource).or_default();
            names.entry(name).or_default().insert(right.verb);
        }
    }
    let mut rules = Vec::new();
    for ((group, resource), verbs) in all {
        rules.push(rule(group, resource, &[], &verbs));
    }
    for ((group, resource), names) in single {
        // Objects with the same verbs share a rule.
        let mut by_verbs: BTreeMap<BTreeSet<Verb>, Vec<&str>> = BTreeMap::new();
        for (name, verbs) in names {
            by_verbs.entry(verbs).or_default().push(name);
        }
        for (verbs, names) in by_verbs {
            rules.push(rule(group, resource, &names, &verbs));
        }
    }
    rules
}

fn rule(group: &str, resource: &str, names: &[&str], verbs: &BTreeSet<Verb>) -> Value {
    let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_grant_exactly_the_rights_with_names_where_there_are_any() {
        let right = |resource: &str, name: Option<&str>, verb| Right {
            namespace: Some("shop".to_owned()),
            group: String::new(),
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            verb,
        };
        let rights = [
            right("configmaps", None, Verb::Create),
            right("configmaps", Some("a"), Verb::Get),
            right("configmaps", Some("a"), Verb::Patch),
            right("configmaps", Some("b"), Verb::Patch),
            right("configmaps", Some("b"), Verb::Get),
            right("configmaps", Some("c"), Verb::Get),
            right("pods", None, Verb::List),
            // Granted for all already.
            right("pods", Some("p"), Verb::List),
        ];
        let found = rules(&rights.iter().collect::<Vec<_>>());
        let expected = json!([
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["c"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"], "resourceNames": ["a", "b"]},
        ]);
        assert_eq!(json!(found), expected);
    }
}
