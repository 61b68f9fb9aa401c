//! Server-side apply.

use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind},
    object::{Before, ObjectOutcome, ObjectWrite},
};
use serde_json::Value;

use super::{
    Stop,
    conflict::{self, FieldConflict},
    exchange::Refusal,
    gone::wait_until_gone,
    live::Live,
    manifest,
    place::Place,
};
use crate::deadline::Deadline;

/// How often an Apply begins anew because somebody else wrote the object between its read and its write. Busy objects
/// have a handful of writers; more rounds than this are a fight.
const ROUNDS_MAX: u32 = 5;
/// How often an Apply whose answer was lost is sent again, if the object does not tell whether it came through: it
/// does the same twice, and a connection that broke is mostly made anew at once.
const REPEATS_MAX: u32 = 1;

/// Applies `object`; fields that actions of the same plan hold are taken over, those of others only by `force`.
///
/// Our labels and annotations go onto objects that the action makes, and stay on objects that carry them. An object
/// that is being deleted is waited for until the deadline: what is applied to it would go with it.
pub(super) async fn apply(
    place: &Place,
    identity: &EffectIdentity,
    write: &ObjectWrite,
    (object, force): (&Value, bool),
    deadline: Deadline,
) -> Result<ObjectOutcome, Stop> {
    let what = format!("apply {place}");
    let object = manifest::placed(object, place)?;
    let was_absent = write.before == Before::Absent;
    let is_ours_alone =
        |live: &Live| was_absent && live.made_by(identity) && live.managed_only_by(&write.field_manager);
    let (mut rounds, mut repeats) = (0, 0);
    // Whether our marks may have come onto somebody's object that appeared at the last moment.
    let mut unmark = false;
    loop {
        let live = place
            .read(deadline)
            .await
            .map_err(|refusal| refusal.stop(&what))?;
        if let Some(live) = live.as_ref().filter(|live| live.is_being_deleted()) {
            wait_until_gone(place, live.uid(), deadline).await?;
            continue;
        }
        let made = live.as_ref().filter(|live| is_ours_alone(live));
        if let Some(live) = made.filter(|_| repeats > 0 || deadline.passed()) {
            return Ok(written(live, true));
        }
        if deadline.passed() {
            let message = format!("{what}: the time for it was over");
            return Err(Failure::new(FailureKind::Timeout, message).into());
        }
        let marking = live.is_none() && was_absent;
        let mut object = object.clone();
        match &live {
            Some(_) if unmark => {}
            Some(live) => {
                let (labels, annotations) = live.our_labels_and_annotations();
                manifest::mark(&mut object, &labels, &annotations);
            }
            None if marking => manifest::mark(&mut object, &write.labels, &write.annotations),
            None => {}
        }
        match send(place, write, object, live.as_ref(), force, deadline).await {
            Ok((is_new, applied)) => {
                let made_before = made.is_some_and(|made| made.uid() == applied.uid());
                let created = was_absent && (is_new || made_before || (marking && is_ours_alone(&applied)));
                if created || !marking || rounds >= ROUNDS_MAX {
                    return Ok(written(&applied, created));
                }
                // Somebody made it since the read: our marks do not belong there.
                unmark = true;
                rounds += 1;
            }
            Err(Refused::Foreign(fields)) => {
                let help = if identity.is_undo() {
                    "set by hand what the rollback has there"
                } else {
                    "set force: true to take over, or leave it out of the manifest"
                };
                let message = format!("{what}: {fields}; {help}");
                return Err(Failure::new(FailureKind::FieldConflict, message).into());
            }
            Err(Refused::Changed(_)) if rounds < ROUNDS_MAX => rounds += 1,
            Err(Refused::Otherwise(refusal)) if refusal.error.may_have_happened && repeats < REPEATS_MAX => {
                repeats += 1;
            }
            Err(Refused::Changed(refusal) | Refused::Otherwise(refusal)) => return Err(refusal.stop(&what)),
        }
    }
}

/// Why an Apply was refused.
enum Refused {
    /// Others hold fields: which.
    Foreign(String),
    /// The object changed since it was read.
    Changed(Refusal),
    Otherwise(Refusal),
}

/// Sends `object`, and again by force if only actions of the same plan hold its fields; tells whether that made it.
async fn send(
    place: &Place,
    write: &ObjectWrite,
    mut object: Value,
    read: Option<&Live>,
    force: bool,
    deadline: Deadline,
) -> Result<(bool, Live), Refused> {
    let manager = &write.field_manager;
    let answer = place.apply(&object, manager, force, deadline.remaining()).await;
    let refusal = match answer {
        Ok(applied) => return Ok(applied),
        Err(refusal) if refusal.conflicts.is_empty() => return Err(Refused::Otherwise(refusal)),
        Err(refusal) => refusal,
    };
    let is_foreign = |conflict: &&FieldConflict| !conflict.is_of(&write.plan_managers);
    if refusal.conflicts.iter().any(|conflict| is_foreign(&conflict)) {
        let foreign = conflict::shown(refusal.conflicts.iter().filter(is_foreign));
        return Err(Refused::Foreign(foreign));
    }
    // By force it would take over whatever comes up meanwhile: so only from the version that was read before the
    // conflicts were told.
    let Some(read) = read else {
        return Err(Refused::Changed(refusal));
    };
    manifest::require_version(&mut object, read.resource_version());
    let forced = place.apply(&object, manager, true, deadline.remaining()).await;
    forced.map_err(|refusal| match refusal.error.kind == FailureKind::ApiConflict {
        true => Refused::Changed(refusal),
        false => Refused::Otherwise(refusal),
    })
}

fn written(live: &Live, created: bool) -> ObjectOutcome {
    ObjectOutcome::Written {
        uid: live.uid().to_owned(),
        created,
    }
}
