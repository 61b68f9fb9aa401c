//! `kubectl drplan`: checks, runs, watches, cancels and undoes disaster-recovery plans.

pub mod check;
mod cluster;
pub mod command;
pub mod exit;
pub mod history;
pub mod options;
pub mod rbac;
mod screen;
pub mod tree;
pub mod view;
pub mod watch;
