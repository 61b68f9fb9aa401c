//! What `check` lines of scripts ask for.

use drplan_api::{
    Time, labels,
    status::{ActionStatus, DRPlanExecutionStatus, ObjectRef, StepPhase},
};
use drplan_engine::{
    ActionIndex,
    effect::{ActionEffect, Command},
    explain,
    object::{Look, ObjectCommand, WriteHow},
};

use crate::player::Player;

impl Player {
    /// What is recorded, or was asked for last, in the words of scripts.
    pub(crate) fn check(&self, what: &str) -> String {
        let shown =
            |phase: &str, message: &str| format!("{phase}: {message}").trim_end_matches(": ").to_owned();
        let phase = |phase: StepPhase| format!("{phase:?}");
        let last = self.last.as_ref().unwrap();
        let words: Vec<&str> = what.split(' ').collect();
        match words.as_slice() {
            ["run"] => shown(self.status.phase.as_str(), &self.status.message),
            ["deadline"] => self
                .status
                .deadline
                .map_or("none".to_owned(), |time| self.offset(time)),
            ["wake"] => last.wake_at.map_or("none".to_owned(), |time| self.offset(time)),
            ["duration"] => self.status.duration.clone().unwrap_or_default(),
            ["conditions"] => {
                let one = |condition: &drplan_api::status::Condition| {
                    format!("{}={} {}", condition.kind, condition.status, condition.reason)
                };
                let all = self.status.conditions.iter().map(one);
                all.collect::<Vec<_>>().join(", ")
            }
            ["summary", group] => summary(&self.status, group),
            ["told"] => {
                let reasons = last.announcements.iter().map(|told| told.reason);
                reasons.collect::<Vec<_>>().join(", ")
            }
            ["told", reason] => {
                let of = last.announcements.iter().filter(|told| told.reason == *reason);
                of.map(|told| told.message.as_str())
                    .collect::<Vec<_>>()
                    .join(" | ")
            }
            ["undone"] => self.shown_undone(),
            ["explain"] => explain(&self.status, &last.waiting_on).join(" | "),
            ["stage", name] => {
                let mut stages = self.status.stage_statuses.iter();
                let stage = stages.find(|stage| stage.name == *name).unwrap();
                shown(&phase(stage.phase), &stage.message)
            }
            ["workflow", name] => {
                let stages = self.status.stage_statuses.iter();
                let mut uses = stages.flat_map(|stage| &stage.workflow_executions);
                let used = uses.find(|used| used.workflow_ref.name == *name).unwrap();
                format!("{}; {}", shown(&phase(used.phase), &used.message), used.progress)
            }
            [name] => {
                let action = self.recorded(self.at(name));
                shown(&phase(action.phase), &action.message)
            }
            [name, field] => self.check_action(self.at(name), field),
            _ => panic!("unknown check {what}"),
        }
    }

    fn check_action(&self, at: ActionIndex, field: &str) -> String {
        let action = self.recorded(at);
        let time = |time: Option<Time>| time.map_or("none".to_owned(), |time| self.offset(time));
        match field {
            "attempts" => action.attempts.to_string(),
            "times" => format!("{} to {}", time(action.start_time), time(action.completion_time)),
            "effect" => either(action.effect_possible, "possible", "impossible"),
            "job" => named(action.outputs.job_ref.as_ref().unwrap()),
            "object" => object(action).map_or("none".to_owned(), named),
            "before" => action.before.clone().unwrap_or("not known".to_owned()),
            "kept" => match (&action.outputs.body, &action.outputs.body_stored_in) {
                (Some(_), _) => "in the record".to_owned(),
                (None, Some(name)) => format!("in an object, {} bytes", self.store[name].len()),
                (None, None) => "nowhere".to_owned(),
            },
            "made" => either(action.created, "by it", "not by it"),
            "look" => {
                let inquiries = &self.last.as_ref().unwrap().inquiries;
                let asked = inquiries.iter().find(|(other, _)| *other == at);
                self.shown_look(&asked.expect("a look was asked for").1.look)
            }
            _ => self.check_effect(self.effect(at), field),
        }
    }

    /// The effect of the action at `at` that was asked for last.
    fn effect(&self, at: ActionIndex) -> &ActionEffect {
        let effects = &self.last.as_ref().unwrap().effects;
        let asked = effects.iter().find(|(other, _)| *other == at);
        &asked.expect("an effect was asked for").1
    }

    fn check_effect(&self, effect: &ActionEffect, field: &str) -> String {
        match (field, &effect.command) {
            ("key", _) => effect.identity.idempotency_key(),
            ("deadline", Command::CreateJob(creation)) => self.offset(creation.deadline),
            ("deadline", Command::AwaitJob(wait)) => self.offset(wait.deadline),
            ("deadline", Command::Object(ObjectCommand::Write(write))) => self.offset(write.deadline),
            ("deadline", Command::Object(ObjectCommand::Delete(deletion))) => self.offset(deletion.deadline),
            ("manifest", Command::CreateJob(creation)) => {
                let metadata = &creation.manifest["metadata"];
                let attempt = &metadata["annotations"]["dr.bkbcs.tencent.com/attempt"];
                format!("{} attempt {attempt}", metadata["name"]).replace('"', "")
            }
            ("body", Command::Call(call)) => call.body.clone().unwrap_or_default(),
            ("timeout", Command::Call(call)) => call.timeout.to_string(),
            ("command", Command::Object(command)) => shown_command(command),
            ("marks", Command::Object(ObjectCommand::Write(write))) => {
                let mark = |name: &str| {
                    let mut marks = write.annotations.iter();
                    marks
                        .find(|(key, _)| key == name)
                        .map_or("none", |(_, value)| value)
                };
                let marks = [labels::EXECUTION_UID, labels::ACTION_PATH, labels::ATTEMPT].map(mark);
                marks.join(" ")
            }
            (other, command) => panic!("{command:?} has no {other}"),
        }
    }

    fn shown_look(&self, look: &Look) -> String {
        let awaits = either(look.await_gone, ", waits until what is being deleted is gone", "");
        format!(
            "{}{awaits}, until {}",
            named(&look.target),
            self.offset(look.deadline)
        )
    }
}

fn either(is: bool, yes: &str, no: &str) -> String {
    if is { yes } else { no }.to_owned()
}

/// `shop/cm uid-1`.
fn named(object: &ObjectRef) -> String {
    let uid = object.uid.as_ref().map(|uid| format!(" {uid}"));
    let namespace = object.namespace.as_deref().unwrap_or_default();
    format!("{namespace}/{}{}", object.name, uid.unwrap_or_default())
}

fn object(action: &ActionStatus) -> Option<&ObjectRef> {
    let outputs = &action.outputs;
    let clusternet = outputs
        .localization_ref
        .as_deref()
        .or(outputs.subscription_ref.as_deref());
    clusternet.or(outputs.resource_ref.as_deref())
}

/// Such as `Create ConfigMap shop/cm`, `Delete ConfigMap shop/cm uid-1`.
fn shown_command(command: &ObjectCommand) -> String {
    let mut until = "";
    let (verb, target) = match command {
        ObjectCommand::Look(look) => ("Look at", &look.target),
        ObjectCommand::Delete(deletion) => {
            until = match deletion.await_gone {
                true => ", until it is gone",
                false => "",
            };
            ("Delete", &deletion.target)
        }
        ObjectCommand::Write(write) => {
            let verb = match &write.how {
                WriteHow::Create(_) => "Create",
                WriteHow::Apply { force: false, .. } => "Apply",
                WriteHow::Apply { force: true, .. } => "Apply by force",
                WriteHow::Patch { .. } => "Patch",
            };
            (verb, &write.target)
        }
    };
    format!(
        "{verb} {} {}{until}",
        target.kind.as_deref().unwrap_or_default(),
        named(target)
    )
}

/// The counts of `group` that are not zero; the total is their sum.
fn summary(status: &DRPlanExecutionStatus, group: &str) -> String {
    let summary = serde_json::to_value(status.summary.as_ref().unwrap()).unwrap();
    let phases = ["completed", "running", "pending", "failed", "skipped"];
    let counts = phases.iter().filter_map(|phase| {
        let count = summary[format!("{phase}{group}")].as_u64().unwrap();
        (count > 0).then(|| format!("{count} {phase}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}
