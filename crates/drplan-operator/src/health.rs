//! What a Pod's probes ask: whether the process lives, and whether its caches are warm.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;

/// Whether the caches are warm. Once ready it stays so: an API server that is away is nothing a restart would mend.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    ready: Arc<AtomicBool>,
}

impl Readiness {
    /// Says that the caches are warm.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether [`Self::set_ready`] was called.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

/// Answers `/healthz` and `/readyz` until it is dropped: a process that drains is still alive.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, readiness: Readiness) -> io::Result<()> {
    axum::serve(listener, router(readiness)).await
}

fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| std::future::ready("ok")))
        .route(
            "/readyz",
            get(|State(readiness): State<Readiness>| std::future::ready(ready(&readiness))),
        )
        .with_state(readiness)
}

fn ready(readiness: &Readiness) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    use super::*;

    async fn ask(readiness: &Readiness, path: &str) -> (u16, String) {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let response = router(readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_lives_from_the_start_and_is_ready_once_it_says_so() {
        let readiness = Readiness::default();
        assert_eq!(ask(&readiness, "/healthz").await, (200, "ok".to_owned()));
        assert_eq!(ask(&readiness, "/readyz").await, (503, "starting".to_owned()));
        readiness.clone().set_ready();
        assert_eq!(ask(&readiness, "/readyz").await, (200, "ok".to_owned()));
        assert_eq!(ask(&readiness, "/metrics").await.0, 404);
    }
}
