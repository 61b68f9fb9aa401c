//! The controller: watches the three kinds and runs executions.
