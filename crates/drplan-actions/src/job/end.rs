//! Whether a Job has ended, and how.

use k8s_openapi::api::batch::v1::JobStatus;

/// The end of a Job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JobEnd {
    /// Its condition Complete is True.
    Complete,
    /// Its condition Failed is True.
    Failed {
        /// One word, such as `BackoffLimitExceeded`.
        reason: String,
        /// A sentence.
        message: String,
    },
}

/// The end that a Job's status tells, if it has ended. `SuccessCriteriaMet` and `FailureTarget` are none: they come
/// while Pods still run.
pub(crate) fn end_of(status: Option<&JobStatus>) -> Option<JobEnd> {
    let conditions = status?.conditions.as_deref().unwrap_or_default();
    let holds = |kind: &str| {
        conditions
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == "True")
    };
    if holds("Complete").is_some() {
        return Some(JobEnd::Complete);
    }
    holds("Failed").map(|condition| JobEnd::Failed {
        reason: condition.reason.clone().unwrap_or_default(),
        message: condition.message.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_true_complete_or_failed_condition_is_an_end() {
        let check = |conditions: serde_json::Value, expect: Option<JobEnd>| {
            let status: JobStatus = serde_json::from_value(json!({"conditions": conditions})).unwrap();
            assert_eq!(end_of(Some(&status)), expect);
        };
        check(json!([]), None);
        check(json!([{"type": "Suspended", "status": "True"}]), None);
        check(json!([{"type": "SuccessCriteriaMet", "status": "True"}]), None);
        check(json!([{"type": "FailureTarget", "status": "True"}]), None);
        check(json!([{"type": "Complete", "status": "False"}]), None);
        check(json!([{"type": "Complete", "status": "Unknown"}]), None);
        check(
            json!([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]),
            Some(JobEnd::Complete),
        );
        check(
            json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}]),
            Some(JobEnd::Failed {
                reason: "DeadlineExceeded".to_owned(),
                message: "too long".to_owned(),
            }),
        );
        assert_eq!(end_of(None), None);
        assert_eq!(end_of(Some(&JobStatus::default())), None);
    }
}
