//! A namespace whose quota is used up.

use drplan_testkit::{TestNamespace, object_until};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use super::assert_received;
use crate::fixtures::{
    action_of, apply_plan, create, event, execution, execution_until, job, phases, post, released, revert,
    text,
};
use crate::shared;

/// A quota allows one Job. The user sees the action of the second one Failed after one attempt, whatever its
/// `retryPolicy`: waiting gives no room. Message and event name the quota with its figures. Nothing was made, so a Revert
/// has nothing to undo of it.
#[tokio::test]
async fn a_job_beyond_the_quota_fails_with_the_quotas_name_and_figures() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let quota: ResourceQuota = serde_json::from_value(json!({
            "metadata": {"name": "one-job"}, "spec": {"hard": {"count/jobs.batch": "1"}},
        }))?;
        t.api().create(&PostParams::default(), &quota).await?;
        // Until its controller has counted, the API server refuses for another reason.
        object_until(&t.api::<ResourceQuota>(), "one-job", "its count", |quota| {
            quota?.status.as_ref()?.used.as_ref().map(drop)
        })
        .await?;
        t.start_operator().await?;
        let second = job("second").retried(3, "1ms");
        let actions = [
            job("first"),
            post("call", &t.stand_in.url("/call")),
            second,
            post("next", &t.stand_in.url("/next")),
        ];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;

        let failed = execution_until(t, "run", "Failed").await?;
        assert_eq!(
            phases(&failed),
            "first Succeeded, call Succeeded, second Failed, next Skipped"
        );
        let action = action_of(&failed, "main/shop[0]/second");
        let message = text(action, "/message");
        let cause = "exceeded quota: one-job, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: \
                     count/jobs.batch=1";
        assert!(message.contains(cause), "{message}");
        assert_eq!(action["attempts"], 1);
        let run_says = text(&failed, "/status/message");
        assert!(run_says.contains("exceeded quota: one-job"), "{run_says}");
        let told = event(t, "run", "ActionFailed").await?;
        assert!(
            told.starts_with("Action second failed: ") && told.contains(cause),
            "{told}"
        );
        released(t, "run").await?;
        assert_received(t, "/call", 1);
        assert_eq!(t.stand_in.requests("/next").len(), 0);

        let made = t.api::<Job>().list(&ListParams::default()).await?.items;
        assert_eq!(made.len(), 1, "{made:?}");

        create(
            t,
            &revert("undo", "shop", "run").with("allowPartial", true.into()),
        )
        .await?;
        let undone = execution_until(t, "undo", "Succeeded").await?;
        let second = action_of(&undone, "main/shop[0]/second");
        assert_eq!(text(second, "/phase"), "Skipped", "{second}");
        let left = t.api::<Job>().list(&ListParams::default()).await?.items;
        assert!(left.is_empty(), "{left:?}");
        Ok(())
    };
    control_plane.with_namespace("faults-quota", test).await
}
