//! Somebody else's admission webhook that does not let a command's annotation be taken off.

use drplan_testkit::{Answer, TestNamespace};

use super::{
    assert_received,
    foreign::{NAMED, WORDS, Webhook, Webhooks, ours},
    silence::begin_runs,
};
use crate::fixtures::{
    annotate, apply_plan, create, event, execution, execution_until, executions, ours as annotation, post,
    released,
};
use crate::shared;

/// More writes of one annotation than these in a few seconds are a loop without a pause.
const WRITES_MAX: usize = 20;

/// The run is cancelled all the same, and the event `ReleaseRefused` tells at its end why it cannot go. It is not written
/// again without a pause.
#[tokio::test]
async fn a_command_that_cannot_be_taken_off_is_heeded_and_told_of() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "probe", &[post("call", &t.stand_in.url("/probe"))]).await?;
        begin_runs(t, &["ordered"]).await?;
        let cancel = annotation("cancel");
        let takes_off = format!(
            "{NAMED} && oldObject.metadata.?annotations['{cancel}'].orValue('') != '' \
             && object.metadata.?annotations['{cancel}'].orValue('') == ''"
        );
        let refusal = || Some(Answer::refusal(WORDS));
        let webhooks = [
            Webhook::new("ordered", refusal(), &ours(&["drplanexecutions"]), &takes_off),
            Webhook::new("probe", refusal(), &ours(&["drplans"]), NAMED),
        ];
        let webhooks = Webhooks::install(t, &webhooks, "probe").await?;

        annotate(&executions(t), "ordered", &cancel, Some("true")).await?;
        event(t, "ordered", "CancelRequested").await?;
        let tries = [Answer::status(503).times(3), Answer::ok()];
        t.stand_in.script("/beside", tries);
        let beside = post("call", &t.stand_in.url("/beside")).retried(3, "1s");
        apply_plan(t, "beside", &[beside]).await?;
        create(t, &execution("beside", "beside")).await?;
        execution_until(t, "beside", "Succeeded").await?;
        let refused = t.audit().resource("drplanexecutions").name("ordered").code(403);
        let count = refused.entries()?.len();
        assert!((1..=WRITES_MAX).contains(&count), "{count} writes were refused");

        t.stand_in.release("/ordered");
        execution_until(t, "ordered", "Cancelled").await?;
        let told = event(t, "ordered", "ReleaseRefused").await?;
        let begins =
            "the run has ended, but its finalizer and its commands cannot be taken off; it is tried again: ";
        assert!(told.starts_with(begins) && told.contains(WORDS), "{told}");
        webhooks.remove().await?;
        released(t, "ordered").await?;
        let ended = executions(t).get("ordered").await?;
        let left = ended.metadata.annotations.unwrap_or_default();
        assert!(!left.contains_key(&cancel), "{left:?}");
        assert_received(t, "/ordered", 1);
        assert_eq!(t.stand_in.requests("/after-ordered").len(), 0);
        Ok(())
    };
    control_plane.with_namespace("faults-commands", test).await
}
