//! The life of an action as one table.

use drplan_api::status::StepPhase;

/// Something that happens to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionEvent {
    /// The intent of its first attempt is recorded.
    Started,
    /// Something about the running attempt became known: its Job's UID.
    Progressed,
    /// The attempt failed and the intent of the next is recorded.
    Retried,
    /// It succeeded.
    Succeeded,
    /// It failed for good.
    Failed,
    /// It will not begin.
    Skipped,
}

/// An event that a phase does not know: the record contradicts the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an action that is {phase:?} cannot have {event:?}")]
pub struct IllegalTransition {
    /// Where the action stood.
    pub phase: StepPhase,
    /// What should have happened.
    pub event: ActionEvent,
}

/// The phase after `event`.
///
/// # Errors
/// [`IllegalTransition`] where the table has no entry: an ended action never changes.
pub(crate) fn next(phase: StepPhase, event: ActionEvent) -> Result<StepPhase, IllegalTransition> {
    use ActionEvent as E;
    use StepPhase as P;
    match (phase, event) {
        (P::Pending, E::Started) => Ok(P::Running),
        (P::Pending, E::Skipped) => Ok(P::Skipped),
        // An action that cannot even be rendered fails without having started.
        (P::Pending, E::Failed) => Ok(P::Failed),
        (P::Running, E::Progressed | E::Retried) => Ok(P::Running),
        (P::Running, E::Succeeded) => Ok(P::Succeeded),
        (P::Running, E::Failed) => Ok(P::Failed),
        (P::Pending, E::Progressed | E::Retried | E::Succeeded)
        | (P::Running, E::Started | E::Skipped)
        | (
            P::Succeeded | P::Failed | P::Skipped,
            E::Started | E::Progressed | E::Retried | E::Succeeded | E::Failed | E::Skipped,
        ) => Err(IllegalTransition { phase, event }),
    }
}
