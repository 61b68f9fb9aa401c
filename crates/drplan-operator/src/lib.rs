//! The controller: watches the three kinds and runs executions.

pub mod client;
pub mod clock;
pub mod contact;
pub mod health;
pub mod shutdown;
