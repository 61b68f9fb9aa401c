//! The watch against an API server whose lists and streams each test writes.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use drplan_api::{ActionName, ActionPath, StageName, status::ObjectRef};
use drplan_engine::effect::{ActionEffect, Command, EffectIdentity, JobWait, Outcome};
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::{HttpCaller, HttpSettings, Identity, Performer, clock};

fn job(namespace: &str, uid: &str, conditions: Value) -> SlimJob {
    serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "migrate", "namespace": namespace, "uid": uid, "resourceVersion": "7"},
        "spec": {}, "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn running(uid: &str) -> SlimJob {
    job("shop", uid, json!([]))
}

fn complete(uid: &str) -> SlimJob {
    job("shop", uid, json!([{"type": "Complete", "status": "True"}]))
}

/// Whether a notice is there by now.
fn noticed(subscription: &mut Subscription) -> bool {
    subscription.notice().now_or_never().is_some()
}

/// A watch over `scope`, fed by hand.
struct Fed {
    watch: JobWatch,
    list: List,
}

impl Fed {
    fn new(watch: &JobWatch, scope: Option<&str>) -> Self {
        let list = List {
            scope: scope.map(str::to_owned),
            uids: HashSet::new(),
        };
        Self {
            watch: watch.clone(),
            list,
        }
    }

    fn feed(&mut self, event: watcher::Event<SlimJob>) {
        if let Some(change) = self.list.change(event) {
            self.watch.notify(change);
        }
    }

    fn relist(&mut self, jobs: impl IntoIterator<Item = SlimJob>) {
        self.feed(watcher::Event::Init);
        for job in jobs {
            self.feed(watcher::Event::InitApply(job));
        }
        self.feed(watcher::Event::InitDone);
    }
}

#[test]
fn an_end_and_a_disappearance_are_noticed_and_nothing_else() {
    let watch = JobWatch::new();
    let mut fed = Fed::new(&watch, None);
    let (mut one, mut other) = (watch.subscribe("shop", "u1"), watch.subscribe("shop", "u2"));
    fed.feed(watcher::Event::Apply(running("u1")));
    assert!(!noticed(&mut one));
    fed.feed(watcher::Event::Apply(complete("u1")));
    assert!(noticed(&mut one) && !noticed(&mut one));
    assert_eq!(one.end(), Some(JobEnd::Complete));
    assert!(!noticed(&mut other));
    fed.feed(watcher::Event::Delete(running("u2")));
    assert!(noticed(&mut other));
    assert_eq!(other.end(), None);
}

#[test]
fn a_job_that_vanished_unseen_is_noticed_after_the_next_list() {
    let watch = JobWatch::new();
    let mut fed = Fed::new(&watch, None);
    let (mut gone, mut there) = (watch.subscribe("shop", "u1"), watch.subscribe("shop", "u2"));
    fed.relist([running("u1"), running("u2")]);
    assert!(!noticed(&mut gone) && !noticed(&mut there));
    fed.relist([running("u2")]);
    assert!(noticed(&mut gone) && !noticed(&mut there));
}

#[test]
fn a_list_of_one_namespace_says_nothing_of_another() {
    let watch = JobWatch::new();
    let mut fed = Fed::new(&watch, Some("shop"));
    let (mut here, mut there) = (watch.subscribe("shop", "u1"), watch.subscribe("bank", "u2"));
    fed.relist([]);
    assert!(noticed(&mut here) && !noticed(&mut there));
}

#[test]
fn the_end_that_was_seen_outlives_the_job() {
    let watch = JobWatch::new();
    let mut fed = Fed::new(&watch, None);
    let mut waiter = watch.subscribe("shop", "u1");
    fed.feed(watcher::Event::Apply(complete("u1")));
    fed.feed(watcher::Event::Delete(complete("u1")));
    assert!(noticed(&mut waiter));
    assert_eq!(waiter.end(), Some(JobEnd::Complete));
    fed.relist([]);
    assert_eq!(waiter.end(), Some(JobEnd::Complete));
}

#[test]
fn only_jobs_that_are_waited_for_are_kept() {
    let watch = JobWatch::new();
    let (one, two) = (watch.subscribe("shop", "u1"), watch.subscribe("shop", "u1"));
    let other = watch.subscribe("shop", "u2");
    assert_eq!(watch.waiters().len(), 2);
    drop((one, other));
    assert_eq!(watch.waiters().len(), 1);
    drop(two);
    assert!(watch.waiters().is_empty());
    Fed::new(&watch, None).relist([running("u3")]);
    assert!(watch.waiters().is_empty());
}

/// What the server of the next tests answers, one after the other; then nothing more.
enum Answer {
    /// To a list: these Jobs.
    List(Vec<SlimJob>),
    /// To a watch: these events, and then the end of the stream, or silence.
    Events(Vec<Value>, bool),
    /// To either: a refusal with this code.
    Refuse(u16),
}

/// A client of a server with these answers, and the requests it has seen.
fn server(answers: Vec<Answer>) -> (Client, Arc<Mutex<Vec<String>>>) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = seen.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        kept.lock().unwrap().push(request.uri().to_string());
        let answer = answers.lock().unwrap().pop_front();
        async move {
            let (code, text, ends) = match answer {
                None => std::future::pending().await,
                Some(Answer::List(items)) => {
                    let list = json!({"apiVersion": "batch/v1", "kind": "JobList",
                        "metadata": {"resourceVersion": "7"}, "items": items});
                    (200, list.to_string(), true)
                }
                Some(Answer::Refuse(code)) => {
                    let status =
                        json!({"kind": "Status", "code": code, "reason": "Whatever", "message": "no"});
                    (code, status.to_string(), true)
                }
                Some(Answer::Events(events, ends)) => (
                    200,
                    events.iter().map(|event| format!("{event}\n")).collect(),
                    ends,
                ),
            };
            let text = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(text)))]);
            let body = match ends {
                true => StreamBody::new(text.boxed()),
                false => StreamBody::new(text.chain(stream::pending()).boxed()),
            };
            Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), seen)
}

#[tokio::test(start_paused = true)]
async fn the_watch_survives_refusals_broken_streams_and_expired_versions() {
    let event = |kind: &str, object: Value| json!({"type": kind, "object": object});
    let expired = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    let (client, seen) = server(vec![
        Answer::Refuse(500),
        Answer::Refuse(403),
        Answer::List(vec![running("u1"), running("u2")]),
        Answer::Events(vec![event("MODIFIED", json!(running("u1")))], true),
        Answer::Events(vec![event("ERROR", expired)], true),
        Answer::Refuse(503),
        Answer::List(vec![running("u2")]),
        Answer::Events(vec![event("MODIFIED", json!(complete("u2")))], false),
    ]);
    let watch = JobWatch::new();
    let (mut gone, mut ends) = (watch.subscribe("shop", "u1"), watch.subscribe("shop", "u2"));
    tokio::select! {
        () = watch.run(client, &[]) => unreachable!("the watch never ends"),
        () = async { gone.notice().await; ends.notice().await } => {}
    }
    assert_eq!((gone.end(), ends.end()), (None, Some(JobEnd::Complete)));
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter().all(|uri| uri.starts_with("/apis/batch/v1/jobs?")),
        "{seen:?}"
    );
    let selector = "labelSelector=dr.bkbcs.tencent.com%2Fexecution";
    assert!(seen.iter().all(|uri| uri.contains(selector)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn each_namespace_is_watched_on_its_own() {
    let (client, seen) = server(vec![Answer::List(vec![]), Answer::List(vec![])]);
    let watch = JobWatch::new();
    let (mut shop, mut bank) = (watch.subscribe("shop", "u1"), watch.subscribe("bank", "u2"));
    let namespaces = ["shop".to_owned(), "bank".to_owned()];
    tokio::select! {
        () = watch.run(client, &namespaces) => unreachable!("the watch never ends"),
        () = async { shop.notice().await; bank.notice().await } => {}
    }
    let seen = seen.lock().unwrap();
    for namespace in namespaces {
        let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs?");
        assert!(seen.iter().any(|uri| uri.starts_with(&path)), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_ends_a_wait_at_once_and_the_end_it_saw_counts_if_the_job_is_gone() {
    let watch = JobWatch::new();
    let server = Mutex::new((Fed::new(&watch, None), false));
    // The first read finds the Job running, and right after it the Job completes and goes.
    let service = tower::service_fn(move |_: Request<Body>| {
        let (fed, was_read) = &mut *server.lock().unwrap();
        let (code, body) = match std::mem::replace(was_read, true) {
            false => (200, json!(running("u1"))),
            true => (
                404,
                json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "gone"}),
            ),
        };
        fed.feed(watcher::Event::Delete(complete("u1")));
        let body = Body::from(body.to_string().into_bytes());
        std::future::ready(Ok::<_, Infallible>(
            Response::builder().status(code).body(body).unwrap(),
        ))
    });
    let client = Client::new(service, "default");
    let http = HttpCaller::new(HttpSettings::default());
    let performer = Performer::new(client, http, watch, Duration::from_secs(3600));
    let job = ObjectRef {
        name: "migrate".to_owned(),
        namespace: Some("shop".to_owned()),
        uid: Some("u1".to_owned()),
        ..ObjectRef::default()
    };
    let (stage, action) = (StageName::new("db").unwrap(), ActionName::new("migrate").unwrap());
    let path = ActionPath::new(&stage, "mysql", 0, &action);
    let effect = ActionEffect {
        identity: EffectIdentity {
            execution_uid: "6f1e".to_owned(),
            path,
        },
        attempt: 1,
        command: Command::AwaitJob(JobWait {
            job,
            deadline: clock::now().plus_millis(7_200_000),
        }),
    };
    let started = tokio::time::Instant::now();
    assert_eq!(
        performer.perform(&Identity::Operator, &effect).await,
        Outcome::JobSucceeded
    );
    // Virtual time: nothing was waited for.
    assert_eq!(started.elapsed(), Duration::ZERO);
}
