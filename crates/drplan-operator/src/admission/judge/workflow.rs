//! A workflow that is created or changed.

use drplan_api::DRWorkflow;

use crate::{admission::answer::Verdict, index::WorkflowEntry, raw::Raw};

/// By what the workflow itself shows.
pub fn judge(workflow: &Raw<DRWorkflow>) -> Verdict {
    Verdict::of(&WorkflowEntry::of(workflow.clone()).problems)
}
