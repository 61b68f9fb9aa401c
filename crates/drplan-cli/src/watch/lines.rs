//! A run as lines, one for each thing that happens: for logs, and for those who read no pictures.

use drplan_api::{GoDuration, Time};

use crate::view::{ActionView, Phase, RunView, StageView, WorkflowView};

/// What has happened from `before` to `after`, in the order of its times; `now` is the time of what has none.
pub fn transitions(before: &RunView, after: &RunView, now: Time) -> Vec<String> {
    // What has no time of its own has happened by now, and by the end of the run.
    let now = after.end.map_or(now, |end| end.min(now));
    let mut found = Found {
        now,
        is_revert: after.is_revert(),
        lines: Vec::new(),
    };
    if before.phase != after.phase && after.phase == Phase::Running {
        found.push(after.start, format!("{} Running  {}", after.name, after.what()));
    }
    if before.cancelling.is_none() && after.cancelling.is_some() {
        found.push(None, format!("{} Cancelling", after.name));
    }
    for (index, stage) in after.stages.iter().enumerate() {
        found.stage(before.stages.get(index), stage);
    }
    // Sorting keeps the order of what happened together.
    found.lines.sort_by_key(|(time, _)| *time);
    let is_new_word = before.phase != after.phase || before.message != after.message;
    let is_quiet = after.phase == Phase::Running && (after.message.is_empty() || before.phase != after.phase);
    if is_new_word && !is_quiet {
        let last = found.lines.last().map_or(now, |(time, _)| *time);
        let took = took(after.start, after.end);
        let message = said(&after.message);
        found.lines.push((
            after.end.unwrap_or(last),
            format!("{} {}{took}{message}", after.name, after.phase.as_str()),
        ));
    }
    found
        .lines
        .into_iter()
        .map(|(time, line)| format!("{time}  {line}"))
        .collect()
}

struct Found {
    now: Time,
    is_revert: bool,
    lines: Vec<(Time, String)>,
}

impl Found {
    fn push(&mut self, time: Option<Time>, line: String) {
        self.lines.push((time.unwrap_or(self.now), line));
    }

    /// What a part of the run is said to be.
    fn word<'a>(&self, phase: &'a Phase) -> &'a str {
        if self.is_revert {
            phase.of_undo()
        } else {
            phase.as_str()
        }
    }

    /// Whether the end of a stage or workflow is a line. Where there is nothing to undo its actions say so.
    fn is_end(phase: &Phase) -> bool {
        !matches!(phase, Phase::Pending | Phase::Running | Phase::NothingToUndo)
    }

    fn stage(&mut self, before: Option<&StageView>, stage: &StageView) {
        let was = before.map(|before| &before.phase);
        let begins = was.is_none_or(|was| *was == Phase::Pending) && stage.start.is_some();
        if begins {
            let begins = self.word(&Phase::Running);
            self.push(stage.start, format!("stage {} {begins}", stage.name));
        }
        for (index, workflow) in stage.workflows.iter().enumerate() {
            let before = before.and_then(|before| before.workflows.get(index));
            // What a skipped stage holds is skipped with it.
            if stage.phase != Phase::Skipped {
                self.workflow(&stage.name, before, workflow);
            }
        }
        if was != Some(&stage.phase) && Self::is_end(&stage.phase) {
            let took = took(stage.start, stage.end);
            let message = said(&stage.message);
            let ended = self.word(&stage.phase);
            self.push(stage.end, format!("stage {} {ended}{took}{message}", stage.name));
        }
    }

    fn workflow(&mut self, stage: &str, before: Option<&WorkflowView>, workflow: &WorkflowView) {
        let was = before.map(|before| &before.phase);
        let path = format!("{stage}/{}", workflow.name);
        if was.is_none_or(|was| *was == Phase::Pending) && workflow.start.is_some() {
            let begins = self.word(&Phase::Running);
            self.push(workflow.start, format!("workflow {path} {begins}"));
        }
        for (index, action) in workflow.actions.iter().enumerate() {
            let before = before.and_then(|before| before.actions.get(index));
            if workflow.phase != Phase::Skipped {
                self.action(&path, before, action);
            }
        }
        if was != Some(&workflow.phase) && Self::is_end(&workflow.phase) {
            let took = took(workflow.start, workflow.end);
            let message = said(&workflow.message);
            let ended = self.word(&workflow.phase);
            self.push(workflow.end, format!("workflow {path} {ended}{took}{message}"));
        }
    }

    fn action(&mut self, workflow: &str, before: Option<&ActionView>, action: &ActionView) {
        let path = format!("action {workflow}/{}", action.name);
        let none = ActionView::default();
        let before = before.unwrap_or(&none);
        if before.start.is_none() && action.start.is_some() {
            let begins = self.word(&Phase::Running);
            self.push(action.start, format!("{path} {begins}"));
        }
        if action.phase == Phase::Running && action.attempt > before.attempt.max(1) {
            let at = action
                .attempt_time
                .map(|time| format!(" at {time}"))
                .unwrap_or_default();
            let message = said(&action.message);
            self.push(
                None,
                format!("{path} attempt {} follows{at}{message}", action.attempt),
            );
        }
        let has_changed = before.phase != action.phase;
        if has_changed && !matches!(action.phase, Phase::Pending | Phase::Running) {
            let took = took(action.start, action.end);
            let message = said(&action.message);
            let ended = self.word(&action.phase);
            self.push(action.end, format!("{path} {ended}{took}{message}"));
        }
    }
}

fn took(start: Option<Time>, end: Option<Time>) -> String {
    let took = start
        .zip(end)
        .map(|(start, end)| GoDuration::from_millis(end.millis_since(start)));
    took.map(|took| format!(" after {took}")).unwrap_or_default()
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(phase: &str, end: Option<&str>, actions: Value) -> RunView {
        let group = if phase == "Running" { "Running" } else { "Failed" };
        RunView::read(&json!({
            "metadata": {"name": "x"},
            "status": {
                "phase": phase, "plan": "p", "operationType": "Execute", "startTime": "2026-01-30T10:00:00.000Z",
                "completionTime": end, "message": if end.is_some() { "it failed; do this" } else { "" },
                "stageStatuses": [{"name": "s", "phase": group, "startTime": "2026-01-30T10:00:00.000Z",
                    "completionTime": end, "workflowExecutions": [{
                        "workflowRef": {"name": "w"}, "phase": group, "startTime": "2026-01-30T10:00:00.000Z",
                        "completionTime": end, "actionStatuses": actions,
                    }]}],
            },
        }))
    }

    #[test]
    fn each_thing_that_happens_is_one_line_with_its_time() {
        let now: Time = "2026-01-30T10:01:00.000Z".parse().unwrap();
        let begun =
            json!({"name": "a", "phase": "Running", "attempts": 1, "startTime": "2026-01-30T10:00:00.000Z"});
        let pending = json!({"name": "b", "phase": "Pending"});
        let first = run("Running", None, json!([begun, pending]));
        assert_eq!(
            transitions(&RunView::default(), &first, now),
            [
                "2026-01-30T10:00:00.000Z  x Running  Execute of p",
                "2026-01-30T10:00:00.000Z  stage s Running",
                "2026-01-30T10:00:00.000Z  workflow s/w[0] Running",
                "2026-01-30T10:00:00.000Z  action s/w[0]/a Running",
            ]
        );
        assert_eq!(transitions(&first, &first, now), Vec::<String>::new());
        let mut waits = begun.clone();
        waits["attempts"] = json!(2);
        waits["attemptTime"] = json!("2026-01-30T10:00:09.000Z");
        waits["message"] = json!("answered 503");
        let second = run("Running", None, json!([waits, pending]));
        assert_eq!(
            transitions(&first, &second, "2026-01-30T10:00:05.000Z".parse().unwrap()),
            [
                "2026-01-30T10:00:05.000Z  action s/w[0]/a attempt 2 follows at 2026-01-30T10:00:09.000Z: answered 503"
            ]
        );
        let end = "2026-01-30T10:00:10.000Z";
        let mut failed = waits.clone();
        failed["phase"] = json!("Failed");
        failed["completionTime"] = json!(end);
        let skipped = json!({"name": "b", "phase": "Skipped", "message": "skipped: action a failed"});
        let third = run("Failed", Some(end), json!([failed, skipped]));
        assert_eq!(
            transitions(&second, &third, now),
            [
                "2026-01-30T10:00:10.000Z  action s/w[0]/a Failed after 10s: answered 503",
                "2026-01-30T10:00:10.000Z  action s/w[0]/b Skipped: action a failed",
                "2026-01-30T10:00:10.000Z  workflow s/w[0] Failed after 10s",
                "2026-01-30T10:00:10.000Z  stage s Failed after 10s",
                "2026-01-30T10:00:10.000Z  x Failed after 10s: it failed; do this",
            ]
        );
    }

    #[test]
    fn a_revert_speaks_of_undoing() {
        let revert = |phase: &str, actions: Value| {
            RunView::read(&json!({
                "metadata": {"name": "back"},
                "status": {
                    "phase": phase, "plan": "p", "operationType": "Revert", "reverts": {"name": "x"},
                    "startTime": "2026-01-30T10:00:00.000Z", "stageStatuses": [{"name": "s", "phase": phase,
                        "startTime": "2026-01-30T10:00:00.000Z", "workflowExecutions": [{
                            "workflowRef": {"name": "w"}, "phase": phase, "startTime": "2026-01-30T10:00:00.000Z",
                            "actionStatuses": actions,
                        }]}],
                },
            }))
        };
        let now: Time = "2026-01-30T10:00:02.000Z".parse().unwrap();
        let nothing =
            json!({"name": "a", "phase": "Skipped", "nothingToUndo": true, "message": "it did not run"});
        let begun =
            json!({"name": "b", "phase": "Running", "attempts": 1, "startTime": "2026-01-30T10:00:00.000Z"});
        let first = revert("Running", json!([nothing, begun]));
        assert_eq!(
            transitions(&RunView::default(), &first, now),
            [
                "2026-01-30T10:00:00.000Z  back Running  Revert of x",
                "2026-01-30T10:00:00.000Z  stage s undoing",
                "2026-01-30T10:00:00.000Z  workflow s/w[0] undoing",
                "2026-01-30T10:00:00.000Z  action s/w[0]/b undoing",
                "2026-01-30T10:00:02.000Z  action s/w[0]/a nothing to undo: it did not run",
            ]
        );
        let done = json!({"name": "b", "phase": "Succeeded", "startTime": "2026-01-30T10:00:00.000Z",
            "completionTime": "2026-01-30T10:00:01.000Z"});
        let left = json!({"name": "a", "phase": "Skipped", "message": "skipped: cancelled"});
        assert_eq!(
            transitions(&first, &revert("Running", json!([left, done])), now),
            [
                "2026-01-30T10:00:01.000Z  action s/w[0]/b undone after 1s",
                "2026-01-30T10:00:02.000Z  action s/w[0]/a not undone: cancelled",
            ]
        );
    }
}
