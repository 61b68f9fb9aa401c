//! `revert`.

use anyhow::bail;
use serde_json::json;

use super::run::{create, name_at};
use crate::{cluster::Cluster, exit::Exit, view::RunView, watch};

/// Creates a Revert of execution `target`. Whether it may be undone is the operator's to say.
pub(super) async fn revert(
    cluster: &Cluster,
    target: &str,
    name: Option<String>,
    allow_partial: bool,
    wait: bool,
) -> anyhow::Result<Exit> {
    let run = RunView::read(&cluster.execution(target).await?);
    if run.plan.is_empty() {
        bail!("execution `{target}` does not tell which plan it ran");
    }
    let mut spec = json!({
        "planRef": run.plan,
        "operationType": "Revert",
        "revertExecutionRef": target,
    });
    if allow_partial {
        spec["allowPartial"] = json!(true);
    }
    let name = name.unwrap_or_else(|| {
        // Both parts fit: the plan's name gives way.
        let plan = crate::screen::head(&run.plan, 40).trim_end_matches(['-', '.']);
        name_at(&format!("{plan}-revert"), watch::now())
    });
    create(cluster, &name, spec, wait).await
}
