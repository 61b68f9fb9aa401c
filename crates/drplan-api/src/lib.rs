//! The three kinds of `dr.bkbcs.tencent.com/v1alpha1`. Types only: no I/O, no decisions about runs.
//!
//! Two forms of every kind live here. The *written* form ([`DRWorkflowSpec`], [`DRPlanSpec`],
//! [`DRPlanExecutionSpec`]) holds what a user may write, with every accepted spelling; the *canonical* form
//! ([`canonical`]) is what everything else reads. [`normalise`] is the one way from the first to the second.

pub mod action;
pub mod any_shape;
pub mod canonical;
pub mod crds;
pub mod decode;
pub mod denial;
pub mod duration;
pub mod execution;
pub mod labels;
pub mod limits;
pub mod names;
pub mod normalise;
pub mod plan;
pub mod problem;
pub mod rights;
pub mod source;
#[doc(hidden)]
pub mod spellings;
pub mod status;
pub mod time;
pub mod unknown_fields;
pub mod workflow;

pub use any_shape::{AnyObject, AnyShape};
pub use crds::{crds, crds_yaml, full_crds};
pub use decode::decode;
pub use denial::is_denial;
pub use duration::GoDuration;
pub use execution::{DRPlanExecution, DRPlanExecutionSpec};
pub use names::{ActionName, ActionPath, ParameterName, StageName};
pub use normalise::{
    Normalised, normalise_execution, normalise_execution_named, normalise_plan, normalise_workflow,
};
pub use plan::{DRPlan, DRPlanSpec};
pub use problem::{Problem, ProblemKind, Problems, Severity};
pub use rights::{Account, Grant, Right, Verb};
pub use source::{Source, SourceKey};
pub use status::{DRPlanExecutionStatus, DRPlanStatus, DRWorkflowStatus};
pub use time::Time;
pub use unknown_fields::unknown_fields;
pub use workflow::{DRWorkflow, DRWorkflowSpec};

/// The API group of the three kinds.
pub const GROUP: &str = "dr.bkbcs.tencent.com";
/// The version of the three kinds.
pub const VERSION: &str = "v1alpha1";
