//! The shop of `examples/ecommerce`, five stages with ten uses of workflows and 22 actions, runs and is undone: as it is
//! written, with the rights of its ServiceAccount, with a kill -9 at every transition of both, and after its workflows
//! are gone.

mod lives;
mod rights;
mod shop;
mod world;

use anyhow::ensure;
use drplan_testkit::object_until;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::fixtures::{create, execution, execution_until, plans, released, revert, text};
use lives::{Deaths, Requests};
use shop::{PLAN, Shop, with_shop};
use world::World;

/// What there is after a run without a crash, and after its Revert.
static CALM: OnceCell<[Value; 2]> = OnceCell::const_new();

#[tokio::test]
async fn killed_after_each_write_of_run_and_revert_the_shop_ends_as_without_a_crash() -> anyhow::Result<()> {
    // What is recorded is never sent again.
    survive(Deaths::AfterWrites, 1).await
}

#[tokio::test]
async fn killed_before_each_write_of_run_and_revert_the_shop_ends_as_without_a_crash() -> anyhow::Result<()> {
    survive(Deaths::BeforeWrites, 2).await
}

#[tokio::test]
async fn killed_before_each_effect_of_run_and_revert_the_shop_ends_as_without_a_crash() -> anyhow::Result<()>
{
    survive(Deaths::AtEffects("before-effect"), 1).await
}

#[tokio::test]
async fn killed_after_each_effect_of_run_and_revert_the_shop_ends_as_without_a_crash() -> anyhow::Result<()> {
    survive(Deaths::AtEffects("after-effect"), 2).await
}

/// Runs and reverts the shop with these deaths, and compares what there is with what there is without any. A call
/// beside which nothing runs is sent `alone` times.
async fn survive(deaths: Deaths, alone: usize) -> anyhow::Result<()> {
    let calm = CALM.get_or_try_init(async || run_and_revert(Deaths::None, 1).await);
    let (calm, found) = tokio::join!(calm, run_and_revert(deaths, alone));
    for (found, expected) in found?.iter().zip(calm?) {
        ensure!(found == expected, "there is\n{found:#}\ninstead of\n{expected:#}");
    }
    Ok(())
}

async fn run_and_revert(deaths: Deaths, alone: usize) -> anyhow::Result<[Value; 2]> {
    let worlds = OnceCell::new();
    let test = async |shop: &Shop<'_>| {
        shop.apply(shop.manifests()?).await?;
        let lives = lives::live(shop, &execution("run", PLAN), deaths).await?;
        let run = World::see(shop, "run").await?;
        run.has_run_once(shop, &Requests::of(lives, deaths, alone))
            .await?;
        let lives = lives::live(shop, &revert("back", PLAN, "run"), deaths).await?;
        let back = World::see(shop, "back").await?;
        back.has_undone(shop, &run, &Requests::of(lives, deaths, alone))
            .await?;
        rights::none_was_missing(shop)?;
        worlds.set([run.comparable(shop, &run)?, back.comparable(shop, &run)?])?;
        Ok(())
    };
    with_shop(&deaths.name(), test).await?;
    let worlds = worlds.into_inner();
    worlds.ok_or_else(|| anyhow::anyhow!("the test ended without telling what there is"))
}

#[tokio::test]
async fn a_failed_run_and_its_revert_use_every_right_of_the_service_account_and_miss_none()
-> anyhow::Result<()> {
    let test = async |shop: &Shop<'_>| {
        let mut manifests = shop.manifests()?;
        for action in shop::actions_mut(&mut manifests) {
            if action["type"] == "Job" {
                action["job"]["backoffLimit"] = 0.into();
                action["job"]["template"]["metadata"]["annotations"] = json!({"testkit.drplan/fail": "7"});
            }
        }
        shop.apply(manifests).await?;
        let operator = shop.t.launch_operator(shop.launch.clone()).await?;
        operator.ready().await?;
        create(shop.t, &execution("run", PLAN)).await?;
        let failed = execution_until(shop.t, "run", "Failed").await?;
        released(shop.t, "run").await?;
        let summary = &failed["status"]["summary"];
        assert_eq!(summary["failedStages"], 1, "{summary}");
        let partly = revert("back", PLAN, "run").with("allowPartial", true.into());
        create(shop.t, &partly).await?;
        execution_until(shop.t, "back", "Succeeded").await?;
        assert_eq!(shop.made("run").await?, Vec::<Value>::new());
        rights::all_were_used(shop).await?;
        rights::none_was_missing(shop)
    };
    with_shop("shop-rights", test).await
}

#[tokio::test]
async fn a_revert_needs_neither_the_workflows_nor_the_plan_as_it_was() -> anyhow::Result<()> {
    let test = async |shop: &Shop<'_>| {
        let library = format!("{}-library", shop.t.name);
        shop.t.beside(&library).await?;
        let mut manifests = shop.manifests()?;
        shop::keep_workflows_in(&mut manifests, &library);
        shop.apply(manifests).await?;
        let launch = shop.launch.clone().arg(format!("--namespace={library}"));
        shop.t.launch_operator(launch).await?.ready().await?;
        create(shop.t, &execution("run", PLAN)).await?;
        execution_until(shop.t, "run", "Succeeded").await?;
        released(shop.t, "run").await?;
        let run = World::see(shop, "run").await?;

        let namespaces: Api<Namespace> = Api::all(shop.t.client.clone());
        namespaces.delete(&library, &DeleteParams::default()).await?;
        object_until(&namespaces, &library, "is gone", |namespace| {
            namespace.is_none().then_some(())
        })
        .await?;
        let edited = json!({"spec": {
            "serviceAccountName": "nobody", "failurePolicy": "Continue", "timeout": "1ms", "globalParams": [],
            "stages": [{"name": "infrastructure", "workflows": [{"workflowRef": {"name": "missing"}}]}],
        }});
        plans(shop.t)
            .patch(PLAN, &PatchParams::default(), &Patch::Merge(edited))
            .await?;
        object_until(&plans(shop.t), PLAN, "Invalid", |plan| {
            (text(&plan?.data, "/status/phase") == "Invalid").then_some(())
        })
        .await?;

        create(shop.t, &revert("back", PLAN, "run")).await?;
        execution_until(shop.t, "back", "Succeeded").await?;
        released(shop.t, "back").await?;
        let back = World::see(shop, "back").await?;
        back.has_undone(shop, &run, &Requests::once()).await?;
        rights::none_was_missing(shop)
    };
    with_shop("shop-gone", test).await
}
