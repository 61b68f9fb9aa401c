//! Deleting one object and never its successor.

use std::time::Duration;

use drplan_engine::{
    effect::{Failure, FailureKind},
    object::{Deletion, ObjectDeletion, ObjectOutcome},
};

use super::{Stop, gone::wait_until_gone, place::Place};
use crate::deadline::Deadline;

/// The first wait after a deletion that was not answered; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two deletions.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Deletes what stands at `place`, or nothing but the object with the UID of `deletion`.
///
/// # Guarantees
/// Every request has the UID that was read before as its precondition, so that it may be repeated: it never meets
/// another object. One that is being deleted already is not deleted again, which could change how it goes.
pub(super) async fn delete(
    place: &Place,
    deletion: &ObjectDeletion,
    deadline: Deadline,
) -> Result<ObjectOutcome, Stop> {
    let what = format!("delete {place}");
    let mut uid = deletion.target.uid.clone();
    // Whether a request of ours may have deleted it.
    let mut maybe_deleted = false;
    let mut pause = PAUSE_FIRST;
    loop {
        let live = place
            .read(deadline)
            .await
            .map_err(|refusal| refusal.stop(&what))?;
        let met = match &live {
            None => Some(Deletion::WasAbsent),
            Some(live) if uid.as_deref().is_some_and(|uid| uid != live.uid()) => Some(Deletion::WasReplaced),
            Some(_) => None,
        };
        let Some(live) = live.filter(|_| met.is_none()) else {
            let met = met.filter(|_| !maybe_deleted).unwrap_or(Deletion::Deleted);
            return Ok(ObjectOutcome::Deleted(met));
        };
        if live.is_being_deleted() {
            return accepted(place, live.uid(), deletion.await_gone, deadline).await;
        }
        if deadline.passed() {
            let message = format!("{what}: the time for it was over");
            return Err(Failure::new(FailureKind::Timeout, message).into());
        }
        let refusal = match place.delete(live.uid(), deadline.remaining()).await {
            Ok(()) => return accepted(place, live.uid(), deletion.await_gone, deadline).await,
            Err(refusal) => refusal,
        };
        if refusal.error.may_have_happened {
            maybe_deleted = true;
            uid.get_or_insert_with(|| live.uid().to_owned());
        }
        // 404: gone since it was read; 409: replaced or changed. The next read tells.
        if !(refusal.error.is_transient() || refusal.is_not_found()) || deadline.passed() {
            return Err(refusal.stop(&what));
        }
        let wished = Duration::from_millis(refusal.error.retry_after_millis.unwrap_or(0));
        tokio::time::sleep(pause.max(wished).min(deadline.remaining())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// The outcome of a deletion that the API server has accepted.
async fn accepted(
    place: &Place,
    uid: &str,
    await_gone: bool,
    deadline: Deadline,
) -> Result<ObjectOutcome, Stop> {
    if await_gone {
        wait_until_gone(place, uid, deadline).await?;
    }
    Ok(ObjectOutcome::Deleted(Deletion::Deleted))
}
