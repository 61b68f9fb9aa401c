//! Requests of the API server in, answers out.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State},
    http::StatusCode,
    routing::post,
};
use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow, GoDuration};
use kube::{
    Resource,
    core::{
        DynamicObject,
        admission::{AdmissionRequest, AdmissionResponse, AdmissionReview},
    },
};
use tokio::sync::Semaphore;

use super::{
    judge::{Judged, judge},
    stamp::Stamped,
};
use crate::{
    context::Context,
    metrics::{Asked, Kind, Outcome, Webhook},
    raw::Raw,
};

/// Bytes of a request: an object may have 1.5 MiB in etcd, and a change shows it twice.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Requests judged at once. The largest hold some 10 MiB of memory each, but those of the size that people write 0.1.
const REVIEWS_AT_ONCE: usize = 32;
/// What a request may take if it does not say so, as the configurations have it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long before the API server gives up an answer must be on its way.
const HEADROOM: Duration = Duration::from_millis(300);

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    context: Arc<Context>,
    places: Arc<Semaphore>,
}

/// No review: the API server goes by the failurePolicy.
type Failure = (StatusCode, String);

/// A kind by its name in metrics.
trait Counted {
    const KIND: Kind;
}

impl Counted for DRWorkflow {
    const KIND: Kind = Kind::Workflow;
}

impl Counted for DRPlan {
    const KIND: Kind = Kind::Plan;
}

impl Counted for DRPlanExecution {
    const KIND: Kind = Kind::Execution;
}

/// The paths that the configurations name: `/validate/<plural>` and `/stamp/<plural>`.
pub fn router(context: Arc<Context>) -> Router {
    let shared = Shared {
        context,
        places: Arc::new(Semaphore::new(REVIEWS_AT_ONCE)),
    };
    Router::new()
        .route("/validate/drworkflows", post(validate::<DRWorkflow>))
        .route("/validate/drplans", post(validate::<DRPlan>))
        .route("/validate/drplanexecutions", post(validate::<DRPlanExecution>))
        .route("/stamp/drplans", post(stamp::<DRPlan>))
        .route("/stamp/drplanexecutions", post(stamp::<DRPlanExecution>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

type Review = Json<AdmissionReview<DynamicObject>>;

async fn validate<K: Judged + Counted>(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Review, Failure> {
    let mut asked = asked::<K>(&shared, Webhook::Validate);
    in_time(&shared, patience(query.as_deref()), async {
        let request = read::<K>(&body)?;
        asked.about(&request.operation);
        let (verdict, outcome) = judge(&shared.context, &request).await;
        let review = verdict.response(&request).into_review();
        asked.answered(outcome);
        Ok(Json(review))
    })
    .await
}

async fn stamp<K: Stamped + Counted>(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Review, Failure> {
    let mut asked = asked::<K>(&shared, Webhook::Stamp);
    in_time(&shared, patience(query.as_deref()), async {
        let request = read::<K>(&body)?;
        asked.about(&request.operation);
        let mut response = AdmissionResponse::from(&request);
        let patch = request
            .object
            .as_ref()
            .map(|object| K::stamps(&request).patch(&object.metadata));
        if let Some(patch) = patch.filter(|patch| !patch.is_empty()) {
            let patch = serde_json::from_value(patch.into());
            let patched = patch
                .map_err(|error| failed(&error))
                .map(|patch| response.with_patch(patch))?;
            response = patched.map_err(|error| failed(&error))?;
        }
        asked.answered(Outcome::Allowed);
        Ok(Json(response.into_review()))
    })
    .await
}

fn asked<K: Counted>(shared: &Shared, webhook: Webhook) -> Asked<'_> {
    shared.context.metrics.webhooks.asked(webhook, K::KIND)
}

/// How long the API server waits, which it says as `timeout=5s`.
fn patience(query: Option<&str>) -> Duration {
    let mut fields = query.unwrap_or_default().split('&');
    let timeout = fields.find_map(|field| field.strip_prefix("timeout=")?.parse::<GoDuration>().ok());
    timeout.map_or(TIMEOUT, |timeout| Duration::from_millis(timeout.as_millis()))
}

async fn in_time<T>(
    shared: &Shared,
    patience: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let placed = async {
        // It is never closed.
        let _place = shared.places.acquire().await;
        answer.await
    };
    match tokio::time::timeout(patience.saturating_sub(HEADROOM), placed).await {
        Ok(answered) => answered,
        Err(_) => Err((
            StatusCode::GATEWAY_TIMEOUT,
            "the operator could not judge this in time; try again".to_owned(),
        )),
    }
}

fn read<K: Resource>(body: &[u8]) -> Result<AdmissionRequest<Raw<K>>, Failure> {
    let bad = |why: String| (StatusCode::BAD_REQUEST, why);
    let review: AdmissionReview<Raw<K>> =
        serde_json::from_slice(body).map_err(|error| bad(format!("is no AdmissionReview: {error}")))?;
    review
        .try_into()
        .map_err(|_| bad("is an AdmissionReview without a request".to_owned()))
}

fn failed(error: &dyn std::error::Error) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
