//! Refusals of Secrets: told without what they may quote.

use kube::core::Status;

/// Ends of what a policy or a webhook says of itself; what follows is its author's text, which may quote anything.
const DENIALS: [&str; 2] = ["denied the request", "denied request"];

/// `status` without anything that may be contents of the object that it refuses.
///
/// Missing rights, missing and existing objects and overload are told by names alone. Everything else may quote the
/// object: of that the reason and the fields are kept, and of a webhook or policy its name.
pub(super) fn without_contents(mut status: Status) -> Status {
    let denial = DENIALS
        .iter()
        .find_map(|end| status.message.find(end).map(|at| at + end.len()));
    if let Some(end) = denial {
        status.message.truncate(end);
        return status;
    }
    if matches!(status.code, 401 | 403 | 404 | 409 | 429 | 503 | 504) {
        return status;
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<String> = causes
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| format!("{} ({})", cause.field, cause.reason))
        .collect();
    let reason = match status.reason.as_str() {
        "" => "an error",
        reason => reason,
    };
    status.message = match fields.as_slice() {
        [] => format!("{reason}; the details may hold contents of the Secret and are not shown"),
        fields => format!("{reason}: {}", fields.join(", ")),
    };
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: u16, reason: &str, message: &str) -> String {
        without_contents(Status::failure(message, reason).with_code(code)).message
    }

    #[test]
    fn what_may_quote_contents_is_left_out() {
        let hidden = "BadRequest; the details may hold contents of the Secret and are not shown";
        assert_eq!(told(400, "BadRequest", "cannot unmarshal hunter2"), hidden);
        assert!(!told(500, "", "expected map, got &{hunter2}").contains("hunter2"));
        let webhook = "admission webhook \"vault.example.com\" denied the request: hunter2 is too short";
        assert_eq!(
            told(403, "", webhook),
            "admission webhook \"vault.example.com\" denied the request"
        );
        let policy = "secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hunter2";
        assert!(told(422, "Invalid", policy).ends_with("denied request"));
    }

    #[test]
    fn fields_and_rights_are_told() {
        let status = serde_json::json!({
            "code": 422, "reason": "Invalid", "message": "Secret \"db\" is invalid: \"hunter2\"",
            "details": {"causes": [{
                "reason": "FieldValueInvalid", "message": "Invalid value: \"hunter2\"", "field": "data[a b]",
            }]},
        });
        let status: Status = serde_json::from_value(status).unwrap();
        assert_eq!(
            without_contents(status).message,
            "Invalid: data[a b] (FieldValueInvalid)"
        );
        let right = "secrets \"db\" is forbidden: User \"dr\" cannot create resource \"secrets\"";
        assert_eq!(told(403, "Forbidden", right), right);
    }
}
