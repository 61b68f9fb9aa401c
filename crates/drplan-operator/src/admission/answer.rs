//! What admission answers, in the words and within the bounds that the API server takes.

use drplan_api::{Problem, Problems, Severity, problem::line};
use kube::core::admission::{AdmissionRequest, AdmissionResponse};

use crate::store::StoreError;

/// Bytes of a refusal. kubectl shows all of it; the API server's own answers are of that size too.
const MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// The API server may cut what is longer, in bytes.
const WARNING_BYTES_MAX: usize = 256;
/// The API server drops what comes after that many bytes of warnings.
const WARNINGS_BYTES_MAX: usize = 4096;

/// What is answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass; the user is told these.
    Allow(Vec<String>),
    /// It may not.
    Refuse(Refused),
}

/// Why a request may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status code of the answer.
    pub code: u16,
    /// Kubernetes' word for it.
    pub reason: &'static str,
    /// What is wrong, with the place, and what to do; several lines where several things are wrong.
    pub message: String,
}

/// Whom it helps if a request passes that could not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnjudged {
    /// Nobody: what is written now would be used in an emergency.
    Refuse,
    /// Whoever must act now; the controllers hold the rule.
    Allow,
}

impl Verdict {
    /// It may pass, and there is nothing to tell.
    pub fn allow() -> Self {
        Self::Allow(Vec::new())
    }

    /// By what is wrong with an object: refused with all errors, or allowed with all warnings.
    pub fn of(problems: &Problems) -> Self {
        let errors = of_severity(problems, Severity::Error);
        if errors.is_empty() {
            return Self::Allow(of_severity(problems, Severity::Warning));
        }
        Self::Refuse(Refused {
            code: 422,
            reason: "Invalid",
            message: in_lines(&errors),
        })
    }

    /// Not now, because of what is under way.
    pub fn forbid(message: String) -> Self {
        Self::Refuse(Refused {
            code: 403,
            reason: "Forbidden",
            message,
        })
    }

    /// What is answered if `error` keeps a request from being judged.
    pub fn unjudged(error: &StoreError, when: WhenUnjudged) -> Self {
        match when {
            WhenUnjudged::Refuse => Self::Refuse(Refused {
                code: 503,
                reason: "ServiceUnavailable",
                message: format!("could not be checked, so nothing was written; try again: {error}"),
            }),
            WhenUnjudged::Allow => Self::Allow(vec![format!(
                "could not be checked, so the operator judges it later: {error}"
            )]),
        }
    }

    /// As the API server takes it.
    pub fn response<T: kube::Resource>(self, request: &AdmissionRequest<T>) -> AdmissionResponse {
        let mut response = AdmissionResponse::from(request);
        match self {
            Self::Allow(warnings) => {
                response.warnings = Some(bounded(warnings)).filter(|warnings| !warnings.is_empty());
            }
            Self::Refuse(Refused {
                code,
                reason,
                message,
            }) => {
                response = response.deny(message);
                response.result.code = code;
                response.result.reason = reason.to_owned();
            }
        }
        response
    }
}

fn of_severity(problems: &[Problem], severity: Severity) -> Vec<String> {
    let found = problems.iter().filter(|problem| problem.severity == severity);
    found.map(line).collect()
}

/// One problem as it is; several as a list, cut with a count.
fn in_lines(problems: &[String]) -> String {
    if let [one] = problems {
        return one.clone();
    }
    let mut text = format!("{} problems:", problems.len());
    for (index, problem) in problems.iter().enumerate() {
        if index > 0 && text.len() + problem.len() > MESSAGE_BYTES_MAX {
            let left = problems.len() - index;
            text.push_str(&format!(
                "\n- and {left} more, which `kubectl drplan check` lists"
            ));
            break;
        }
        text.push_str("\n- ");
        text.push_str(problem);
    }
    text
}

/// Warnings of the length and number that the API server passes on.
fn bounded(warnings: Vec<String>) -> Vec<String> {
    const MORE_BYTES_MAX: usize = 80;
    let mut kept: Vec<String> = Vec::new();
    let mut bytes = 0;
    let count = warnings.len();
    for warning in warnings {
        let warning = cut(warning);
        if bytes + warning.len() > WARNINGS_BYTES_MAX - MORE_BYTES_MAX {
            let left = count - kept.len();
            kept.push(format!(
                "and {left} more warnings, which `kubectl drplan check` lists"
            ));
            break;
        }
        bytes += warning.len();
        kept.push(warning);
    }
    kept
}

fn cut(mut text: String) -> String {
    const MARK: &str = "…";
    if text.len() >= WARNING_BYTES_MAX {
        text.truncate(text.floor_char_boundary(WARNING_BYTES_MAX - 1 - MARK.len()));
        text.push_str(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use drplan_api::ProblemKind;

    use super::*;

    fn note(path: &str, message: &str) -> Problem {
        let message = message.to_owned();
        Problem::error(path, ProblemKind::Note { message })
    }

    fn refused(problems: &Problems) -> String {
        match Verdict::of(problems) {
            Verdict::Refuse(refused) => refused.message,
            Verdict::Allow(warnings) => panic!("allowed with {warnings:?}"),
        }
    }

    #[test]
    fn all_problems_are_in_one_answer_and_an_endless_list_is_cut() {
        assert_eq!(refused(&vec![note("a", "x; write y")]), "a: x; write y");
        let warned = Problem::warning(
            "c",
            ProblemKind::Note {
                message: "w".to_owned(),
            },
        );
        let several = vec![note("a", "x"), note("b", "y"), warned.clone()];
        assert_eq!(refused(&several), "2 problems:\n- a: x\n- b: y");
        assert_eq!(
            Verdict::of(&vec![warned]),
            Verdict::Allow(vec!["c: w".to_owned()])
        );
        let endless = (0..9_999).map(|index| note(&format!("p{index}"), "x")).collect();
        let told = refused(&endless);
        assert!(told.len() < MESSAGE_BYTES_MAX + 100, "{}", told.len());
        assert!(
            told.ends_with("more, which `kubectl drplan check` lists"),
            "{told}"
        );
    }

    #[test]
    fn warnings_are_as_many_and_as_long_as_the_api_server_passes_on() {
        let kept = bounded(vec!["é".repeat(300), "b".to_owned()]);
        assert!(
            kept[0].len() < WARNING_BYTES_MAX && kept[0].ends_with('…'),
            "{}",
            kept[0]
        );
        assert_eq!(kept[1], "b");
        let kept = bounded(vec!["c".repeat(250); 40]);
        let bytes: usize = kept.iter().map(String::len).sum();
        assert!(bytes <= WARNINGS_BYTES_MAX, "{bytes}");
        let told = "and 24 more warnings, which `kubectl drplan check` lists";
        assert_eq!(kept.last().map(String::as_str), Some(told));
    }
}
