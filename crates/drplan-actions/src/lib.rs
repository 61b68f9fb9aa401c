//! Performs and observes the effects of actions: HTTP calls, Jobs and Kubernetes objects.
//!
//! [`Performer::perform`] does one [`ActionEffect`] as one [`Identity`] and answers with one [`Outcome`]. Nothing
//! here decides whether anything is tried again, and nothing here writes a status: that is the engine's and the
//! shell's. Dropping a future of this crate stops the waiting and undoes nothing; performing the same effect again
//! finds what is there.

pub mod api_error;
pub mod clock;
mod deadline;
pub mod http;
pub mod identity;
mod job;
pub mod job_watch;
mod mask;
mod object;
mod sealed;
mod text;

use std::{collections::BTreeMap, time::Duration};

use drplan_api::status::ObjectRef;
use drplan_engine::{
    effect::{ActionEffect, Command, EffectIdentity, Failure, FailureKind, Outcome},
    object::{ObjectCommand, ObjectOutcome},
    rights::{Kind, Served},
};

use mask::Mask;

pub use api_error::ApiError;
#[cfg(feature = "fault-points")]
pub use http::World;
pub use http::{Destination, Destinations, HttpCaller, HttpProxy, HttpSettings, PinnedHost, Trusted};
pub use identity::{Identity, IdentityClients};
pub use job_watch::JobWatch;
pub use sealed::Opened;

/// Performs effects of actions. One for the process, shared by all runs.
#[derive(Clone)]
pub struct Performer {
    operator: kube::Client,
    identities: IdentityClients,
    http: HttpCaller,
    jobs: JobWatch,
    kinds: object::Kinds,
    relist: Duration,
}

impl Performer {
    /// Performs Kubernetes effects through `base`, impersonating from there, and HTTP calls through `http`.
    ///
    /// A Job that is waited for is read again at every notice of `jobs`, and every `relist` in case one was lost.
    ///
    /// # Assumptions
    /// `base` was made with `default_retry: false`: kube would send a request up to fifteen times more by itself
    /// on 429, 503 and 504. Nothing breaks if it does, since every request here may be repeated, but an attempt
    /// that the engine counts as one is then many.
    pub fn new(base: kube::Client, http: HttpCaller, jobs: JobWatch, relist: Duration) -> Self {
        Self {
            operator: base.clone(),
            identities: IdentityClients::new(base),
            http,
            jobs,
            kinds: object::Kinds::default(),
            relist,
        }
    }

    /// Reads what `effect` needs to be sent, values of Secrets and ConfigMaps, as `identity`; each time anew.
    ///
    /// # Errors
    /// Why a value cannot be read, or cannot stand where it should. Nothing was sent, and messages hold no value.
    pub async fn open(&self, identity: &Identity, effect: ActionEffect) -> Result<Opened, Failure> {
        let needs = match &effect.command {
            Command::Call(call) => call.sealed.is_some(),
            Command::Object(ObjectCommand::Write(write)) => write.sealed.is_some(),
            Command::CreateJob(_)
            | Command::AwaitJob(_)
            | Command::FindJob(_)
            | Command::StopJob(_)
            | Command::Object(ObjectCommand::Look(_) | ObjectCommand::Delete(_)) => false,
        };
        if !needs {
            return Ok(Opened::plain(effect));
        }
        let client = self
            .identities
            .client(identity)
            .map_err(|error| Failure::new(FailureKind::Render, error.to_string()))?;
        sealed::open(&client, identity, &effect).await
    }

    /// Does what `effect` says, as `identity`, and tells what became of it, without the values that were read for it.
    ///
    /// # Guarantees
    /// As [`Performer::perform`].
    pub async fn perform_opened(&self, identity: &Identity, opened: &Opened) -> Outcome {
        let Opened { effect, mask } = opened;
        let outcome = match &effect.command {
            Command::Call(call) => self.http.call(&effect.identity, call, mask).await,
            Command::CreateJob(_)
            | Command::AwaitJob(_)
            | Command::FindJob(_)
            | Command::StopJob(_)
            | Command::Object(_) => self.perform_for_api(identity, effect).await,
        };
        mask.hide_in_outcome(outcome)
    }

    /// Does what `effect` says, as `identity`, and tells what became of it.
    ///
    /// # Guarantees
    /// Performed twice, at once or after a crash, it makes no second Job; a call is sent each time, under the same
    /// `Idempotency-Key`. Messages are one line and hold no header, body, URL query or user name.
    pub async fn perform(&self, identity: &Identity, effect: &ActionEffect) -> Outcome {
        match self.open(identity, effect.clone()).await {
            Ok(opened) => self.perform_opened(identity, &opened).await,
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Does what asks the API server.
    async fn perform_for_api(&self, identity: &Identity, effect: &ActionEffect) -> Outcome {
        let client = match self.identities.client(identity) {
            Ok(client) => client,
            Err(error) => return Outcome::Failed(Failure::new(FailureKind::Render, error.to_string())),
        };
        let jobs = job::Access {
            client,
            watch: self.jobs.clone(),
            relist: self.relist,
        };
        let maker = job::Maker::of(effect);
        match &effect.command {
            Command::Call(call) => self.http.call(&effect.identity, call, &Mask::default()).await,
            Command::CreateJob(creation) => job::create(&jobs, &maker, creation).await,
            Command::AwaitJob(wait) => job::await_end(&jobs, &maker, wait).await,
            Command::FindJob(job) => job::find(&jobs, &maker, job).await,
            Command::StopJob(job) => job::stop(&jobs, &maker, job).await,
            Command::Object(command) => self.object(jobs.client, &effect.identity, command).await,
        }
    }

    async fn object(
        &self,
        client: kube::Client,
        identity: &EffectIdentity,
        command: &ObjectCommand,
    ) -> Outcome {
        let access = object::Access {
            client,
            kinds: self.kinds.clone(),
        };
        match object::perform(&access, identity, command).await {
            Ok(outcome) => Outcome::Object(outcome),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Does what `command` says to one object, as `identity`, for the action of `effect_identity`.
    ///
    /// # Errors
    /// Why it did not work. Messages are one line, name the object and hold nothing of a Secret.
    ///
    /// # Guarantees
    /// Performed again after a crash it finds what it made: nothing is created twice, and nothing deleted but the
    /// object that the command names. It ends at the command's deadline, at most two requests later.
    pub async fn perform_object(
        &self,
        identity: &Identity,
        effect_identity: &EffectIdentity,
        command: &ObjectCommand,
    ) -> Result<ObjectOutcome, Failure> {
        let client = self
            .identities
            .client(identity)
            .map_err(|error| Failure::new(FailureKind::Render, error.to_string()))?;
        let access = object::Access {
            client,
            kinds: self.kinds.clone(),
        };
        object::perform(&access, effect_identity, command).await
    }

    /// What each of `kinds` is served as, where it is. Asked as the operator itself: what exists is the same for all.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn served(&self, kinds: &[Kind]) -> Result<BTreeMap<Kind, Served>, Failure> {
        let mut served = BTreeMap::new();
        for kind in kinds {
            if let Some(found) = object::served(&self.operator, &self.kinds, kind).await? {
                served.insert(kind.clone(), found);
            }
        }
        Ok(served)
    }

    /// Lets Kubernetes delete the ended `job` after `seconds`, written as the action's `field_manager`; to be called once its result is stored.
    ///
    /// # Errors
    /// The API server's refusal, also if another Job has that name now. Nothing depends on it: log it.
    pub async fn set_ttl(
        &self,
        identity: &Identity,
        job: &ObjectRef,
        field_manager: &str,
        seconds: i32,
    ) -> Result<(), ApiError> {
        let client = self
            .identities
            .client(identity)
            .map_err(|error| ApiError::refused(error.to_string()))?;
        job::set_ttl(&client, job, field_manager, seconds).await
    }
}
