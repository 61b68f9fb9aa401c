//! Answers that are lost on the way.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use drplan_api::canonical::PatchType;
use drplan_engine::{
    effect::FailureKind,
    object::{Before, Deletion},
};
use drplan_testkit::{Direction, Proxy, ProxyMode, TestNamespace, object_until};
use http::{Method, Request};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, client::Body};
use serde_json::json;
use tower::BoxError;

use super::{Action, Somebody, deleted, failed, with, written};
use crate::{attempt::in_namespace, faults::client_through};

/// Sends what `action` sends while no answer comes through `proxy`, and breaks its connections once `done` sees the
/// effect.
async fn unanswered<T>(
    t: &TestNamespace,
    proxy: &Proxy,
    action: impl Future<Output = T>,
    what: &str,
    done: impl FnMut(Option<&ConfigMap>) -> Option<()>,
) -> anyhow::Result<T> {
    proxy.set(ProxyMode::Hang(Direction::ToClient)).await?;
    let break_connection = async {
        object_until(&t.api::<ConfigMap>(), "settings", what, done).await?;
        proxy.set(ProxyMode::Cut).await?;
        proxy.set(ProxyMode::Pass).await
    };
    let (result, broken) = tokio::join!(action, break_connection);
    broken?;
    Ok(result)
}

#[tokio::test]
async fn a_creation_that_was_not_answered_is_found() -> anyhow::Result<()> {
    in_namespace("lost-create", async |t| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let action = Action::through(t, &client_through(t, &proxy).await?);
        // A connection that is open and a kind that is known, so that the creation gets through.
        action
            .look(false, &[])
            .await
            .map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        let creation = action.create(with("k", "v"));
        let created = unanswered(t, &proxy, creation, "exists", |map| map.map(|_| ())).await?;
        let (uid, created) = written(created)?;
        assert_eq!(
            (Somebody::new(t).sees().await?.metadata.uid, created),
            (Some(uid), true)
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_patch_that_was_not_answered_may_be_repeated_unless_that_could_do_harm() -> anyhow::Result<()> {
    in_namespace("lost-patch", async |t| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let action = Action::through(t, &client_through(t, &proxy).await?);
        Somebody::new(t).makes("k", "v").await?;
        let json_patch = json!([{"op": "add", "path": "/data/b", "value": "v"}]);
        let cases = [
            (with("a", "v"), PatchType::Merge, "a", FailureKind::ApiUnavailable),
            (json_patch, PatchType::Json, "b", FailureKind::OutcomeUnknown),
        ];
        for (patch, kind, key, expect) in cases {
            action
                .look(false, &[])
                .await
                .map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
            let patching = action.patch(patch, kind);
            let is_patched = |map: Option<&ConfigMap>| map?.data.as_ref()?.get(key).map(|_| ());
            failed(
                unanswered(t, &proxy, patching, "is patched", is_patched).await?,
                expect,
            )?;
        }
        Ok(())
    })
    .await
}

/// A client that loses the answer to the first request of this method, once it is complete.
fn losing(client: &Client, method: Method) -> Client {
    let (client, lost) = (client.clone(), Arc::new(AtomicBool::new(false)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, lost) = (client.clone(), lost.clone());
        let is_lost = request.method() == method && !lost.swap(true, Ordering::Relaxed);
        async move {
            let answer = client.send(request).await?;
            match is_lost {
                true => Err(BoxError::from(std::io::Error::from(
                    std::io::ErrorKind::ConnectionReset,
                ))),
                false => Ok(answer),
            }
        }
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn an_apply_that_was_not_answered_made_what_was_absent() -> anyhow::Result<()> {
    in_namespace("lost-apply", async |t| {
        let action = Action::through(t, &losing(&t.client, Method::PATCH));
        let (uid, created) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        assert_eq!(
            (Somebody::new(t).sees().await?.metadata.uid, created),
            (Some(uid), true)
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_apply_that_was_not_answered_is_sent_again_where_the_object_does_not_tell() -> anyhow::Result<()> {
    in_namespace("lost-apply-found", async |t| {
        let somebody = Somebody::new(t);
        let theirs = somebody.makes("k", "theirs").await?;
        let action = Action::through(t, &losing(&t.client, Method::PATCH));
        let applied = action
            .apply(with("ours", "v"), Before::Present(theirs.clone()))
            .await;
        assert_eq!(written(applied)?, (theirs, false));
        assert_eq!(somebody.reads().await?["ours"], "v");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deletion_that_was_not_answered_has_deleted() -> anyhow::Result<()> {
    in_namespace("lost-delete", async |t| {
        let somebody = Somebody::new(t);
        let uid = somebody.makes("k", "v").await?;
        let action = Action::through(t, &losing(&t.client, Method::DELETE));
        assert_eq!(deleted(action.delete(Some(&uid), true).await)?, Deletion::Deleted);
        assert!(somebody.maps.get_opt("settings").await?.is_none());
        Ok(())
    })
    .await
}
