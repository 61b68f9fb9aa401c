//! `charts/drplan`: what it renders, what it refuses, and that what is made from other sources is not stale.

#[path = "chart/made.rs"]
mod made;
#[path = "chart/values.rs"]
mod values;

use std::collections::BTreeSet;

use anyhow::Context;
use drplan_testkit::chart::{Chart, object};
use serde_json::Value;

/// Values as different installations have them.
const INSTALLATIONS: [&[&str]; 6] = [
    &[],
    &[
        r#"namespaces=["shop","bank"]"#,
        r#"rbac.impersonate=["*/dr","shop/*"]"#,
    ],
    &[
        r#"webhook.certificate.from="CertManager""#,
        "metrics.serviceMonitor.enabled=true",
        "metrics.prometheusRule.enabled=true",
    ],
    &[
        r#"webhook.certificate={"from":"CertManager","issuer":{"name":"ca","kind":"ClusterIssuer"}}"#,
        r#"operator.http={"allow":["*.example.com"],"deny":["10.0.0.0/8"],"resolve":["a.example.com:443:10.1.2.3"],"proxy":"http://proxy:3128","caConfigMap":"ca"}"#,
        r#"operator.extraArgs=["--max-running=10","--reconcile-interval=1m"]"#,
    ],
    &[
        "webhook.enabled=false",
        "metrics.port=0",
        "replicas=1",
        "networkPolicy.enabled=false",
        "rbac.impersonate=[]",
        "crds.install=false",
        "priorityClass.name=\"\"",
    ],
    &[
        "operator.allowOperatorIdentity=true",
        "operator.triggerAnnotations=true",
        r#"rbac.extraRules=[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]"#,
        r#"image={"repository":"registry.example.com/drplan","digest":"sha256:0123456789012345678901234567890123456789012345678901234567890123","pullSecrets":[{"name":"registry"}]}"#,
        r#"tolerations=[{"operator":"Exists"}]"#,
        r#"nodeSelector={"disk":"ssd"}"#,
        r#"podLabels={"team":"dr"}"#,
        r#"podAnnotations={"note":"x"}"#,
        r#"serviceAccount={"name":"runner","annotations":{"a":"b"}}"#,
        r#"networkPolicy.metricsFrom=[{"namespaceSelector":{}}]"#,
    ],
];

fn chart(values: &[&str]) -> Chart {
    values
        .iter()
        .fold(Chart::in_namespace("drplan-system"), |chart, value| {
            chart.with(*value)
        })
}

fn rendered(values: &[&str]) -> anyhow::Result<Vec<Value>> {
    chart(values).objects().with_context(|| format!("{values:?}"))
}

/// The Pod template of the Deployment.
fn pod(objects: &[Value]) -> anyhow::Result<&Value> {
    Ok(&object(objects, "Deployment", "drplan-operator")?["spec"]["template"])
}

fn args(objects: &[Value]) -> anyhow::Result<Vec<String>> {
    Ok(serde_json::from_value(
        pod(objects)?["spec"]["containers"][0]["args"].clone(),
    )?)
}

/// Whether some rule lets somebody do `verb` to `resource`, by kind and name of the role; with the names it is limited to.
fn granted<'a>(objects: &'a [Value], verb: &str, resource: &str) -> Vec<(String, &'a Value)> {
    let has = |list: &Value, word: &str| {
        list.as_array()
            .is_some_and(|list| list.iter().any(|one| one == word))
    };
    let mut found = Vec::new();
    for role in objects {
        let kind = role["kind"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().into_iter().flatten() {
            if has(&rule["verbs"], verb) && has(&rule["resources"], resource) {
                let meta = &role["metadata"];
                let place = meta["namespace"].as_str().unwrap_or("-");
                let name = meta["name"].as_str().unwrap_or_default();
                found.push((format!("{kind} {place} {name}"), &rule["resourceNames"]));
            }
        }
    }
    found
}

#[test]
fn helm_has_nothing_to_complain_of() -> anyhow::Result<()> {
    for values in INSTALLATIONS {
        chart(values).lint().with_context(|| format!("{values:?}"))?;
        rendered(values)?;
    }
    Ok(())
}

#[test]
fn every_flag_that_is_rendered_is_one_of_the_operators() -> anyhow::Result<()> {
    let docs = std::fs::read_to_string(made::repository().join("docs/operations.md"))?;
    for values in INSTALLATIONS {
        let args = args(&rendered(values)?)?;
        assert_eq!(args[0], "run");
        for arg in &args[1..] {
            let flag = arg.split('=').next().unwrap_or_default();
            let known = [format!("- `{flag}`"), format!("- `{flag} ")];
            assert!(
                known.iter().any(|known| docs.contains(known)),
                "{flag} is not in docs/operations.md"
            );
        }
    }
    Ok(())
}

#[test]
fn the_guides_commands_find_the_pods_and_both_replicas_stand_apart() -> anyhow::Result<()> {
    let objects = rendered(&[])?;
    let deployment = object(&objects, "Deployment", "drplan-operator")?;
    assert_eq!(deployment["metadata"]["namespace"], "drplan-system");
    assert_eq!(deployment["spec"]["replicas"], 2);
    let pod = pod(&objects)?;
    assert_eq!(pod["metadata"]["labels"]["app"], "drplan-controller");
    assert!(args(&objects)?.contains(&"--leader-elect".to_owned()));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "128Mi");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(
        object(&objects, "PodDisruptionBudget", "drplan-operator")?["spec"]["minAvailable"],
        1
    );
    assert!(pod["spec"]["affinity"]["podAntiAffinity"].is_object());
    let selector = &deployment["spec"]["selector"]["matchLabels"];
    let labels = &pod["metadata"]["labels"];
    for (key, value) in selector.as_object().context("a selector")? {
        assert_eq!(&labels[key], value, "a Deployment that finds its Pods");
    }
    Ok(())
}

#[test]
fn values_that_are_wrong_are_refused_and_named() {
    let check = |value: &str, named: &str| {
        let error = chart(&[value]).render().expect_err(value);
        let error = format!("{error:#}");
        assert!(error.contains(named), "{value}: {error}");
    };
    check(r#"replica=3"#, "replica");
    check(r#"replicas="two""#, "replicas");
    check(r#"image.tagg="1""#, "tagg");
    check(r#"image.digest="sha256:12""#, "digest");
    check(r#"image.pullPolicy="Sometimes""#, "pullPolicy");
    check(r#"namespaces="shop""#, "namespaces");
    check(r#"namespaces=["Shop"]"#, "namespaces");
    check(r#"operator.logLevel="loud""#, "logLevel");
    check(r#"operator.drainTimeout="25""#, "drainTimeout");
    check(r#"operator.extraArgs=["max-running=10"]"#, "extraArgs");
    check(r#"operator.http.proxy="proxy:3128""#, "proxy");
    check(r#"rbac.impersonate=["default"]"#, "impersonate");
    check(r#"rbac.impersonate=["*"]"#, "impersonate");
    check(r#"webhook.certificate.from="Vault""#, "from");
    check(r#"webhook.port=443"#, "port");
    check(r#"metrics.port=80"#, "port");
    check(r#"priorityClass.value=2000000000"#, "value");
    let two = chart(&[r#"namespaces=["shop"]"#, r#"rbac.impersonate=["bank/dr"]"#]).render();
    let two = format!("{:#}", two.expect_err("a namespace that it does not look after"));
    assert!(two.contains("names the namespace bank"), "{two}");
}

#[test]
fn the_operator_may_act_as_the_service_accounts_that_are_named_and_no_others() -> anyhow::Result<()> {
    let check = |values: &[&str], expected: &[(&str, Value)]| -> anyhow::Result<()> {
        let objects = rendered(values)?;
        let found = granted(&objects, "impersonate", "serviceaccounts");
        let found: Vec<(&str, Value)> = found
            .iter()
            .map(|(role, names)| (role.as_str(), (*names).clone()))
            .collect();
        assert_eq!(found, expected, "{values:?}");
        for verb in ["users", "groups", "uids"] {
            assert_eq!(granted(&objects, "impersonate", verb), [], "{values:?}");
        }
        Ok(())
    };
    let names = |names: &[&str]| serde_json::json!(names);
    check(&[], &[("ClusterRole - drplan-operator", names(&["default"]))])?;
    check(&["rbac.impersonate=[]"], &[])?;
    check(
        &[r#"rbac.impersonate=["shop/dr","shop/db","*/dr"]"#],
        &[
            ("ClusterRole - drplan-operator", names(&["dr"])),
            ("Role shop drplan-operator-impersonate", names(&["db", "dr"])),
        ],
    )?;
    check(
        &[r#"rbac.impersonate=["shop/*","shop/db"]"#],
        &[("Role shop drplan-operator-impersonate", Value::Null)],
    )?;
    check(
        &[r#"rbac.impersonate=["*/*"]"#],
        &[("ClusterRole - drplan-operator", Value::Null)],
    )?;
    check(
        &[r#"namespaces=["shop"]"#, r#"rbac.impersonate=["*/*"]"#],
        &[("Role shop drplan-operator", Value::Null)],
    )
}

#[test]
fn with_namespaces_the_operator_has_rights_in_them_only() -> anyhow::Result<()> {
    let objects = rendered(&[r#"namespaces=["shop","bank"]"#])?;
    let places = |verb: &str, resource: &str| -> BTreeSet<String> {
        granted(&objects, verb, resource)
            .into_iter()
            .map(|(role, _)| role)
            .collect()
    };
    let in_both: BTreeSet<String> = ["Role bank drplan-operator", "Role shop drplan-operator"]
        .map(str::to_owned)
        .into();
    for (verb, resource) in [
        ("update", "drplans/status"),
        ("watch", "jobs"),
        ("create", "controllerrevisions"),
        ("create", "events"),
        ("create", "localsubjectaccessreviews"),
    ] {
        assert_eq!(places(verb, resource), in_both, "{verb} {resource}");
    }
    assert_eq!(
        granted(&objects, "get", "namespaces")[0].1,
        &serde_json::json!(["shop", "bank"])
    );
    assert!(args(&objects)?.contains(&"--namespace=shop,bank".to_owned()));
    Ok(())
}

#[test]
fn nothing_is_granted_by_a_star_but_on_request() -> anyhow::Result<()> {
    for values in INSTALLATIONS {
        for role in rendered(values)? {
            for rule in role["rules"].as_array().into_iter().flatten() {
                assert!(!rule.to_string().contains("\"*\""), "{values:?}: {role}");
            }
        }
    }
    Ok(())
}

#[test]
fn definitions_stay_when_the_chart_goes_unless_told_otherwise() -> anyhow::Result<()> {
    let policy = |values: &[&str]| -> anyhow::Result<Vec<Value>> {
        let objects = rendered(values)?;
        let crds = objects
            .iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition");
        Ok(crds
            .map(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"].clone())
            .collect())
    };
    assert_eq!(policy(&[])?, ["keep", "keep", "keep"]);
    assert_eq!(policy(&["crds.keep=false"])?, ["delete", "delete", "delete"]);
    assert_eq!(policy(&["crds.install=false"])?, Vec::<Value>::new());
    Ok(())
}
