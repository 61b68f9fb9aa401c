//! A run as it is shown, read leniently from the status of an execution of any release.
//!
//! What is not there is empty, what is not understood is shown as it is: a picture of a run must not fail because one
//! field of it is new.

use drplan_api::{Time, labels};
use serde_json::Value;

use crate::screen::clean;

/// Where a run or a part of it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    #[default]
    Pending,
    /// Begun and not ended.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Will not begin.
    Skipped,
    /// Ended early by a wish.
    Cancelled,
    /// Waits for a person.
    Unknown,
    /// A phase of another release.
    Other(String),
}

impl Phase {
    fn of(text: &str) -> Self {
        match text {
            "" | "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            "Skipped" => Self::Skipped,
            "Cancelled" => Self::Cancelled,
            "Unknown" => Self::Unknown,
            other => Self::Other(clean(other)),
        }
    }

    /// As written in the status.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
            Self::Other(other) => other,
        }
    }

    /// Whether a run of this phase never changes again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunView {
    /// The execution's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// The plan's name.
    pub plan: String,
    /// Execute or Revert.
    pub operation: String,
    /// Where it stands.
    pub phase: Phase,
    /// What it says of itself.
    pub message: String,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// When the plan's timeout ends it.
    pub deadline: Option<Time>,
    /// Whether a cancellation is recorded, and whether it waits for nothing.
    pub cancelling: Option<bool>,
    /// Whether a command waits to be taken up: to resume, or to cancel.
    pub asked: bool,
    /// Its stages, in plan order.
    pub stages: Vec<StageView>,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// Whether its workflows run together.
    pub parallel: bool,
    /// The stages it waits for.
    pub depends_on: Vec<String>,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// Why it failed or was skipped.
    pub message: String,
    /// Its workflows, in plan order.
    pub workflows: Vec<WorkflowView>,
}

/// One use of a workflow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowView {
    /// `name[index]`, as in paths.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// Why it failed or was skipped.
    pub message: String,
    /// Its actions, in order.
    pub actions: Vec<ActionView>,
}

/// One action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActionView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// The newest attempt, from 1; 0: none.
    pub attempt: u64,
    /// When that attempt may begin.
    pub attempt_time: Option<Time>,
    /// Result or cause.
    pub message: String,
    /// What it works on: `Job shop/backup-x7k`.
    pub object: String,
}

impl ActionView {
    /// When the next attempt begins, if the action waits for it.
    pub fn waits_until(&self, now: Time) -> Option<Time> {
        self.attempt_time
            .filter(|time| self.phase == Phase::Running && self.attempt > 1 && *time > now)
    }
}

impl RunView {
    /// The run that `object`, a DRPlanExecution of any shape, tells of.
    pub fn read(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let (spec, status) = (&object["spec"], &object["status"]);
        let mut plan = text(status, "plan");
        if plan.is_empty() {
            plan = name_of(&spec["planRef"]);
        }
        let mut operation = text(status, "operationType");
        for field in ["operationType", "operation"] {
            if operation.is_empty() {
                operation = text(spec, field);
            }
        }
        let cancellation = status["cancellation"].as_object();
        Self {
            name: text(metadata, "name"),
            namespace: text(metadata, "namespace"),
            uid: text(metadata, "uid"),
            plan,
            operation,
            phase: Phase::of(status["phase"].as_str().unwrap_or_default()),
            message: text(status, "message"),
            start: time(status, "startTime"),
            end: time(status, "completionTime"),
            deadline: time(status, "deadline"),
            cancelling: cancellation.map(|wish| wish.get("now").and_then(Value::as_bool) == Some(true)),
            asked: [labels::RESUME, labels::CANCEL]
                .iter()
                .any(|command| metadata["annotations"][*command].is_string()),
            stages: items(status, "stageStatuses").iter().map(stage).collect(),
        }
    }

    /// Every action with the path that messages and logs call it by.
    pub fn actions(&self) -> impl Iterator<Item = (String, &ActionView)> {
        self.stages.iter().flat_map(|stage| {
            stage.workflows.iter().flat_map(move |workflow| {
                workflow.actions.iter().map(move |action| {
                    (
                        format!("{}/{}/{}", stage.name, workflow.name, action.name),
                        action,
                    )
                })
            })
        })
    }

    /// How many actions there are of each phase in `phases`, and how many in all.
    pub fn count(&self, phases: &[Phase]) -> (usize, usize) {
        self.actions().fold((0, 0), |(found, all), (_, action)| {
            (found + usize::from(phases.contains(&action.phase)), all + 1)
        })
    }
}

fn stage(value: &Value) -> StageView {
    let workflows = items(value, "workflowExecutions").iter().enumerate();
    StageView {
        name: text(value, "name"),
        phase: Phase::of(value["phase"].as_str().unwrap_or_default()),
        parallel: value["parallel"].as_bool() == Some(true),
        depends_on: items(value, "dependsOn")
            .iter()
            .filter_map(Value::as_str)
            .map(clean)
            .collect(),
        start: time(value, "startTime"),
        end: time(value, "completionTime"),
        message: reason(value),
        workflows: workflows.map(|(index, value)| workflow(index, value)).collect(),
    }
}

fn workflow(index: usize, value: &Value) -> WorkflowView {
    WorkflowView {
        name: format!("{}[{index}]", text(&value["workflowRef"], "name")),
        phase: Phase::of(value["phase"].as_str().unwrap_or_default()),
        start: time(value, "startTime"),
        end: time(value, "completionTime"),
        message: reason(value),
        actions: items(value, "actionStatuses").iter().map(action).collect(),
    }
}

fn action(value: &Value) -> ActionView {
    let outputs = &value["outputs"];
    let refs = [
        ("jobRef", "Job"),
        ("localizationRef", "Localization"),
        ("subscriptionRef", "Subscription"),
        ("resourceRef", ""),
    ];
    let object = refs.iter().find_map(|(field, kind)| {
        let reference = outputs[*field].as_object()?;
        let part = |name: &str| reference.get(name).and_then(Value::as_str).map(clean);
        let kind = part("kind").unwrap_or_else(|| (*kind).to_owned());
        let name = part("name")?;
        let place = part("namespace").map_or(name.clone(), |namespace| format!("{namespace}/{name}"));
        Some(format!("{kind} {place}"))
    });
    ActionView {
        name: text(value, "name"),
        phase: Phase::of(value["phase"].as_str().unwrap_or_default()),
        start: time(value, "startTime"),
        end: time(value, "completionTime"),
        attempt: value["attempts"].as_u64().unwrap_or(0),
        attempt_time: time(value, "attemptTime"),
        message: reason(value),
        object: object.unwrap_or_default(),
    }
}

/// The message of a part. That what is skipped was skipped is told by its phase.
fn reason(value: &Value) -> String {
    let message = text(value, "message");
    match (value["phase"].as_str(), message.strip_prefix("skipped: ")) {
        (Some("Skipped"), Some(reason)) => reason.to_owned(),
        (_, _) => message,
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().map(clean).unwrap_or_default()
}

/// The name in a reference that is a name or an object.
fn name_of(value: &Value) -> String {
    let name = value.as_str().or_else(|| value["name"].as_str());
    name.map(clean).unwrap_or_default()
}

fn time(value: &Value, field: &str) -> Option<Time> {
    value[field].as_str()?.parse().ok()
}

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_shape_is_shown() {
        for object in [
            json!(null),
            json!([1]),
            json!({"status": "broken"}),
            json!({"status": {"phase": 5, "stageStatuses": {"a": 1}, "startTime": "yesterday"}}),
            json!({"status": {"stageStatuses": [null, 3, {"workflowExecutions": [[], {"actionStatuses": [7]}]}]}}),
        ] {
            let view = RunView::read(&object);
            assert_eq!(view.phase, Phase::Pending, "{object}");
        }
        let new = RunView::read(&json!({"status": {"phase": "Pa\u{1b}used", "message": "a\u{1b}[2Jb"}}));
        assert_eq!((new.phase.as_str(), new.message.as_str()), ("Pa used", "a [2Jb"));
    }

    #[test]
    fn a_status_of_this_release_is_read_completely() {
        let object = json!({
            "metadata": {"name": "x", "namespace": "shop", "uid": "u"},
            "spec": {"planRef": {"name": "p"}, "operation": "Execute"},
            "status": {"phase": "Running", "startTime": "2026-01-30T10:00:00.000Z",
                "cancellation": {"now": true, "time": "2026-01-30T10:00:00.000Z", "reason": "by user"},
                "stageStatuses": [{"name": "s", "phase": "Running", "parallel": true, "dependsOn": ["r"],
                    "workflowExecutions": [{"workflowRef": {"name": "w", "namespace": "shop"}, "phase": "Running",
                        "actionStatuses": [{"name": "a", "phase": "Running", "attempts": 2,
                            "attemptTime": "2026-01-30T10:00:05.000Z", "message": "m",
                            "outputs": {"jobRef": {"name": "j", "namespace": "shop"}}}]}]}]},
        });
        let view = RunView::read(&object);
        assert_eq!((view.plan.as_str(), view.operation.as_str()), ("p", "Execute"));
        assert_eq!(view.cancelling, Some(true));
        let actions: Vec<_> = view.actions().collect();
        let (path, action) = &actions[0];
        assert_eq!(
            (path.as_str(), action.object.as_str()),
            ("s/w[0]/a", "Job shop/j")
        );
        assert!(action.waits_until(view.start.unwrap()).is_some());
        assert_eq!(view.count(&[Phase::Running]), (1, 1));
    }
}
