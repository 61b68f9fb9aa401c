//! kubectl-drplan.
fn main(){}
