//! The controller: watches the three kinds and runs executions.

pub mod client;
pub mod clock;
pub mod commands;
pub mod contact;
pub mod context;
pub mod desk;
pub mod events;
pub mod execution;
pub mod executions;
pub mod fault;
pub mod health;
pub mod index;
pub mod logging;
pub mod operator;
pub mod options;
pub mod plans;
pub mod queue;
pub mod raw;
pub mod record;
pub mod says;
pub mod shutdown;
pub mod store;
pub mod trigger;
pub mod watch;
pub mod workflows;
pub mod written;
