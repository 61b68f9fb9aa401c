//! Performs and observes the effects of actions: HTTP calls and Jobs.
