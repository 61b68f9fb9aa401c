//! Decides whether a request passes. What a refusal rests on is read live, never from the index.

mod deletion;
pub mod execution;
pub mod plan;
pub mod workflow;

use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow};
use kube::{
    Resource,
    core::admission::{AdmissionRequest, Operation},
};
use serde_json::Value;

use crate::{
    admission::answer::{Verdict, WhenUnjudged},
    context::Context,
    metrics::Outcome,
    raw::Raw,
    store::StoreError,
};

/// A kind that admission judges.
pub trait Judged: Resource + Sized + Send + Sync + 'static {
    /// What happens to a creation or change that cannot be judged.
    const WHEN_UNJUDGED: WhenUnjudged;

    /// Judges an object that is created.
    ///
    /// # Errors
    /// [`StoreError`] if something that the verdict rests on cannot be read now.
    fn created(
        context: &Context,
        new: &Raw<Self>,
    ) -> impl Future<Output = Result<Verdict, StoreError>> + Send;

    /// Judges a change of the spec of an object that lives.
    ///
    /// # Errors
    /// [`StoreError`] if something that the verdict rests on cannot be read now.
    fn changed(
        context: &Context,
        old: &Raw<Self>,
        new: &Raw<Self>,
    ) -> impl Future<Output = Result<Verdict, StoreError>> + Send;

    /// Judges a deletion in a namespace that lives.
    ///
    /// # Errors
    /// [`StoreError`] if something that the verdict rests on cannot be read now.
    fn deleted(
        context: &Context,
        old: &Raw<Self>,
    ) -> impl Future<Output = Result<Verdict, StoreError>> + Send;
}

/// Judges `request`, and says whether it could be judged.
pub async fn judge<K: Judged>(context: &Context, request: &AdmissionRequest<Raw<K>>) -> (Verdict, Outcome) {
    let is_deletion = request.operation == Operation::Delete;
    let when = if is_deletion {
        WhenUnjudged::Allow
    } else {
        K::WHEN_UNJUDGED
    };
    let verdict = match (&request.operation, &request.old_object, &request.object) {
        (Operation::Create, _, Some(new)) => K::created(context, new).await,
        // Finalizers and annotations of whatever is stored can be changed.
        (Operation::Update, Some(old), Some(new)) if passes_unseen(old, new) => Ok(Verdict::allow()),
        (Operation::Update, Some(old), Some(new)) => K::changed(context, old, new).await,
        (Operation::Delete, Some(old), _) => deleted(context, old).await,
        (Operation::Create | Operation::Update | Operation::Delete | Operation::Connect, _, _) => {
            Ok(Verdict::allow())
        }
    };
    match verdict {
        Ok(verdict) => {
            let outcome = match &verdict {
                Verdict::Allow(_) => Outcome::Allowed,
                Verdict::Refuse(_) => Outcome::Refused,
            };
            (verdict, outcome)
        }
        Err(error) => {
            let (namespace, name) = (request.namespace.as_deref(), request.name.as_str());
            tracing::warn!(namespace, name, error = %error, "a request could not be judged");
            (Verdict::unjudged(&error, when), Outcome::Unjudged)
        }
    }
}

fn passes_unseen<K>(old: &Raw<K>, new: &Raw<K>) -> bool {
    old.spec == new.spec || new.metadata.deletion_timestamp.is_some()
}

async fn deleted<K: Judged>(context: &Context, old: &Raw<K>) -> Result<Verdict, StoreError> {
    let namespace = old.metadata.namespace.as_deref().unwrap_or_default();
    if old.metadata.deletion_timestamp.is_some() || deletion::namespace_ends(context, namespace).await? {
        return Ok(Verdict::allow());
    }
    K::deleted(context, old).await
}

/// The text at `pointer` of a status; empty if there is none.
fn text<'a>(status: &'a Value, pointer: &str) -> &'a str {
    status
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

impl Judged for DRWorkflow {
    const WHEN_UNJUDGED: WhenUnjudged = WhenUnjudged::Refuse;

    async fn created(_: &Context, new: &Raw<Self>) -> Result<Verdict, StoreError> {
        Ok(workflow::judge(new))
    }

    async fn changed(_: &Context, _: &Raw<Self>, new: &Raw<Self>) -> Result<Verdict, StoreError> {
        Ok(workflow::judge(new))
    }

    async fn deleted(context: &Context, old: &Raw<Self>) -> Result<Verdict, StoreError> {
        deletion::workflow(context, old).await
    }
}

impl Judged for DRPlan {
    const WHEN_UNJUDGED: WhenUnjudged = WhenUnjudged::Refuse;

    async fn created(context: &Context, new: &Raw<Self>) -> Result<Verdict, StoreError> {
        plan::judge(context, new).await
    }

    async fn changed(context: &Context, _: &Raw<Self>, new: &Raw<Self>) -> Result<Verdict, StoreError> {
        plan::judge(context, new).await
    }

    async fn deleted(context: &Context, old: &Raw<Self>) -> Result<Verdict, StoreError> {
        deletion::plan(context, old).await
    }
}

impl Judged for DRPlanExecution {
    const WHEN_UNJUDGED: WhenUnjudged = WhenUnjudged::Allow;

    async fn created(context: &Context, new: &Raw<Self>) -> Result<Verdict, StoreError> {
        execution::created(context, new).await
    }

    async fn changed(_: &Context, old: &Raw<Self>, new: &Raw<Self>) -> Result<Verdict, StoreError> {
        Ok(execution::changed(old, new))
    }

    async fn deleted(context: &Context, old: &Raw<Self>) -> Result<Verdict, StoreError> {
        deletion::execution(context, old).await
    }
}
