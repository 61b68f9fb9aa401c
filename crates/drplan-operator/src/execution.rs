//! One execution: from its creation to the end of its record.
//!
//! [`start`](start::start) decides whether it may begin and stores all that it will use; [`Drive`](drive::Drive)
//! carries it to its end; [`finish`](finish::finish) enters that end with the plan. Each may be cut off anywhere and
//! done again from the record.

pub mod commit;
pub mod drive;
pub mod finish;
pub mod judge;
mod orders;
mod prepare;
pub mod resume;
mod revert;
pub mod snapshots;
pub mod start;
mod tell;
mod under_way;
mod undone;
pub mod unsupported;
