//! How often the operator asks what a ServiceAccount may.

use drplan_testkit::{Kubectl, TestNamespace};

use super::{plan_until, printed, service_account};
use crate::fixtures::{annotate, apply, apply_plan, config_map, job, plan, plans, resource};
use crate::shared;

/// An answer is good for ten seconds. Longer than that nothing is asked either, unless something changes.
#[tokio::test]
async fn a_plan_that_does_not_change_costs_no_access_reviews() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        service_account(t, "dr").await?;
        let made = resource("map", "Create", &config_map("made", "a: b"));
        apply_plan(t, "shop", &[job("work"), made]).await?;
        let used = plan("shop").with("serviceAccountName", "dr".into());
        apply(t, &used.stage("main", &["shop"])).await?;
        let rights = printed(&control_plane, &["rbac", "shop", "-n", &t.name]).await?;
        let admin = Kubectl::without_namespace(&control_plane);
        admin.run_with(&["apply", "-f", "-"], &rights).await?;
        let launch = t
            .operator_launch()?
            .default_identity()
            .arg("--reconcile-interval=1s");
        t.launch_operator(launch).await?.ready().await?;
        plan_until(t, "shop", "Ready").await?;

        let reviews = t.audit().resource("localsubjectaccessreviews");
        let lists = t
            .audit()
            .user(&format!("operator:{}", t.name))
            .resource("drplans")
            .verb("list");
        let asked = reviews.wait_for(1).await?.len();
        // One each second: what was answered before has been forgotten by then, and all has been listed anew.
        lists.wait_for(lists.entries()?.len() + 15).await?;
        assert_eq!(reviews.entries()?.len(), asked);
        // They can be counted: a change of the plan asks anew.
        annotate(&plans(t), "shop", "test", Some("changed")).await?;
        reviews.wait_for(asked + 1).await?;
        Ok(())
    };
    control_plane.with_namespace("rights-asked", test).await
}
