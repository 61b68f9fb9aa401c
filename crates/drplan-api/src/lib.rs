//! The three kinds of `dr.bkbcs.tencent.com/v1alpha1`. Types only: no I/O, no decisions about runs.
//!
//! Two forms of every kind live here. The *written* form ([`DRWorkflowSpec`], [`DRPlanSpec`],
//! [`DRPlanExecutionSpec`]) holds what a user may write, with every accepted spelling; the *canonical* form
//! ([`canonical`]) is what everything else reads. [`normalise`] is the one way from the first to the second.

pub mod canonical;
pub mod duration;
pub mod labels;
pub mod limits;
pub mod names;
pub mod problem;
pub mod status;
pub mod time;

pub use duration::GoDuration;
pub use names::{ActionName, ActionPath, ParameterName, StageName};
pub use problem::{Problem, ProblemKind, Problems, Severity};
pub use time::Time;

/// The API group of the three kinds.
pub const GROUP: &str = "dr.bkbcs.tencent.com";
/// The version of the three kinds.
pub const VERSION: &str = "v1alpha1";
