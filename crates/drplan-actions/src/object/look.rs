//! Looking at what stands at a place, before an intent is recorded.

use drplan_engine::object::{Before, Look, ObjectOutcome};
use serde_json::Value;

use super::{Stop, gone::wait_until_gone, place::Place};
use crate::deadline::Deadline;

/// Tells what stands at `place`; an object that is being deleted is waited for first, if `look` says so.
///
/// Lists of a Secret are never told.
pub(super) async fn look(place: &Place, look: &Look, deadline: Deadline) -> Result<ObjectOutcome, Stop> {
    let wants_lists = !look.lists.is_empty() && !place.is_secret();
    let live = loop {
        let live = match wants_lists {
            true => place.read_whole(deadline).await,
            false => place.read(deadline).await,
        };
        let live = live.map_err(|refusal| refusal.stop(&format!("read {place}")))?;
        match live {
            Some(live) if look.await_gone && live.is_being_deleted() => {
                wait_until_gone(place, live.uid(), deadline).await?;
            }
            live => break live,
        }
    };
    let Some(live) = live else {
        return Ok(ObjectOutcome::Found {
            before: Before::Absent,
            marks: None,
            lists: Vec::new(),
        });
    };
    let list = |pointer: &String| -> Option<(String, Value)> {
        let list = live.object.pointer(pointer).filter(|_| wants_lists)?;
        Some((pointer.clone(), list.clone()))
    };
    Ok(ObjectOutcome::Found {
        before: Before::Present(live.uid().to_owned()),
        marks: live.marks(),
        lists: look.lists.iter().filter_map(list).collect(),
    })
}
