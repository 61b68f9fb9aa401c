//! Requests about objects, each bounded in time and sent once: a kube client by itself waits for ever, logs contents
//! that it cannot read, and does not tell 201 from 200.

use std::time::Duration;

use drplan_api::canonical::PatchType;
use futures::{Stream, StreamExt};
use http::{HeaderValue, Request, header};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy, WatchParams},
    client::Body,
    core::{
        DynamicObject, PartialObjectMeta, Status, WatchEvent,
        params::GetParams,
        request::{Error as BuildError, Request as Requests},
    },
};
use serde_json::Value;

use super::{
    Stop,
    conflict::{FieldConflict, conflicts},
    live::Live,
    place::Place,
    secret,
};
use crate::ApiError;

/// The longest wait for one answer. The API server itself gives up after 60 s; a healthy one answers within one
/// (Kubernetes' own objective), so more than this is a dead connection.
const ANSWER_SECONDS_MAX: u64 = 30;

/// Asks for metadata alone, so that contents are not even sent; servers that cannot do that answer with all.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9";

/// Why a request did not work.
pub(super) struct Refusal {
    pub(super) error: ApiError,
    /// The fields that other managers hold, if it was refused for them.
    pub(super) conflicts: Vec<FieldConflict>,
    /// Nothing is served at this path: the kind is gone, or was made anew under another plural.
    unserved: Option<String>,
    /// The reason in one word, such as `NotFound`.
    reason: String,
}

impl Refusal {
    /// The end of an attempt to do `what`.
    pub(super) fn stop(self, what: &str) -> Stop {
        match self.unserved {
            Some(path) => Stop::NotServed(format!(
                "{what}: the API server serves nothing at {path}: install the CustomResourceDefinition or correct \
                 kind and apiVersion"
            )),
            None => Stop::Failed(self.error.failure(what)),
        }
    }

    /// Whether there is no such object, or no such namespace.
    pub(super) fn is_not_found(&self) -> bool {
        self.error.code == Some(404) && self.unserved.is_none() && self.reason == "NotFound"
    }

    fn of(error: ApiError) -> Self {
        Self {
            error,
            conflicts: Vec::new(),
            unserved: None,
            reason: String::new(),
        }
    }
}

/// The path of all that is served of `api_version`.
pub(super) fn root(api_version: &str) -> String {
    match api_version.contains('/') {
        true => format!("/apis/{api_version}"),
        false => format!("/api/{api_version}"),
    }
}

/// The document at `path`, none if nothing is there.
pub(super) async fn document<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    patience: Duration,
) -> Result<Option<T>, Refusal> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(BuildError::BuildRequest);
    match exchange(client, request, patience, false).await {
        Ok((_, body)) => {
            let read = serde_json::from_value(body);
            read.map(Some).map_err(|_| Refusal::of(ApiError::unreadable()))
        }
        Err(refusal) if refusal.error.code == Some(404) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

impl Place {
    /// Reads what stands here, with its contents if `whole`.
    pub(super) async fn get(&self, whole: bool, patience: Duration) -> Result<Option<Live>, Refusal> {
        let requests = self.requests();
        let params = GetParams::default();
        let request = match whole {
            true => requests.get(&self.name, &params),
            false => requests.get_metadata(&self.name, &params).map(metadata_only),
        };
        match self.send(request, patience).await {
            Ok((_, live)) => Ok(Some(live)),
            Err(refusal) if refusal.is_not_found() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Creates `object` here.
    pub(super) async fn post(
        &self,
        object: &Value,
        field_manager: &str,
        patience: Duration,
    ) -> Result<Live, Refusal> {
        let params = PostParams {
            field_manager: Some(field_manager.to_owned()),
            ..PostParams::default()
        };
        let request = self.requests().create(&params, object.to_string().into_bytes());
        let (_, live) = self.send(request.map(metadata_only), patience).await?;
        Ok(live)
    }

    /// Applies `object` here by server-side apply; tells whether that made it.
    pub(super) async fn apply(
        &self,
        object: &Value,
        field_manager: &str,
        force: bool,
        patience: Duration,
    ) -> Result<(bool, Live), Refusal> {
        let params = PatchParams {
            field_manager: Some(field_manager.to_owned()),
            force,
            ..PatchParams::default()
        };
        let request = self.requests().patch(&self.name, &params, &Patch::Apply(object));
        let (code, live) = self.send(request.map(metadata_only), patience).await?;
        Ok((code == 201, live))
    }

    /// Sends `patch` as it is.
    pub(super) async fn patch(
        &self,
        patch: &Value,
        kind: PatchType,
        field_manager: &str,
        patience: Duration,
    ) -> Result<Live, Refusal> {
        let params = PatchParams {
            field_manager: Some(field_manager.to_owned()),
            ..PatchParams::default()
        };
        let content_type = HeaderValue::from_static(match kind {
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Json => "application/json-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
        });
        let request = self.requests().patch(&self.name, &params, &Patch::Merge(patch));
        let request = request.map(|mut request| {
            request.headers_mut().insert(header::CONTENT_TYPE, content_type);
            metadata_only(request)
        });
        let (_, live) = self.send(request, patience).await?;
        Ok(live)
    }

    /// Deletes what stands here if it is the object with this UID.
    pub(super) async fn delete(&self, uid: &str, patience: Duration) -> Result<(), Refusal> {
        let params = DeleteParams {
            propagation_policy: Some(self.propagation()),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let request = self.requests().delete(&self.name, &params).map(metadata_only);
        exchange(&self.client, request, patience, self.is_secret())
            .await
            .map(drop)
    }

    /// What becomes of what the object owns.
    ///
    /// A Job goes after its Pods, so that whoever sees it gone knows that nothing of it runs. Everything else goes at
    /// once and what it owns after it: waiting for that would take up to half a minute for kinds that the garbage
    /// collector does not know yet, and for ever where one of the owned is held. Never left to the kind, for the
    /// default of some (Jobs of old, third-party ones) is to leave what they own behind.
    fn propagation(&self) -> PropagationPolicy {
        match (self.resource.group.as_str(), self.resource.kind.as_str()) {
            ("batch", "Job") => PropagationPolicy::Foreground,
            _ => PropagationPolicy::Background,
        }
    }

    /// Watches what stands here, from now on.
    pub(super) async fn watch(
        &self,
        patience: Duration,
    ) -> Result<
        impl Stream<Item = kube::Result<WatchEvent<PartialObjectMeta<DynamicObject>>>> + use<>,
        ApiError,
    > {
        let objects: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &self.resource),
            None => Api::all_with(self.client.clone(), &self.resource),
        };
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .disable_bookmarks();
        match tokio::time::timeout(bounded(patience), objects.watch_metadata(&params, "")).await {
            Ok(Ok(events)) => Ok(events.boxed()),
            Ok(Err(error)) => Err(ApiError::of(&error)),
            Err(_) => Err(ApiError::timed_out(bounded(patience))),
        }
    }

    fn requests(&self) -> Requests {
        let mut path = root(&self.resource.api_version);
        if let Some(namespace) = &self.namespace {
            path += &format!("/namespaces/{namespace}");
        }
        Requests::new(format!("{path}/{}", self.resource.plural))
    }

    async fn send(
        &self,
        request: Result<Request<Vec<u8>>, BuildError>,
        patience: Duration,
    ) -> Result<(u16, Live), Refusal> {
        let (code, object) = exchange(&self.client, request, patience, self.is_secret()).await?;
        let live = Live::of(object).ok_or_else(|| Refusal::of(ApiError::unreadable()))?;
        Ok((code, live))
    }
}

/// `request`, answered with metadata alone.
fn metadata_only(mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
    request
        .headers_mut()
        .insert(header::ACCEPT, HeaderValue::from_static(METADATA_ONLY));
    request
}

/// Sends `request` and tells the code and the body of the answer, if it is no refusal. `secret`: refusals may quote
/// what must not be told.
async fn exchange(
    client: &Client,
    request: Result<Request<Vec<u8>>, BuildError>,
    patience: Duration,
    secret: bool,
) -> Result<(u16, Value), Refusal> {
    let request = request.map_err(|error| Refusal::of(ApiError::refused(error.to_string())))?;
    let path = request.uri().path().to_owned();
    let answer = async {
        let response = client.send(request.map(Body::from)).await?;
        let (parts, body) = response.into_parts();
        Ok((parts, body.collect_bytes().await?))
    };
    let patience = bounded(patience);
    let (parts, body) = match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error: kube::Error| Refusal::of(ApiError::of(&error)))?,
        Err(_) => return Err(Refusal::of(ApiError::timed_out(patience))),
    };
    let code = parts.status.as_u16();
    let json = serde_json::from_slice::<Value>(&body).ok();
    if parts.status.is_success() {
        return match json {
            Some(object) => Ok((code, object)),
            None => Err(Refusal::of(ApiError::unreadable())),
        };
    }
    let status = json
        .filter(|json| json["kind"] == "Status")
        .and_then(|json| serde_json::from_value::<Status>(json).ok());
    let unserved = (code == 404 && status.is_none()).then_some(path);
    let status = status.unwrap_or_else(|| Status::failure(&String::from_utf8_lossy(&body), ""));
    let status = if secret {
        secret::without_contents(status)
    } else {
        status
    };
    let mut refusal = Refusal {
        conflicts: conflicts(&status),
        reason: status.reason.clone(),
        unserved,
        error: ApiError::of(&kube::Error::Api(status.with_code(code).boxed())),
    };
    // A server that sheds load says so in a header alone.
    let seconds = parts.headers.get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|seconds| seconds.to_str().ok()?.parse::<u64>().ok());
    refusal.error.retry_after_millis = refusal
        .error
        .retry_after_millis
        .or(seconds.map(|seconds| seconds.saturating_mul(1000)));
    Err(refusal)
}

fn bounded(patience: Duration) -> Duration {
    patience.min(Duration::from_secs(ANSWER_SECONDS_MAX))
}
