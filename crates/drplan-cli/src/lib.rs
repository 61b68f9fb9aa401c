//! `kubectl drplan`: checks, runs, watches, cancels and undoes disaster-recovery plans.

pub mod check;
pub mod command;
pub mod exit;
pub mod options;
mod screen;
