//! Patching: what the author wrote and nothing more.

use drplan_api::canonical::PatchType;
use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind},
    object::{ObjectOutcome, ObjectWrite},
};
use serde_json::Value;

use super::{Stop, manifest, place::Place};
use crate::deadline::Deadline;

/// Sends `patch` once. An object that is being deleted is patched too: that is how a finalizer is taken off.
pub(super) async fn patch(
    place: &Place,
    identity: &EffectIdentity,
    write: &ObjectWrite,
    (patch, kind): (&Value, PatchType),
    deadline: Deadline,
) -> Result<ObjectOutcome, Stop> {
    let what = format!("patch {place}");
    if deadline.passed() {
        let message = format!("{what}: the time for it was over");
        return Err(Failure::new(FailureKind::Timeout, message).into());
    }
    let patch = manifest::patch(patch, place);
    let answer = place
        .patch(&patch, kind, &write.field_manager, deadline.remaining())
        .await;
    let refusal = match answer {
        Ok(live) => {
            return Ok(ObjectOutcome::Written {
                uid: live.uid().to_owned(),
                created: false,
            });
        }
        Err(refusal) => refusal,
    };
    let help = match refusal.error.code {
        Some(404) if refusal.is_not_found() && identity.is_undo() => "it does not exist: create it",
        Some(404) if refusal.is_not_found() => {
            "it does not exist: create it before, or use operation Apply, which creates what is absent"
        }
        Some(415) => {
            "its kind cannot be patched in this way (Strategic is for built-in kinds): use patchType Merge or JSON"
        }
        // Adding to a list, say, twice is not the same as once, and the object does not tell.
        _ if refusal.error.may_have_happened && kind == PatchType::Json => {
            let message = format!("{what}: whether it was patched is not known: {}", refusal.error);
            return Err(Failure::new(FailureKind::OutcomeUnknown, message).into());
        }
        _ => return Err(refusal.stop(&what)),
    };
    Err(Failure {
        status_code: refusal.error.code,
        ..Failure::new(FailureKind::Invalid, format!("{what}: {help}"))
    }
    .into())
}
