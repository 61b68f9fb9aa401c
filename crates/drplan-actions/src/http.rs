//! HTTP calls: each sent once, answered or failed.

mod answer;
mod clients;
mod destinations;
mod failure;
mod pinned;
mod proxy;
mod redirect;
mod request;
mod resolver;
#[cfg(test)]
mod tests;
mod trusted;
#[cfg(feature = "fault-points")]
mod world;

use std::{sync::Arc, time::Duration};

use drplan_engine::effect::{EffectIdentity, Failure, HttpCall, Outcome};
use reqwest::Response;
use tokio::time::Instant;

pub use destinations::{BadDestination, Destination, Destinations};
pub use pinned::{BadPinnedHost, PinnedHost};
pub use proxy::{BadHttpProxy, HttpProxy};
pub use trusted::{BadTrusted, Trusted};
#[cfg(feature = "fault-points")]
pub use world::World;

use crate::mask::Mask;
use answer::Answer;
use clients::Clients;
use request::Prepared;
use resolver::Lookup;

/// How calls are sent: settings of the process.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Where calls may go.
    pub destinations: Destinations,
    /// Hosts with an address of the operator's choice; without effect on calls through a proxy, which looks names up
    /// itself. `destinations` holds for these addresses too.
    pub pinned: Vec<PinnedHost>,
    /// What every call trusts besides the system's certificates.
    pub trusted: Trusted,
    /// The proxy of every call; variables of the environment are never read.
    pub proxy: Option<HttpProxy>,
}

/// Sends HTTP calls. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct HttpCaller {
    settings: Arc<HttpSettings>,
    clients: Arc<Clients>,
    /// Answers instead of the network.
    #[cfg(feature = "fault-points")]
    world: Option<World>,
}

impl HttpCaller {
    /// A caller with these settings.
    pub fn new(settings: HttpSettings) -> Self {
        Self::looking_up(settings, Lookup::System)
    }

    fn looking_up(settings: HttpSettings, lookup: Lookup) -> Self {
        let settings = Arc::new(settings);
        Self {
            clients: Arc::new(Clients::new(settings.clone(), lookup)),
            settings,
            #[cfg(feature = "fault-points")]
            world: None,
        }
    }

    /// A caller with these settings whose requests go to `world` and not to the network.
    #[cfg(feature = "fault-points")]
    pub fn in_world(settings: HttpSettings, world: World) -> Self {
        Self {
            world: Some(world),
            ..Self::new(settings)
        }
    }

    /// Sends `call` once, within its timeout, and tells what came back; of a body without what `mask` hides.
    ///
    /// # Guarantees
    /// Every call has a connection of its own and is never sent again by a library: a request that a server may have
    /// seen is seen once. A status that means success counts once the answer is complete, or longer than is ever
    /// read; any other status counts at once.
    pub(crate) async fn call(&self, identity: &EffectIdentity, call: &HttpCall, mask: &Mask) -> Outcome {
        let result = async {
            let url = request::url(&call.url)?;
            let first = request::build(identity, call, &url)?;
            let started = Instant::now();
            let timeout = Duration::from_millis(call.timeout.as_millis());
            let mut status = None;
            match tokio::time::timeout(timeout, self.exchange(call, mask, first, &mut status)).await {
                Ok(answer) => Ok(answer?.outcome(started.elapsed())),
                Err(_) => Err(failure::timed_out(call, &url, status)),
            }
        };
        result.await.unwrap_or_else(Outcome::Failed)
    }

    /// Sends `first`, follows redirects if the author wants that, and reads what is needed of the last answer;
    /// `status` tells how far it came if that is cut off.
    async fn exchange(
        &self,
        call: &HttpCall,
        mask: &Mask,
        first: Prepared,
        status: &mut Option<u16>,
    ) -> Result<Answer, Failure> {
        let begin = first.url.clone();
        let mut request = first;
        let mut redirects = 0;
        let (response, end) = loop {
            let end = request.url.clone();
            let response = self.send(call, &request, redirects > 0).await?;
            match redirect::next(call, request, &response, redirects)? {
                Some(next) => request = next,
                None => break (response, end),
            }
            redirects += 1;
        };
        let code = response.status().as_u16();
        if !succeeded(call, code) {
            return Err(answer::refusal(call, &begin, &end, &response));
        }
        *status = Some(code);
        let body = answer::read(response, mask)
            .await
            .map_err(|error| failure::cut_off(call, &begin, code, &error))?;
        Ok(Answer {
            status_code: code,
            body: call.keep_body.then_some(body),
        })
    }

    /// Sends one request; `redirected`: an earlier one of this call was answered.
    async fn send(&self, call: &HttpCall, request: &Prepared, redirected: bool) -> Result<Response, Failure> {
        let url = &request.url;
        let unsent = |failure: Failure| failure::after_redirect(failure, redirected);
        let destinations = &self.settings.destinations;
        let (permit, pinned) = match self.settings.proxy {
            Some(_) => (destinations.permit_by_proxy(url), Vec::new()),
            None => (
                destinations.permit_written(url),
                pinned::addresses(&self.settings.pinned, url),
            ),
        };
        permit.map_err(|refusal| unsent(request::none(call, url, &refusal.to_string())))?;
        #[cfg(feature = "fault-points")]
        if let Some(world) = &self.world {
            return world::send(world, call, request).await.map_err(unsent);
        }
        let is_pinned = !pinned.is_empty();
        let client = self.clients.client(call, url, pinned).map_err(unsent)?;
        let sendable = if is_pinned {
            request.for_pinned_client(&client)
        } else {
            request.for_client(&client)
        };
        let sendable = sendable.map_err(|_| unsent(request::none(call, url, "the request is not valid")))?;
        client
            .execute(sendable)
            .await
            .map_err(|error| unsent(failure::of(call, url, &error)))
    }
}

/// Whether this status code means success.
fn succeeded(call: &HttpCall, code: u16) -> bool {
    match call.success_codes.as_slice() {
        [] => (200..300).contains(&code),
        codes => codes.contains(&code),
    }
}
