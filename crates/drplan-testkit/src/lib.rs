//! Starts real control planes, stand-ins and operators for tests and the demo.
