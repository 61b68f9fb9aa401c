//! `run`, and how an execution is created.

use anyhow::{Context, bail};
use drplan_api::{GROUP, Time, VERSION, limits::OBJECT_NAME_MAX, names::is_dns_subdomain};
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Refused, answer},
    exit::Exit,
    screen, watch,
};

/// Creates an execution of `plan`.
pub(super) async fn run(
    cluster: &Cluster,
    plan: &str,
    name: Option<String>,
    params: Vec<(String, String)>,
    wait: bool,
) -> anyhow::Result<Exit> {
    let found = answer(cluster.plans().get_opt(plan)).await;
    if found
        .with_context(|| format!("failed to read plan `{plan}`"))?
        .is_none()
    {
        let namespace = &cluster.namespace;
        bail!(
            "there is no plan `{plan}` in namespace {namespace}; kubectl get drp -n {namespace} lists them"
        );
    }
    let params: Vec<Value> = params
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let mut spec = json!({"planRef": plan, "operationType": "Execute"});
    if !params.is_empty() {
        spec["params"] = Value::Array(params);
    }
    let name = name.unwrap_or_else(|| name_at(plan, watch::now()));
    create(cluster, &name, spec, wait).await
}

/// Creates execution `name` of that spec and says how to watch it, or watches it.
pub(super) async fn create(cluster: &Cluster, name: &str, spec: Value, wait: bool) -> anyhow::Result<Exit> {
    if name.len() > OBJECT_NAME_MAX || !is_dns_subdomain(name) {
        bail!(
            "`{name}` cannot be the name of an execution; write lower-case letters, digits and -, at most \
             {OBJECT_NAME_MAX}"
        );
    }
    let flags = &cluster.flags;
    let manifest = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "DRPlanExecution",
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": spec,
    });
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let params = PostParams::default();
    let executions = cluster.executions();
    if let Err(error) = answer(executions.create(&params, &object)).await {
        let what = match error.downcast_ref::<Refused>() {
            Some(refused) if refused.is_already_exists() => {
                bail!(
                    "there is an execution `{name}` already, and a name runs once; choose another with --name"
                )
            }
            Some(_) => format!("failed to create execution `{name}`"),
            // Whoever starts it once more without looking has two runs.
            None => format!(
                "execution `{name}` may have been created or not; before you try again look with \
                 kubectl drplan watch {name}{flags}"
            ),
        };
        return Err(error.context(what));
    }
    if wait {
        return watch::watch(cluster, name).await;
    }
    screen::line(name);
    screen::tell(&format!("watch: kubectl drplan watch {name}{flags}"));
    Ok(watch::begins(cluster, name).await)
}

/// `<prefix>-<UTC date>-<UTC time>`, the prefix cut so that it is a name.
pub(super) fn name_at(prefix: &str, now: Time) -> String {
    // 2026-01-30T10:00:00.000Z
    let digits: String = now
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let stamp = format!("-{date}-{time}");
    let room = OBJECT_NAME_MAX.saturating_sub(stamp.len());
    let prefix = screen::head(prefix, room).trim_end_matches(['-', '.']);
    format!("{prefix}{stamp}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_plan_and_time_and_is_never_too_long() {
        let now: Time = "2026-01-30T10:02:03.456Z".parse().unwrap();
        assert_eq!(name_at("shop", now), "shop-20260130-100203");
        let long = name_at(&format!("{}-{}", "a".repeat(46), "b".repeat(20)), now);
        assert_eq!(long, format!("{}-20260130-100203", "a".repeat(46)));
        assert!(is_dns_subdomain(&long));
    }
}
