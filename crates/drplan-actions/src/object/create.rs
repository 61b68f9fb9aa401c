//! Creating an object, exactly once.

use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind},
    object::{Before, ObjectOutcome, ObjectWrite},
};
use serde_json::Value;

use super::{Stop, gone::wait_until_gone, live::Live, manifest, place::Place};
use crate::deadline::Deadline;

/// Creates `object`, or adopts it if this action of this execution made it before, in any attempt.
///
/// What stood there when the intent was recorded is not this action's, whatever it says of itself.
/// A namesake that is being deleted is waited for until the deadline. A request whose answer is lost is followed by a
/// look. After the deadline nothing is created, only found.
pub(super) async fn create(
    place: &Place,
    identity: &EffectIdentity,
    write: &ObjectWrite,
    object: &Value,
    deadline: Deadline,
) -> Result<ObjectOutcome, Stop> {
    let mut object = manifest::placed(object, place)?;
    manifest::mark(&mut object, &write.labels, &write.annotations);
    let what = format!("create {place}");
    // What an undo finds may have been made by an earlier Revert, whose doubt it resolves.
    let is_ours = |live: &Live| {
        let stood_there = matches!(&write.before, Before::Present(uid) if uid == live.uid());
        live.made_by(identity) && (!stood_there || identity.is_undo())
    };
    while !deadline.passed() {
        let answer = place
            .post(&object, &write.field_manager, deadline.remaining())
            .await;
        let refusal = match answer {
            Ok(made) => return Ok(created(&made)),
            Err(refusal) => refusal,
        };
        let exists = refusal.error.kind == FailureKind::AlreadyExists;
        if !exists && !refusal.error.may_have_happened {
            return Err(refusal.stop(&what));
        }
        let namesake = match place.read(deadline).await {
            Ok(Some(live)) if is_ours(&live) => return Ok(created(&live)),
            Ok(live) => live.filter(|_| exists),
            // Nothing more is known than that it may be there: a repeat adopts it.
            Err(_) if !exists => return Err(refusal.stop(&what)),
            // It may be ours: then it is a failure that leaves something behind.
            Err(unread) if unread.error.kind == FailureKind::Forbidden => {
                let message = format!("{what}: it exists; whose it is cannot be read: {}", unread.error);
                return Err(Failure::new(FailureKind::OutcomeUnknown, message).into());
            }
            Err(unread) => return Err(unread.stop(&what)),
        };
        match namesake {
            Some(live) if live.is_being_deleted() => match wait_until_gone(place, live.uid(), deadline).await
            {
                Err(Stop::Failed(failure)) if failure.kind == FailureKind::Timeout => {
                    return Err(foreign(place, identity, &live).into());
                }
                waited => waited?,
            },
            Some(live) => return Err(foreign(place, identity, &live).into()),
            None if !exists => return Err(refusal.stop(&what)),
            // Gone between the two requests.
            None => {}
        }
    }
    match place
        .read(deadline)
        .await
        .map_err(|refusal| refusal.stop(&what))?
    {
        Some(live) if is_ours(&live) => Ok(created(&live)),
        Some(live) => Err(foreign(place, identity, &live).into()),
        None => {
            let message = format!("{place} was never created: the time for it was over");
            Err(Failure::new(FailureKind::NotCreated, message).into())
        }
    }
}

fn created(live: &Live) -> ObjectOutcome {
    ObjectOutcome::Written {
        uid: live.uid().to_owned(),
        created: true,
    }
}

fn foreign(place: &Place, identity: &EffectIdentity, live: &Live) -> Failure {
    let how = match live.is_being_deleted() {
        true => format!("is still being deleted ({})", live.held_by()),
        false => {
            let instead = if identity.is_undo() {
                ""
            } else {
                ", or use operation Apply"
            };
            format!("was not made by this action of this execution: delete it{instead}")
        }
    };
    Failure::new(FailureKind::AlreadyExists, format!("{place} exists and {how}"))
}
