//! Compile, check, advance, explain: decides what an execution does next. No I/O, no clock.

pub mod effect;
