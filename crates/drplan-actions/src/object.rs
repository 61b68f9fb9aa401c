//! Objects of any kind: looked at, created, applied, patched, deleted.
//!
//! Every function here may be called again for the same effect, by this process or its successor, at any time: what
//! the objects themselves tell decides what is left to do. Reads are repeated until the deadline; of the writes only
//! those that cannot do harm twice.

mod apply;
mod conflict;
mod create;
mod delete;
pub(crate) mod exchange;
mod gone;
mod kinds;
mod live;
mod look;
mod manifest;
mod patch;
mod place;
mod quotation;
mod reading;
mod secret;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use drplan_api::{Time, status::ObjectRef};
use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind},
    object::{ObjectCommand, ObjectOutcome, WriteHow},
    rights::{Kind, Served},
};
use kube::Client;

pub(crate) use kinds::Kinds;

use crate::deadline::Deadline;
use place::Place;

/// How long a kind that is not served is asked for again: an API server serves a CustomResourceDefinition that the
/// action before installed a moment after it has accepted it, one of several API servers after 5 s.
const KIND_GRACE: Duration = Duration::from_secs(10);
/// The pause between two such questions.
const KIND_PAUSE: Duration = Duration::from_millis(500);

/// What every look at objects needs.
pub(crate) struct Access {
    /// The identity's client.
    pub(crate) client: Client,
    pub(crate) kinds: Kinds,
}

/// How long discovery is awaited where nothing but knowledge depends on it.
const DISCOVERY_TIME: Duration = Duration::from_secs(5);

/// What `kind` is served as; none if it is not.
pub(crate) async fn served(client: &Client, kinds: &Kinds, kind: &Kind) -> Result<Option<Served>, Failure> {
    // It becomes part of a path, and the operator is asked whose rights are larger.
    if !place::is_api_version(&kind.api_version) {
        return Ok(None);
    }
    let target = ObjectRef {
        api_version: Some(kind.api_version.clone()),
        kind: Some(kind.kind.clone()),
        ..ObjectRef::default()
    };
    match kinds.find(client, &target, Deadline::after(DISCOVERY_TIME)).await {
        Ok(found) => Ok(Some(Served {
            resource: found.resource.plural,
            namespaced: found.namespaced,
        })),
        Err(Stop::NotServed(_)) => Ok(None),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// Why a command ends without an outcome.
enum Stop {
    /// It did not work.
    Failed(Failure),
    /// The API server does not serve the kind at the path it was sought at: this message.
    NotServed(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Does what `command` says, for the action of `identity`.
pub(crate) async fn perform(
    access: &Access,
    identity: &EffectIdentity,
    command: &ObjectCommand,
) -> Result<ObjectOutcome, Failure> {
    let (target, deadline) = whereto(command);
    let deadline = Deadline::at(deadline);
    let mut grace = None;
    loop {
        let message = match attempt(access, identity, command, deadline).await {
            Ok(outcome) => return Ok(outcome),
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::NotServed(message)) => message,
        };
        // The path of a kind changes when its CustomResourceDefinition is made anew.
        access.kinds.forget(target);
        let grace = *grace.get_or_insert_with(|| Deadline::after(KIND_GRACE));
        if grace.passed() || deadline.passed() {
            return Err(Failure::new(FailureKind::Invalid, message));
        }
        tokio::time::sleep(KIND_PAUSE.min(deadline.remaining())).await;
    }
}

async fn attempt(
    access: &Access,
    identity: &EffectIdentity,
    command: &ObjectCommand,
    deadline: Deadline,
) -> Result<ObjectOutcome, Stop> {
    let place = Place::find(access, whereto(command).0, deadline).await?;
    match command {
        ObjectCommand::Look(look) => look::look(&place, look, deadline).await,
        ObjectCommand::Delete(deletion) => delete::delete(&place, deletion, deadline).await,
        ObjectCommand::Write(write) => match &write.how {
            WriteHow::Create(object) => create::create(&place, identity, write, object, deadline).await,
            WriteHow::Apply { object, force } => {
                apply::apply(&place, identity, write, (object, *force), deadline).await
            }
            WriteHow::Patch { patch, kind } => {
                patch::patch(&place, identity, write, (patch, *kind), deadline).await
            }
        },
    }
}

/// Where `command` goes, and until when.
fn whereto(command: &ObjectCommand) -> (&ObjectRef, Time) {
    match command {
        ObjectCommand::Look(look) => (&look.target, look.deadline),
        ObjectCommand::Write(write) => (&write.target, write.deadline),
        ObjectCommand::Delete(deletion) => (&deletion.target, deletion.deadline),
    }
}
