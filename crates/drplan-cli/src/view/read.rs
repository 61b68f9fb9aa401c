//! Reads a run leniently from the status of an execution of any release.
//!
//! What is not there is empty, what is not understood is shown as it is: a picture of a run must not fail because one
//! field of it is new.

use drplan_api::{Time, labels};
use serde_json::Value;

use super::{ActionView, Phase, RunView, StageView, UndoneView, WorkflowView};
use crate::screen::clean;

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
        let mut reverts = text(&status["reverts"], "name");
        if reverts.is_empty() {
            reverts = name_of(&spec["revertExecutionRef"]);
        }
        let cancellation = status["cancellation"].as_object();
        let mut run = Self {
            name: text(metadata, "name"),
            namespace: text(metadata, "namespace"),
            uid: text(metadata, "uid"),
            plan,
            operation,
            phase: phase(status),
            message: text(status, "message"),
            start: time(status, "startTime"),
            end: time(status, "completionTime"),
            deadline: time(status, "deadline"),
            cancelling: cancellation.map(|wish| wish.get("now").and_then(Value::as_bool) == Some(true)),
            asked: [labels::RESUME, labels::CANCEL]
                .iter()
                .any(|command| metadata["annotations"][*command].is_string()),
            reverts,
            allow_partial: spec["allowPartial"].as_bool() == Some(true),
            undone: undone(&status["undone"]),
            stages: items(status, "stageStatuses").iter().map(stage).collect(),
        };
        if run.is_revert() {
            run.turn_round();
        }
        run
    }

    /// A status tells everything in plan order. A Revert begins at the other end.
    fn turn_round(&mut self) {
        let waits_for: Vec<Vec<String>> = self
            .stages
            .iter()
            .map(|stage| {
                let dependents = self
                    .stages
                    .iter()
                    .filter(|other| other.depends_on.contains(&stage.name));
                dependents.map(|other| other.name.clone()).collect()
            })
            .collect();
        for (stage, waits_for) in self.stages.iter_mut().zip(waits_for) {
            stage.depends_on = waits_for;
            stage.workflows.reverse();
            for workflow in &mut stage.workflows {
                workflow.actions.reverse();
                let owes_nothing = all_owe_nothing(workflow.actions.iter().map(|action| &action.phase));
                if owes_nothing {
                    (workflow.phase, workflow.message) = (Phase::NothingToUndo, String::new());
                }
            }
            let owes_nothing = all_owe_nothing(stage.workflows.iter().map(|workflow| &workflow.phase));
            if owes_nothing {
                (stage.phase, stage.message) = (Phase::NothingToUndo, String::new());
            }
        }
        self.stages.reverse();
    }
}

fn phase(value: &Value) -> Phase {
    match value["phase"].as_str().unwrap_or_default() {
        "" | "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Skipped" if value["nothingToUndo"].as_bool() == Some(true) => Phase::NothingToUndo,
        "Skipped" => Phase::Skipped,
        "Cancelled" => Phase::Cancelled,
        "Unknown" => Phase::Unknown,
        other => Phase::Other(clean(other)),
    }
}

fn all_owe_nothing<'a>(parts: impl Iterator<Item = &'a Phase>) -> bool {
    let mut parts = parts.peekable();
    parts.peek().is_some() && parts.all(|phase| *phase == Phase::NothingToUndo)
}

fn undone(value: &Value) -> Option<UndoneView> {
    let mut by: Vec<String> = Vec::new();
    for name in items(value, "actions")
        .iter()
        .rev()
        .map(|action| text(action, "by"))
    {
        if !name.is_empty() && !by.contains(&name) {
            by.push(name);
        }
    }
    value.is_object().then(|| UndoneView {
        wholly: value["wholly"].as_bool() == Some(true),
        by: by.join(", "),
    })
}

fn stage(value: &Value) -> StageView {
    let workflows = items(value, "workflowExecutions").iter().enumerate();
    StageView {
        name: text(value, "name"),
        phase: phase(value),
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
        phase: phase(value),
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
        phase: phase(value),
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

    #[test]
    fn a_revert_is_turned_round_and_its_paths_stay() {
        let nothing =
            |name: &str| json!({"name": name, "phase": "Skipped", "nothingToUndo": true, "message": "why"});
        let done = |name: &str| json!({"name": name, "phase": "Succeeded"});
        let used =
            |name: &str, actions: Value| json!({"workflowRef": {"name": name}, "actionStatuses": actions});
        let object = json!({
            "spec": {"planRef": "p", "operationType": "Revert", "revertExecutionRef": "run", "allowPartial": true},
            "status": {"phase": "Running", "stageStatuses": [
                {"name": "one", "phase": "Skipped", "message": "nothing to undo", "workflowExecutions": [
                    used("w", json!([nothing("a")]))]},
                {"name": "two", "dependsOn": ["one"], "workflowExecutions": [
                    used("w", json!([done("a"), nothing("b")])), used("v", json!([done("c")]))]},
            ]},
        });
        let view = RunView::read(&object);
        assert_eq!(view.what(), "Revert of run");
        assert!(view.allow_partial && view.undone.is_none());
        let paths: Vec<String> = view.actions().map(|(path, _)| path).collect();
        assert_eq!(paths, ["two/v[1]/c", "two/w[0]/b", "two/w[0]/a", "one/w[0]/a"]);
        assert_eq!(view.stages[1].depends_on, ["two"]);
        assert_eq!(
            (&view.stages[1].phase, view.stages[1].message.as_str()),
            (&Phase::NothingToUndo, "")
        );
        assert_eq!(view.count(&[Phase::NothingToUndo]), (2, 4));
    }

    #[test]
    fn what_reverts_have_undone_is_read() {
        let of = |undone: Value| RunView::read(&json!({"status": {"undone": undone}})).undone;
        assert_eq!(of(json!(null)), None);
        let actions = json!([{"path": "a", "by": "back-1"}, {"path": "b", "by": "back-2"}, {"path": "c", "by": "back-2"}]);
        let undone = of(json!({"wholly": true, "actions": actions})).unwrap();
        assert_eq!((undone.wholly, undone.by.as_str()), (true, "back-2, back-1"));
        assert_eq!(of(json!({})), Some(UndoneView::default()));
    }
}
