//! The line between a process and the API server.

use std::{collections::VecDeque, convert::Infallible, io, time::Duration};

use drplan_operator::contact::Contact;
use futures::stream;
use http::Response;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use kube::{
    Client,
    client::{Body as HttpBody, ClientBuilder},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, sleep_until},
};
use tower::BoxError;

use crate::{
    api::{Answer, Body, Delivery, Request, discovery},
    dice::Dice,
    plan::NAMESPACE,
    process::Life,
    scenario::{Blind, Ill},
    world::pass,
};

/// The client of a process.
pub(crate) fn client(life: &Life, contact: &Contact) -> Client {
    let life = life.clone();
    let service = tower::service_fn(move |request| exchange(life.clone(), request));
    drplan_operator::client::client(ClientBuilder::new(service, NAMESPACE), contact)
}

/// A client whose every request is answered at once by nobody: for what tells people and decides nothing.
pub(crate) fn client_for_events() -> Client {
    let service = tower::service_fn(|_: http::Request<HttpBody>| async {
        let event = Bytes::from_static(b"{\"metadata\":{}}");
        Ok::<_, Infallible>(Response::new(HttpBody::from(event)))
    });
    Client::new(service, NAMESPACE)
}

type LineBody = UnsyncBoxBody<Bytes, io::Error>;

async fn exchange(life: Life, request: http::Request<HttpBody>) -> Result<Response<LineBody>, BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await?.to_vec();
    if life.process.is_dead() {
        return std::future::pending().await;
    }
    let world = &life.world;
    let served = match head.uri.path() {
        "/version" => Some(VERSION.to_owned()),
        path => discovery(path),
    };
    let request = match Request::read(&head, body).filter(|_| served.is_none()) {
        Some(request) => Some(request),
        None if served.is_some() => None,
        None => {
            world.violate(format!("nobody serves {} {}", head.method, head.uri));
            return Err("nobody serves that".into());
        }
    };
    let asked = tokio::time::Instant::now();
    let mut passage = world.passage();
    passage.to += world.slowness(life.operator);
    if let Some(request) = &request {
        world.sent(&life, request);
    }
    let shown = || {
        request
            .as_ref()
            .map_or_else(|| format!("get {}", head.uri.path()), Request::shown)
    };
    world.tell(|| match passage.ill {
        Some(ill) => format!("{} asks #{}: {} ({ill:?})", life.name, passage.nth, shown()),
        None => format!("{} asks #{}: {}", life.name, passage.nth, shown()),
    });
    let mut dice = Dice::of(world.scenario.seed, &[4, passage.nth]);
    if let Some(until) = world.cut_until(life.operator) {
        match dice.below(3) {
            0 => return std::future::pending().await,
            1 => return Err(broken()),
            _ => passage.to += until.saturating_duration_since(tokio::time::Instant::now()),
        }
    }
    match passage.ill {
        Some(Ill::Lost) => return std::future::pending().await,
        Some(Ill::Broken) => return Err(broken()),
        Some(Ill::Busy) => return Ok(response(&life, Answer::refusal(503, "ServiceUnavailable"))),
        Some(Ill::Late(millis)) => passage.to += Duration::from_millis(millis),
        Some(Ill::Slow(millis)) => passage.back += Duration::from_millis(millis),
        Some(Ill::Unanswered | Ill::Cut | Ill::Error) | None => {}
    }
    let answer = arrive(&life, request, served, passage.to).await;
    match passage.ill {
        Some(Ill::Unanswered) => return std::future::pending().await,
        Some(Ill::Cut) => return Err(broken()),
        Some(Ill::Error) => return Ok(response(&life, Answer::refusal(500, "InternalError"))),
        _ => {}
    }
    pass(passage.back).await;
    if let Some(until) = world.cut_until(life.operator) {
        match dice.below(3) {
            0 => return std::future::pending().await,
            1 => return Err(broken()),
            _ => sleep_until(until).await,
        }
    }
    if let Some(execution) = &answer.proves {
        world.proved(&life.name, execution, asked);
    }
    Ok(response(&life, answer))
}

/// What the API server answers, after the time that the request is on its way; it arrives whether the process lives or
/// not.
async fn arrive(life: &Life, request: Option<Request>, served: Option<String>, time: Duration) -> Answer {
    let life = life.clone();
    let name = life.name.clone();
    let answer = move || match request {
        Some(request) => life.world.answer(&name, &request),
        None => Answer::document(served.unwrap_or_default()),
    };
    if time.is_zero() {
        return answer();
    }
    let (sender, given) = oneshot::channel();
    tokio::spawn(async move {
        sleep(time).await;
        let _ = sender.send(answer());
    });
    match given.await {
        Ok(answer) => answer,
        Err(_) => std::future::pending().await,
    }
}

const VERSION: &str = r#"{"major":"1","minor":"36","gitVersion":"v1.36.0","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;

fn broken() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke").into()
}

fn response(life: &Life, answer: Answer) -> Response<LineBody> {
    let body = match answer.body {
        Body::Text(text) => Full::new(text).map_err(|never| match never {}).boxed_unsync(),
        Body::Events(events) => StreamBody::new(watched(life.clone(), events)).boxed_unsync(),
    };
    Response::builder().status(answer.code).body(body).unwrap()
}

/// The events of a watch as they come through the line.
fn watched(
    life: Life,
    events: mpsc::UnboundedReceiver<Delivery>,
) -> impl futures::Stream<Item = io::Result<Frame<Bytes>>> {
    let again = VecDeque::new();
    stream::unfold(
        (life, events, again),
        |(life, mut events, mut again)| async move {
            loop {
                if let Some(line) = again.pop_front() {
                    return Some((Ok(Frame::data(line)), (life, events, again)));
                }
                let Delivery { line } = events.recv().await?;
                let (blind, late) = life.world.next_event(life.operator);
                if let Some(until) = life.world.cut_until(life.operator) {
                    sleep_until(until).await;
                    events.close();
                    let error = io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke");
                    return Some((Err(error), (life, events, again)));
                }
                if let Some(blind) = blind {
                    life.world.tell(|| format!("{} watches: {blind:?}", life.name));
                }
                pass(late).await;
                match blind {
                    Some(Blind::Lost) => continue,
                    Some(Blind::Twice) => again.push_back(line.clone()),
                    Some(Blind::Late(millis)) => sleep(Duration::from_millis(millis)).await,
                    Some(Blind::Closed) => return None,
                    None => {}
                }
                return Some((Ok(Frame::data(line)), (life, events, again)));
            }
        },
    )
}
