//! The controller: watches the three kinds and runs executions.

pub mod client;
pub mod clock;
pub mod contact;
pub mod events;
pub mod fault;
pub mod health;
pub mod logging;
pub mod options;
pub mod shutdown;
