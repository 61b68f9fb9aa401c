//! A world that a test plays: it gets the requests that would go to the network.

use std::sync::Arc;

use drplan_engine::effect::{Failure, FailureKind, HttpCall};
use futures::future::BoxFuture;
use http::{Request, Response};

use super::request::{Prepared, none, shown};

/// Answers a request, or says how it ends without an answer.
pub type World =
    Arc<dyn Fn(Request<String>) -> BoxFuture<'static, Result<Response<Vec<u8>>, FailureKind>> + Send + Sync>;

/// Sends `request` to `world`.
pub(super) async fn send(
    world: &World,
    call: &HttpCall,
    request: &Prepared,
) -> Result<reqwest::Response, Failure> {
    let mut sent = Request::new(request.body.clone().unwrap_or_default());
    *sent.method_mut() = request.method.clone();
    *sent.headers_mut() = request.headers.clone();
    *sent.uri_mut() = request
        .url
        .as_str()
        .parse()
        .map_err(|_| none(call, &request.url, "the URL is no URI"))?;
    let answer = world(sent).await.map_err(|kind| {
        let message = format!("{} {}: {kind:?}", call.method, shown(&request.url));
        Failure::new(kind, message)
    })?;
    Ok(answer.into())
}
