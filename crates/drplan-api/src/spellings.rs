//! Every accepted spelling, as data for tests.
