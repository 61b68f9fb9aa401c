//! kubectl-drplan.
mod check;
