//! Compile, check, advance, explain: decides what an execution does next. No I/O, no clock.
//!
//! [`compile()`] turns a plan and its workflows into a [`Snapshot`], or into all of its problems. [`Run`] is a stored
//! snapshot with its graph. [`advance()`] decides, from what is recorded and what was seen, the next record and the
//! effects that may follow once it is stored. [`explain`] says why nothing more happens.

mod action_phase;
pub mod advance;
pub mod announce;
mod check;
pub mod compile;
pub mod data;
mod doubt;
pub mod effect;
mod end;
mod explain;
mod fields;
mod fold;
mod go_on;
pub mod graph;
mod job_name;
pub mod kept;
mod look;
pub mod object;
mod object_render;
pub mod parameters;
mod phases;
pub mod reading;
pub mod render;
mod results;
mod retry;
pub mod revert;
pub mod rights;
mod run;
pub mod sealed;
mod settle;
pub mod snapshot;
mod task;
mod texts;
pub mod undo;
mod walk;

pub use action_phase::{ActionEvent, IllegalTransition};
pub use advance::{CancelWish, InFlight, Inquiry, Looked, Observed, Step, WaitingOn, advance};
pub use announce::{Announcement, Level};
pub use check::check_workflow;
pub use compile::{
    Compiled, ExecutionSource, PlanSource, WorkflowKey, WorkflowSource, compile, workflow_keys,
};
pub use explain::explain;
pub use graph::ActionIndex;
pub use kept::{Facts, Kept};
pub use reading::{Reading, read_execution, read_plan, read_workflow};
pub use revert::{Reverted, undone_by};
pub use rights::{Needs, Purpose, Rights, needs};
pub use run::{Run, action_indices, action_status};
pub use sealed::{Sealed, Values};
pub use settle::derive;
pub use snapshot::{Snapshot, SnapshotError};
