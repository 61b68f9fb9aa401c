//! The manifests in `examples/`, as a person applies them.

use anyhow::Context;
use drplan_testkit::{Kubectl, TestNamespace, demo};
use serde_json::{Value, json};

use crate::fixtures::{execution_until, phases};
use crate::shared;

#[tokio::test]
async fn the_first_plan_applies_without_starting_anything_and_runs_to_its_end() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let kubectl = Kubectl::new(&control_plane, &t.name);
        let applied = kubectl
            .run(&["apply", "--validate=strict", "-f", demo::FIRST_PLAN])
            .await?;
        assert_eq!(applied.lines().count(), 4, "{applied}");
        assert!(
            applied.lines().all(|line| line.ends_with(" created")),
            "{applied}"
        );
        kubectl
            .run(&[
                "wait",
                "--for=condition=Ready",
                "--timeout=60s",
                "drplan/shop-failover",
            ])
            .await?;
        assert_eq!(kubectl.run(&["get", "drpe", "-o", "name"]).await?, "");

        let file = format!("{}/run/execution.yaml", demo::FIRST_PLAN);
        let mut execution: Value = serde_saphyr::from_str(&std::fs::read_to_string(file)?)?;
        execution["spec"]["params"] = json!([{"name": "site", "value": t.stand_in.url("")}]);
        let created = kubectl
            .run_with(
                &["create", "--validate=strict", "-o", "name", "-f", "-"],
                &execution.to_string(),
            )
            .await?;
        let name = created.trim().rsplit('/').next().context("it has a name")?;
        let done = execution_until(t, name, "Succeeded").await?;
        assert_eq!(
            phases(&done).matches(" Succeeded").count(),
            9,
            "{}",
            phases(&done)
        );

        let called: Vec<String> = t
            .stand_in
            .all()
            .iter()
            .map(|call| format!("{} {}", call.method, call.path))
            .collect();
        // The category lists all kinds and hides none: `drplan` is the singular of one.
        let plan = kubectl
            .run(&["get", "drplan", "shop-failover", "-o", "name"])
            .await?;
        assert_eq!(plan, "drplan.dr.bkbcs.tencent.com/shop-failover\n");
        let all = kubectl.run(&["get", "drplan-all", "-o", "name"]).await?;
        assert_eq!(all.lines().count(), 5, "{all}");

        let (first, rest) = called.split_first().context("there are calls")?;
        assert_eq!(first, "PUT /shop/mode");
        let mut together = rest[..2].to_vec();
        together.sort();
        assert_eq!(
            together,
            [
                "POST /databases/customers/promote",
                "POST /databases/orders/promote"
            ]
        );
        assert_eq!(rest[2..], ["PUT /dns/shop", "POST /announcements"]);
        let sent = t.stand_in.requests("/announcements")[0].json()?;
        assert_eq!(sent["execution"], name);
        Ok(())
    };
    control_plane.with_namespace("examples", test).await
}
