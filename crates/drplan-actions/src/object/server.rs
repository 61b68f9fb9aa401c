//! Requests about one object.

use std::time::Duration;

use drplan_api::canonical::PatchType;
use futures::{Stream, StreamExt};
use http::{HeaderValue, Request, header};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy, WatchParams},
    core::{
        DynamicObject, PartialObjectMeta, WatchEvent,
        params::GetParams,
        request::{Error as BuildError, Request as Requests},
    },
};
use serde_json::Value;

use super::{
    exchange::{Refusal, bounded, exchange},
    live::Live,
    place::Place,
};
use crate::ApiError;

/// Asks for metadata alone, so that contents are not even sent; servers that cannot do that answer with all.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9";

/// The path of all that is served of `api_version`.
pub(super) fn root(api_version: &str) -> String {
    match api_version.contains('/') {
        true => format!("/apis/{api_version}"),
        false => format!("/api/{api_version}"),
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
