//! What the API server says where an admission webhook or policy refuses a write.

/// Whether `message`, of a refusal, is that of an admission webhook or policy. Its code and reason are then its author's
/// and say nothing about the object: 404 does not mean that it is gone, 409 not that it exists or has changed. Nothing was
/// written.
pub fn is_denial(message: &str) -> bool {
    // The API server writes the beginning, whatever the webhook answers.
    let by_webhook = message.starts_with("admission webhook ") && message.contains(" denied the request");
    let by_policy = message.contains("ValidatingAdmissionPolicy '") && message.contains(" denied request");
    by_webhook || by_policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_told_by_their_words() {
        for denial in [
            "admission webhook \"quota.example.com\" denied the request: too many",
            "admission webhook \"quota.example.com\" denied the request without explanation",
            "jobs.batch \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: too many",
        ] {
            assert!(is_denial(denial), "{denial}");
        }
        for other in [
            "drplans.dr.bkbcs.tencent.com \"shop\" not found",
            "jobs.batch \"a\" already exists",
            "Operation cannot be fulfilled on jobs.batch \"a\": the object has been modified",
            "Internal error occurred: failed calling webhook \"a.example.com\": connection refused",
        ] {
            assert!(!is_denial(other), "{other}");
        }
    }
}
