//! `revert`.

use anyhow::bail;
use serde_json::json;

use super::create::{Name, create};
use crate::{cluster::Cluster, exit::Exit, screen, view::RunView};

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
    let made = || {
        // Both parts fit: the plan's name gives way.
        let plan = screen::head(&run.plan, 40).trim_end_matches(['-', '.']);
        Name::made_of(&format!("{plan}-revert"))
    };
    let name = name.map_or_else(made, Name::Given);
    create(cluster, &name, spec, wait).await
}
