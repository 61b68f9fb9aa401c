//! HTTP calls: each sent once, answered or failed.

mod answer;
mod clients;
mod destinations;
mod failure;
mod request;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use drplan_engine::effect::{EffectIdentity, Failure, HttpCall, Outcome};
use reqwest::Url;

pub use destinations::{Destination, Destinations};

use clients::Clients;

/// How calls are sent: settings of the process.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Where calls may go.
    pub destinations: Destinations,
    /// The proxy of every call; variables of the environment are never read.
    pub proxy: Option<Url>,
}

/// Sends HTTP calls. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct HttpCaller {
    settings: Arc<HttpSettings>,
    clients: Arc<Clients>,
}

impl HttpCaller {
    /// A caller with these settings.
    pub fn new(settings: HttpSettings) -> Self {
        let settings = Arc::new(settings);
        Self {
            clients: Arc::new(Clients::new(settings.clone())),
            settings,
        }
    }

    /// Sends `call` once, within its timeout, and tells what came back.
    ///
    /// # Guarantees
    /// Every call has a connection of its own and is never sent again by a library: a request that a server may have
    /// seen is seen once. A status that means success counts once the answer is complete, or longer than is ever
    /// read; any other status counts at once.
    pub async fn call(&self, identity: &EffectIdentity, call: &HttpCall) -> Outcome {
        let result = async {
            let url = request::url(&call.url)?;
            self.settings
                .destinations
                .permit_literal(&url)
                .map_err(|refusal| request::none(call, &url, &refusal.to_string()))?;
            let client = self.clients.client(call, &url)?;
            let request = request::build(&client, identity, call, &url)?;
            let started = Instant::now();
            let timeout = Duration::from_millis(call.timeout.as_millis());
            let mut status = None;
            match tokio::time::timeout(timeout, exchange(&client, request, call, &mut status)).await {
                Ok(answer) => Ok(answer?.outcome(started.elapsed())),
                Err(_) => Err(failure::timed_out(call, &url, status)),
            }
        };
        result.await.unwrap_or_else(Outcome::Failed)
    }
}

/// Sends `request` and reads what is needed of the answer; `status` tells how far it came if that is cut off.
async fn exchange(
    client: &reqwest::Client,
    request: reqwest::Request,
    call: &HttpCall,
    status: &mut Option<u16>,
) -> Result<answer::Answer, Failure> {
    let url = request.url().clone();
    let response = client
        .execute(request)
        .await
        .map_err(|error| failure::of(call, &url, None, &error))?;
    let code = response.status().as_u16();
    if !succeeded(call, code) {
        return Err(answer::refusal(call, &url, &response));
    }
    *status = Some(code);
    let body = answer::read(response)
        .await
        .map_err(|error| failure::of(call, &url, Some(code), &error))?;
    Ok(answer::Answer {
        status_code: code,
        body: call.keep_body.then_some(body),
    })
}

/// Whether this status code means success.
fn succeeded(call: &HttpCall, code: u16) -> bool {
    match call.success_codes.as_slice() {
        [] => (200..300).contains(&code),
        codes => codes.contains(&code),
    }
}
