//! What a Revert does about each action of the run it undoes.

use drplan_api::{
    canonical::{Action, Operation, Work},
    status::{ActionStatus, ObjectRef, StepPhase, UndoneAction},
};

/// What a Revert does about one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Its own rollback.
    Rollback,
    /// The object it made is deleted; its UID is recorded.
    Delete(ObjectRef),
    /// The object it may have made is deleted if it carries the action's identity.
    DeleteIfOurs {
        /// Its place.
        object: ObjectRef,
        /// Whether nobody else may have written fields of it.
        and_ours_alone: bool,
    },
    /// Nothing, for this reason.
    Nothing(String),
}

/// What `recorded` asks of a Revert, `undone` being what earlier Reverts did about it.
///
/// Undone is what succeeded or may have had an effect: by its rollback, else by deleting what it made.
pub fn undo_of(action: &Action, recorded: &ActionStatus, undone: Option<&UndoneAction>) -> Undo {
    if let Some(undone) = undone.filter(|undone| undone.done) {
        return Undo::Nothing(format!("undone by {}", undone.by));
    }
    let owed = match recorded.phase {
        StepPhase::Succeeded | StepPhase::Running => true,
        // A Job that was created is there, whatever became of it.
        StepPhase::Failed => recorded.effect_possible || made_job(recorded),
        StepPhase::Pending | StepPhase::Skipped => false,
    };
    if !owed {
        let why = if recorded.phase == StepPhase::Failed {
            "it failed without any effect"
        } else {
            "it did not run"
        };
        return Undo::Nothing(why.to_owned());
    }
    if action.rollback.is_some() {
        return Undo::Rollback;
    }
    match &action.doing.work {
        Work::Http(_) => {
            Undo::Nothing("an HTTP call has no undo but its rollback, and none is defined".to_owned())
        }
        Work::Job(_) => of_created(recorded.outputs.job_ref.as_deref().map(job_object).as_ref()),
        Work::Localization(localization) => of_object(
            localization.operation,
            recorded,
            recorded.outputs.localization_ref.as_deref(),
        ),
        Work::Subscription(subscription) => of_object(
            subscription.operation,
            recorded,
            recorded.outputs.subscription_ref.as_deref(),
        ),
        Work::KubernetesResource(resource) => of_object(
            resource.operation,
            recorded,
            recorded.outputs.resource_ref.as_deref(),
        ),
    }
}

fn made_job(recorded: &ActionStatus) -> bool {
    recorded
        .outputs
        .job_ref
        .as_ref()
        .is_some_and(|job| job.uid.is_some())
}

/// A Job as an object of its kind.
fn job_object(job: &ObjectRef) -> ObjectRef {
    ObjectRef {
        api_version: Some("batch/v1".to_owned()),
        kind: Some("Job".to_owned()),
        ..job.clone()
    }
}

fn of_created(object: Option<&ObjectRef>) -> Undo {
    match object {
        None => Undo::Nothing("it made nothing".to_owned()),
        Some(object) if object.uid.is_some() => Undo::Delete(object.clone()),
        Some(object) => Undo::DeleteIfOurs {
            object: object.clone(),
            and_ours_alone: false,
        },
    }
}

fn of_object(operation: Operation, recorded: &ActionStatus, object: Option<&ObjectRef>) -> Undo {
    let was_absent = recorded.before.as_deref() == Some(ABSENT);
    match operation {
        Operation::Create => of_created(object),
        Operation::Apply if recorded.created => of_created(object),
        // The answer was lost: whether the object is ours, it says itself.
        Operation::Apply if was_absent && recorded.phase != StepPhase::Succeeded => match object {
            Some(object) => Undo::DeleteIfOurs {
                object: ObjectRef {
                    uid: None,
                    ..object.clone()
                },
                and_ours_alone: true,
            },
            None => of_created(None),
        },
        Operation::Apply => Undo::Nothing(
            "it was applied over an object that was there, and no rollback is defined".to_owned(),
        ),
        Operation::Patch => {
            Undo::Nothing("a patch has no undo but its rollback, and none is defined".to_owned())
        }
        Operation::Delete => {
            Undo::Nothing("a deletion has no undo but its rollback, and none is defined".to_owned())
        }
    }
}

/// How `ActionStatus::before` says that nothing stood there.
pub const ABSENT: &str = "absent";

#[cfg(test)]
mod tests {
    use drplan_api::{
        ActionName,
        canonical::{Doing, Http, JobName, Localization, OnInterrupted, PatchType, Resource, Subscription},
        status::Outputs,
    };

    use super::*;

    fn action(work: Work, rollback: bool) -> Action {
        let doing = Doing {
            timeout: None,
            retry: None,
            work,
        };
        Action {
            name: ActionName::new("a").unwrap(),
            rollback: rollback.then(|| doing.clone()),
            doing,
        }
    }

    fn http() -> Work {
        Work::Http(Http {
            url: "http://x".into(),
            method: "POST".into(),
            headers: Default::default(),
            headers_from: Vec::new(),
            body: None,
            body_from: None,
            success_codes: vec![],
            follow_redirects: false,
            ca_bundle: None,
            insecure_skip_verify: false,
            save_body: false,
            on_interrupted: OnInterrupted::Repeat,
        })
    }

    fn job() -> Work {
        Work::Job(drplan_api::canonical::Job {
            namespace: None,
            name: JobName::Prefix("a-".into()),
            labels: Default::default(),
            annotations: Default::default(),
            spec: serde_json::json!({}),
            ttl_seconds_after_finished: None,
        })
    }

    fn resource(operation: Operation) -> Work {
        let patch_type = PatchType::Merge;
        Work::KubernetesResource(Resource {
            operation,
            manifest: String::new(),
            patch_type,
            force: false,
        })
    }

    fn localization(operation: Operation) -> Work {
        Work::Localization(Localization {
            operation,
            name: "o".into(),
            namespace: None,
            priority: None,
            override_policy: None,
            feed: None,
            overrides: vec![],
        })
    }

    fn subscription(operation: Operation) -> Work {
        Work::Subscription(Subscription {
            operation,
            name: "o".into(),
            namespace: None,
            scheduling_strategy: None,
            dividing_scheduling: None,
            feeds: vec![],
            subscribers: vec![],
        })
    }

    fn object(uid: Option<&str>) -> ObjectRef {
        ObjectRef {
            name: "o".into(),
            uid: uid.map(str::to_owned),
            ..ObjectRef::default()
        }
    }

    fn if_ours(object: ObjectRef, and_ours_alone: bool) -> Undo {
        Undo::DeleteIfOurs {
            object,
            and_ours_alone,
        }
    }

    fn recorded(phase: StepPhase, effect_possible: bool, uid: Option<&str>) -> ActionStatus {
        let outputs = Outputs {
            job_ref: Some(Box::new(object(uid))),
            resource_ref: Some(Box::new(object(uid))),
            ..Outputs::default()
        };
        ActionStatus {
            phase,
            effect_possible,
            outputs,
            ..ActionStatus::default()
        }
    }

    fn check(action: &Action, recorded: &ActionStatus, expected: Result<Undo, &str>) {
        let found = undo_of(action, recorded, None);
        match (&found, expected) {
            (Undo::Nothing(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (found, Ok(expected)) => assert_eq!(*found, expected),
            (found, Err(part)) => panic!("{found:?} instead of nothing: {part}"),
        }
    }

    /// Covers US3.1, US3.3, US3.4, FR-012, FR-014, FR-015.
    #[test]
    fn undone_is_what_may_have_had_an_effect_by_rollback_or_by_deletion() {
        use StepPhase::{Failed, Running, Skipped, Succeeded};
        check(
            &action(http(), true),
            &recorded(Succeeded, false, None),
            Ok(Undo::Rollback),
        );
        check(
            &action(http(), true),
            &recorded(Running, false, None),
            Ok(Undo::Rollback),
        );
        check(
            &action(http(), true),
            &recorded(Failed, true, None),
            Ok(Undo::Rollback),
        );
        check(
            &action(http(), true),
            &recorded(Failed, false, None),
            Err("without any effect"),
        );
        check(
            &action(http(), true),
            &recorded(Skipped, false, None),
            Err("did not run"),
        );
        check(
            &action(http(), false),
            &recorded(Succeeded, false, None),
            Err("no undo"),
        );
        check(
            &action(job(), false),
            &recorded(Failed, false, Some("u")),
            Ok(Undo::Delete(job_object(&object(Some("u"))))),
        );
        check(
            &action(job(), false),
            &recorded(Running, true, None),
            Ok(if_ours(job_object(&object(None)), false)),
        );
        let create = action(resource(Operation::Create), false);
        check(
            &create,
            &recorded(Succeeded, false, Some("u")),
            Ok(Undo::Delete(object(Some("u")))),
        );
        check(
            &create,
            &recorded(Failed, true, None),
            Ok(if_ours(object(None), false)),
        );
        check(
            &action(resource(Operation::Delete), false),
            &recorded(Succeeded, false, None),
            Err("deletion"),
        );
    }

    /// Covers US3.2, US9.5, FR-012, FR-013, FR-013a, FR-013b, FR-013c, FR-013d, FR-013e.
    #[test]
    fn what_a_create_made_is_deleted_and_a_patch_is_undone_by_its_rollback_alone() {
        let made = |name: &str| {
            Some(Box::new(ObjectRef {
                name: name.to_owned(),
                ..object(Some("u"))
            }))
        };
        // Each type has a record of its own.
        let recorded = ActionStatus {
            phase: StepPhase::Succeeded,
            outputs: Outputs {
                localization_ref: made("localization"),
                subscription_ref: made("subscription"),
                resource_ref: made("resource"),
                ..Outputs::default()
            },
            ..ActionStatus::default()
        };
        type Make = fn(Operation) -> Work;
        let types: [(Make, &str); 3] = [
            (localization, "localization"),
            (subscription, "subscription"),
            (resource, "resource"),
        ];
        for (work, name) in types {
            let deleted = made(name).map(|made| Undo::Delete(*made)).ok_or("nothing");
            check(&action(work(Operation::Create), false), &recorded, deleted);
            check(
                &action(work(Operation::Create), true),
                &recorded,
                Ok(Undo::Rollback),
            );
            check(
                &action(work(Operation::Patch), true),
                &recorded,
                Ok(Undo::Rollback),
            );
            check(
                &action(work(Operation::Patch), false),
                &recorded,
                Err("a patch has no undo"),
            );
            check(
                &action(work(Operation::Delete), false),
                &recorded,
                Err("a deletion has no undo"),
            );
        }
    }

    #[test]
    fn an_apply_is_deleted_only_where_it_made_the_object() {
        let apply = action(resource(Operation::Apply), false);
        let with = |phase, created, before: &str| ActionStatus {
            created,
            before: Some(before.to_owned()),
            ..recorded(phase, true, Some("u"))
        };
        check(
            &apply,
            &with(StepPhase::Succeeded, true, ABSENT),
            Ok(Undo::Delete(object(Some("u")))),
        );
        check(
            &apply,
            &with(StepPhase::Succeeded, false, ABSENT),
            Err("was there"),
        );
        check(&apply, &with(StepPhase::Succeeded, false, "u"), Err("was there"));
        check(
            &apply,
            &with(StepPhase::Failed, false, ABSENT),
            Ok(if_ours(object(None), true)),
        );
        check(&apply, &with(StepPhase::Failed, false, "u"), Err("was there"));
    }

    #[test]
    fn what_an_earlier_revert_undid_is_left() {
        let undone = UndoneAction {
            done: true,
            by: "revert-1".into(),
            ..UndoneAction::default()
        };
        let found = undo_of(
            &action(http(), true),
            &recorded(StepPhase::Succeeded, false, None),
            Some(&undone),
        );
        assert_eq!(found, Undo::Nothing("undone by revert-1".into()));
        let begun = UndoneAction {
            done: false,
            ..undone
        };
        assert_eq!(
            undo_of(
                &action(http(), true),
                &recorded(StepPhase::Succeeded, false, None),
                Some(&begun)
            ),
            Undo::Rollback
        );
    }
}
