//! Reverts in scripts: what the operator does before and after one, played over the record of the run before.

use std::fmt::Write as _;

use drplan_api::{
    canonical::Work,
    status::{DRPlanExecutionStatus, ExecutionPhase, ObjectRef, SnapshotRef, Undone},
};
use drplan_engine::{
    ActionIndex, Kept, Reverted, Run,
    effect::Outcome,
    kept::{kept_of_reverted, kept_outputs},
    object::{Deletion, ObjectOutcome},
    snapshot::sha256_hex,
    undone_by,
};

use crate::{plans, player::Player};

/// The execution that a Revert undoes.
pub(crate) struct Target {
    pub(crate) status: DRPlanExecutionStatus,
    /// The undos, whatever becomes of their snapshot.
    run: Run,
}

impl Player {
    /// A Revert of the run before begins: ``, `allowPartial`, or `again` after one that undid a part.
    pub(crate) fn revert(&mut self, how: &str) {
        assert!(self.status.phase.is_terminal(), "the run before has not ended");
        let text = serde_json::to_string(&self.snapshot).unwrap();
        let mut status = match self.target.take() {
            None => DRPlanExecutionStatus {
                snapshot: Some(SnapshotRef {
                    name: "failover-1-snapshot".to_owned(),
                    sha256: sha256_hex(text.as_bytes()),
                }),
                ..self.status.clone()
            },
            Some(target) => {
                assert_eq!(how, "again", "it is reverted already");
                let undone = self.undone(&target.status);
                let twice = undone_by(&self.execution.0, &self.status, Some(&undone));
                assert_eq!(twice, undone, "entered again it is the same");
                assert!(!undone.wholly, "there is nothing left to revert");
                DRPlanExecutionStatus {
                    undone: Some(undone),
                    ..target.status
                }
            }
        };
        status = serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap();
        assert!(
            status.phase == ExecutionPhase::Succeeded || !how.is_empty(),
            "only with allowPartial: {:?}",
            status.phase
        );
        let reverted = Reverted::new("failover-1", plans::UID, &status).unwrap();
        let text = reverted.to_text();
        let reverted = Reverted::from_text(&text, &sha256_hex(text.as_bytes())).unwrap();
        let run = Run::revert(self.snapshot.clone(), reverted).unwrap();
        let number = self.execution.0.strip_prefix("revert-");
        let number = number.map_or(1, |number| number.parse::<u32>().unwrap() + 1);
        self.execution = (format!("revert-{number}"), format!("uid-of-revert-{number}"));
        self.status = run.initial_status();
        self.run = Some(run.clone());
        self.target = Some(Target { status, run });
        self.crash();
    }

    /// What is undone of the target as the Revert stands.
    fn undone(&self, target: &DRPlanExecutionStatus) -> Undone {
        undone_by(&self.execution.0, &self.status, target.undone.as_ref())
    }

    /// The same, in the words of scripts.
    pub(crate) fn shown_undone(&self) -> String {
        let undone = self.undone(&self.target.as_ref().expect("a Revert").status);
        let mut shown = if undone.wholly { "wholly" } else { "in part" }.to_owned();
        for action in &undone.actions {
            let name = action.path.rsplit('/').next().unwrap();
            let how = match (action.done, action.in_doubt) {
                (true, _) => "undone",
                (false, true) => "in doubt",
                (false, false) => "failed",
            };
            let _ = write!(shown, ", {name}#{} {how} by {}", action.attempts, action.by);
        }
        shown
    }

    /// What is kept beside the record and may be read by templates.
    pub(crate) fn at_hand(&self) -> Kept {
        let reverted = self.target.iter();
        let mut names: Vec<&str> = reverted
            .flat_map(|target| kept_of_reverted(target.run.reverted.as_ref().unwrap()))
            .collect();
        names.extend(kept_outputs(&self.status));
        names
            .iter()
            .map(|name| ((*name).to_owned(), self.store[*name].clone()))
            .collect()
    }

    /// Whether the undo of the action at `at` is the deletion of what it made.
    pub(crate) fn is_deletion(&self, at: ActionIndex) -> bool {
        self.target
            .as_ref()
            .is_some_and(|target| target.run.written(at).is_none())
    }

    /// The UID of what the action at `at` of the target made.
    pub(crate) fn made_uid(&self, at: ActionIndex) -> Option<&str> {
        let recorded = &self.target.as_ref()?.run.reverted.as_ref()?.action(at)?.recorded;
        let outputs = &recorded.outputs;
        let objects = [
            &outputs.job_ref,
            &outputs.localization_ref,
            &outputs.subscription_ref,
            &outputs.resource_ref,
        ];
        let object: Option<&ObjectRef> = objects.into_iter().flatten().map(Box::as_ref).next();
        object?.uid.as_deref()
    }

    /// The answer to the undo of the action at `at`, if it worked.
    pub(crate) fn undone_well(&self, at: ActionIndex, uid: String) -> Outcome {
        let run = &self.target.as_ref().expect("a Revert").run;
        match run.written(at).map(|doing| &doing.work) {
            None => Outcome::Object(ObjectOutcome::Deleted(Deletion::Deleted)),
            Some(Work::Http(_)) => Outcome::Answered {
                status_code: 200,
                duration_millis: 120,
                body: None,
            },
            Some(Work::Job(_)) => Outcome::JobSucceeded,
            Some(Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_)) => {
                Outcome::Object(ObjectOutcome::Written { uid, created: false })
            }
        }
    }
}
