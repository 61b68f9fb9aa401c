//! Starts real control planes, stand-ins and operators for tests and the demo.
//!
//! A test says what it needs and never how long to wait for it:
//!
//! - [`ControlPlane`]: etcd, API server, controller manager, scheduler and KWOK on loopback, with an audit log
//!   as oracle and components that can be paused, killed and restarted. [`ControlPlane::shared`] is one for all
//!   tests of a test binary.
//! - [`ControlPlane::with_namespace`]: a namespace, a stand-in and operators for one test, dumped when it fails.
//! - [`OperatorProcess`]: the operator as a child process, to stop, continue and kill.
//! - [`Proxy`]: what is between one client and the API server, to cut, hang and slow down.
//! - [`node`]: a real node with containers, on which image and chart are tried.
//! - [`record`]: what a program shows on a terminal, as a picture that moves.
//! - [`HttpStandIn`]: the site on the other end of HTTP actions, which records and answers as told.
//! - [`eventually`] and [`object_until`]: wait, and say on failure what was awaited and what was last seen.
//!
//! # Guarantees
//!
//! Nothing outlives the test process, however it ends: each child has a keeper that kills it when the test
//! process is gone ([`Kept`]).

mod audit;
mod authority;
mod background;
pub mod bench;
mod binaries;
pub mod chart;
mod control_plane;
pub mod demo;
mod dump;
mod eventually;
mod go;
mod kept;
mod kubectl;
mod namespace;
pub mod node;
mod operator;
mod port;
mod proxy;
pub mod record;
mod rights;
mod stand_in;

pub use audit::{Audit, AuditEntry, AuditObject, AuditQuery, AuditUser};
pub use authority::{Authority, Credentials};
pub use binaries::{Binaries, helm, promtool};
pub use control_plane::{CLUSTERNET_KINDS, Component, ControlPlane, Options, etcd_key};
pub use eventually::{DEADLINE, Seen, eventually, eventually_within, object_until};
pub use go::BuildError;
pub use kept::{Kept, Launch};
pub use kubectl::Kubectl;
pub use namespace::TestNamespace;
pub use operator::{OperatorLaunch, OperatorProcess, cli_binary, metric_sum, operator_binary, operator_crds};
pub use port::free_port;
pub use proxy::{Direction, Proxy, ProxyMode};
pub use rustix::process::Signal;
pub use stand_in::{Answer, HttpStandIn, Outcome, Recorded};
