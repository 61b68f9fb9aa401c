//! Waiting until an object is gone.

use std::{pin::pin, time::Duration};

use drplan_engine::effect::{Failure, FailureKind};
use futures::{Stream, StreamExt};
use kube::core::{DynamicObject, PartialObjectMeta, WatchEvent};

use super::{Stop, place::Place};
use crate::deadline::Deadline;

/// The longest time between two reads of an object that is watched, in case an event was lost: ten reads in the
/// default timeout.
const REREAD: Duration = Duration::from_secs(30);
/// The time between two reads where there is no watch: the identity may lack that right.
const REREAD_UNWATCHED: Duration = Duration::from_secs(2);

/// Waits until the object with this UID is gone.
///
/// # Errors
/// At the deadline: what holds it. A read that is refused.
pub(super) async fn wait_until_gone(place: &Place, uid: &str, deadline: Deadline) -> Result<(), Stop> {
    loop {
        // Watched first and read then, so that it cannot go unseen between the two.
        let events = match deadline.passed() {
            true => None,
            false => place.watch(deadline.remaining()).await.ok(),
        };
        let live = place.read(deadline).await;
        let live = live.map_err(|refusal| refusal.stop(&format!("read {place}")))?;
        let Some(live) = live.filter(|live| live.uid() == uid) else {
            return Ok(());
        };
        if deadline.passed() {
            let message = format!("{place} is still being deleted: {}", live.held_by());
            return Err(Failure::new(FailureKind::Timeout, message).into());
        }
        let pause = REREAD.min(deadline.remaining());
        if let Ok(true) = tokio::time::timeout(pause, sees_it_go(events, uid)).await {
            return Ok(());
        }
    }
}

/// Whether the object was seen to go; if not, it is time for another read.
async fn sees_it_go(
    events: Option<impl Stream<Item = kube::Result<WatchEvent<PartialObjectMeta<DynamicObject>>>>>,
    uid: &str,
) -> bool {
    if let Some(events) = events {
        let mut events = pin!(events);
        while let Some(Ok(event)) = events.next().await {
            match event {
                WatchEvent::Deleted(object) if object.metadata.uid.as_deref() == Some(uid) => return true,
                WatchEvent::Error(_) => break,
                WatchEvent::Added(_)
                | WatchEvent::Modified(_)
                | WatchEvent::Deleted(_)
                | WatchEvent::Bookmark(_) => {}
            }
        }
    }
    tokio::time::sleep(REREAD_UNWATCHED).await;
    false
}
