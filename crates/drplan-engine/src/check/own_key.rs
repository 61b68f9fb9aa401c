//! A header `Idempotency-Key` of the author's own, which takes the place of the one that every call carries.

use drplan_api::{Problem, ProblemKind, Problems, canonical::Http};
use drplan_template::Template;

const HEADER: &str = "idempotency-key";
/// What differs from one execution to the next, and is the same in every attempt of one.
const OF_ONE_EXECUTION: [&str; 4] = ["executionUID", "executionName", "executionStartTime", "timestamp"];

/// Warns of a key that is the same in every execution.
pub(super) fn check(http: &Http, at: &str, problems: &mut Problems) {
    let is_key = |name: &str| name.eq_ignore_ascii_case(HEADER);
    let written = http
        .headers
        .iter()
        .filter(|(name, text)| is_key(name) && !is_of_one_execution(text));
    let written = written.map(|(name, _)| format!("{at}.http.headers.{name}"));
    let read = http
        .headers_from
        .iter()
        .enumerate()
        .filter(|(_, from)| is_key(&from.name));
    let read = read.map(|(index, _)| format!("{at}.http.headersFrom[{index}].name"));
    for path in written.chain(read) {
        let message = "is the same in every execution, so a site that honours it takes the call of the next one for a \
                       repeat; leave it out, then the call has a key of its own, or write {{ .executionUID }} into it";
        let message = message.to_owned();
        problems.push(Problem::warning(path, ProblemKind::Note { message }));
    }
}

fn is_of_one_execution(text: &str) -> bool {
    // What is no template is told elsewhere.
    Template::parse(text).map_or(true, |template| {
        let references = template.references();
        references.root_dynamic.is_some()
            || OF_ONE_EXECUTION
                .iter()
                .any(|field| references.fields.contains_key(*field))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::reading::read_workflow;

    fn warned(http: &Value) -> Vec<String> {
        let mut call = json!({"url": "https://x", "method": "POST"});
        for (field, value) in http.as_object().unwrap() {
            call[field] = value.clone();
        }
        let action = json!({"name": "a", "type": "HTTP", "http": call.clone(), "rollback": {"type": "HTTP", "http": call}});
        let reading = read_workflow(json!({"actions": [action]}));
        let problems = reading.problems.iter();
        problems
            .map(|problem| format!("{:?} {}", problem.severity, problem.path))
            .collect()
    }

    #[test]
    fn a_key_that_is_the_same_in_every_execution_is_warned_of_and_no_other() {
        assert_eq!(
            warned(&json!({"headers": {"idempotency-Key": "switch-{{ .planName }}"}})),
            [
                "Warning spec.actions[0].http.headers.idempotency-Key",
                "Warning spec.actions[0].rollback.http.headers.idempotency-Key",
            ]
        );
        let from =
            json!([{"name": "Idempotency-Key", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
        assert_eq!(warned(&json!({"headersFrom": from})).len(), 2);
        for fine in ["{{ .executionUID }}-dns", "{{ .timestamp }}"] {
            assert_eq!(
                warned(&json!({"headers": {"Idempotency-Key": fine, "X-Key": "k"}})),
                Vec::<String>::new()
            );
        }
    }
}
