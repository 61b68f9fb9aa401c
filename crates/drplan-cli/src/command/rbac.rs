//! `rbac`.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use drplan_api::{canonical::ParameterValue, decode, normalise_execution, problem::one_line};
use drplan_engine::rights::{Kind, Served};
use serde_json::{Value, json};

use crate::{
    check::read_files,
    cluster::Cluster,
    exit::Exit,
    options::{ClusterOptions, RbacOptions},
    rbac::{self, Needed, Planned, by_convention},
    screen,
};

/// Where objects are that name no namespace and no `-n` is given: without a cluster nobody else says so.
const NAMESPACE: &str = "default";

/// Prints what the plan's ServiceAccount needs, or what of it is missing.
pub(super) async fn rbac(cluster: &ClusterOptions, options: &RbacOptions) -> anyhow::Result<Exit> {
    let params = values(&options.params)?;
    let account = options.service_account.as_str();
    if !options.files.is_empty() {
        let files = read_files(&options.files, options.recursive)
            .map_err(|(name, error)| anyhow::Error::new(error).context(format!("failed to read `{name}`")))?;
        let namespace = cluster.namespace.as_deref().unwrap_or(NAMESPACE);
        let planned = Planned::of_files(&files, namespace, options.plan.as_deref())?;
        screen::print(&rbac::text(&planned.needed(&params, account)?, by_convention)?);
        return Ok(Exit::Done);
    }
    let Some(plan) = &options.plan else {
        bail!("say which plan, or give its files with -f");
    };
    let cluster = Cluster::connect(cluster).await?;
    let needed = Planned::of_cluster(&cluster, plan)
        .await?
        .needed(&params, account)?;
    let served = served(&cluster, &needed).await?;
    let served = |kind: &Kind| served.get(kind).cloned();
    if !options.check {
        screen::print(&rbac::text(&needed, served)?);
        return Ok(Exit::Done);
    }
    let missing = rbac::missing(&cluster, &needed, served).await?;
    let account = &needed.account;
    if missing.is_empty() {
        screen::line(&format!("{account} may do all that plan {plan} needs"));
        return Ok(Exit::Done);
    }
    for right in missing {
        screen::line(&format!("{account} may not {right}"));
    }
    Ok(Exit::ProblemsFound)
}

/// Values as an execution supplies them.
fn values(params: &[(String, String)]) -> anyhow::Result<Vec<ParameterValue>> {
    let params: Vec<Value> = params
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let spec = json!({"planRef": "any", "operationType": "Execute", "params": params});
    let spec = decode(spec).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let request = normalise_execution(&spec, NAMESPACE);
    let wrong = || one_line(&request.problems);
    let request = request.value.as_ref().with_context(wrong)?;
    Ok(request.params.clone())
}

/// What the kinds that the plan needs are served as.
async fn served(cluster: &Cluster, needed: &Needed) -> anyhow::Result<BTreeMap<Kind, Served>> {
    let mut served = BTreeMap::new();
    for kind in needed.needs.kinds() {
        if let Some(found) = cluster.served(&kind).await? {
            served.insert(kind, found);
        }
    }
    Ok(served)
}
