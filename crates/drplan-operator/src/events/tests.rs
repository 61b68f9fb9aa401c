use std::{
    convert::Infallible,
    sync::{Mutex, atomic::AtomicUsize},
};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{poster::unique_name, *};

fn note(message: &str) -> EventNote {
    EventNote {
        regarding: Arc::new(ObjectReference {
            api_version: Some("dr.bkbcs.tencent.com/v1alpha1".to_owned()),
            kind: Some("DRPlanExecution".to_owned()),
            namespace: Some("shop".to_owned()),
            name: Some("shop-001".to_owned()),
            uid: Some("u1".to_owned()),
            ..ObjectReference::default()
        }),
        warning: false,
        reason: "ActionSucceeded",
        message: message.into(),
        action: Some("db/promote[0]/call".into()),
        attempt: Some(2),
        time: Time::from_millis(1_700_000_000_123),
    }
}

/// An API server whose answers are programmed.
#[derive(Default)]
struct Server {
    /// Statuses of the next answers; 0 hangs. Then all is well.
    answers: Mutex<Vec<u16>>,
    always: Option<u16>,
    /// Everything that was posted, in order of arrival.
    posts: Mutex<Vec<Value>>,
    hanging: AtomicUsize,
    hanging_most: AtomicUsize,
}

impl Server {
    fn answering(answers: &[u16]) -> Arc<Self> {
        let answers = answers.iter().rev().copied().collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            ..Self::default()
        })
    }

    fn always(status: u16) -> Arc<Self> {
        Arc::new(Self {
            always: Some(status),
            ..Self::default()
        })
    }

    fn client(self: &Arc<Self>) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| server.clone().answer(request));
        Client::new(service, "default")
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        assert_eq!(request.uri().path(), "/api/v1/namespaces/shop/events");
        let body = request.into_body().collect_bytes().await.unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        self.posts.lock().unwrap().push(event.clone());
        let status = self.answers.lock().unwrap().pop().or(self.always).unwrap_or(201);
        if status == 0 {
            let hanging = self.hanging.fetch_add(1, Ordering::SeqCst) + 1;
            self.hanging_most.fetch_max(hanging, Ordering::SeqCst);
            let _over = Over(&self.hanging);
            std::future::pending::<()>().await;
        }
        let reason = if status == 409 { "AlreadyExists" } else { "" };
        let answer = match status {
            201 => event,
            code => json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason}),
        };
        let body = Body::from(answer.to_string().into_bytes());
        Ok(Response::builder().status(status).body(body).unwrap())
    }

    fn messages(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        posts
            .iter()
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

struct Over<'a>(&'a AtomicUsize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_event_tells_what_happened_to_whom_and_when() {
    let server = Server::answering(&[]);
    let queue = EventQueue::start(server.client(), "operator-0", Turns::default());
    queue.push(note("Action call succeeded"));
    queue.drain(LONG).await;
    let mut event = server.posts.lock().unwrap()[0].clone();
    let name = event["metadata"]["name"].take();
    let digits = name.as_str().unwrap().strip_prefix("shop-001.").unwrap();
    assert!(
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{name}"
    );
    let expected = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {
            "name": null, "namespace": "shop",
            "annotations": {
                "dr.bkbcs.tencent.com/action-path": "db/promote[0]/call", "dr.bkbcs.tencent.com/attempt": "2"
            }
        },
        "involvedObject": {
            "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlanExecution", "namespace": "shop",
            "name": "shop-001", "uid": "u1"
        },
        "type": "Normal", "reason": "ActionSucceeded", "message": "Action call succeeded", "count": 1,
        "firstTimestamp": "2023-11-14T22:13:20Z", "lastTimestamp": "2023-11-14T22:13:20Z",
        "source": {"component": "drplan-operator"},
        "reportingComponent": "drplan-operator", "reportingInstance": "operator-0"
    });
    assert_eq!(event, expected);
    assert_eq!(queue.lost(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_work_later_is_tried_again_under_the_same_name() {
    // The answer of the last but one was lost: the event is there already.
    let server = Server::answering(&[429, 500, 0, 503, 0, 409]);
    let queue = EventQueue::start(server.client(), "operator-0", Turns::default());
    queue.push(note("once"));
    queue.drain(LONG).await;
    let posts = server.posts.lock().unwrap();
    assert_eq!(posts.len(), 6);
    assert!(
        posts
            .iter()
            .all(|event| event["metadata"]["name"] == posts[0]["metadata"]["name"])
    );
    assert_eq!(queue.lost(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_never_will_work_is_tried_once_and_tries_have_an_end() {
    for (status, tries) in [(400, 1), (403, 1), (404, 1), (422, 1), (503, 8), (0, 8)] {
        let server = Server::always(status);
        let queue = EventQueue::start(server.client(), "operator-0", Turns::default());
        queue.push(note("never"));
        queue.drain(LONG).await;
        assert_eq!(
            (server.posts.lock().unwrap().len(), queue.lost()),
            (tries, 1),
            "{status}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_costs_the_newest_events_and_nobodys_time() {
    let server = Server::always(0);
    let queue = EventQueue::start_sized(server.client(), "operator-0".to_owned(), Turns::default(), 10);
    for number in 0..20 {
        queue.push(note(&number.to_string()));
    }
    // The worker has had no turn yet: ten wait, ten are lost.
    assert_eq!(queue.lost(), 10);
    queue.drain(Duration::from_secs(2)).await;
    assert_eq!(queue.lost(), 20);
    let posted: Vec<String> = (0..POSTS_AT_ONCE).map(|number| number.to_string()).collect();
    assert_eq!(server.messages(), posted);
    assert_eq!(server.hanging_most.load(Ordering::SeqCst), POSTS_AT_ONCE);
    queue.push(note("too late"));
    assert_eq!(queue.lost(), 21);
    queue.drain(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn events_yield_to_writes_until_the_queue_is_half_full_or_closed() {
    let under_way = async |notes: usize, busy: bool, close: bool| {
        let server = Server::always(0);
        let turns = Turns::default();
        let turn = if busy { Some(turns.step().await) } else { None };
        let queue = EventQueue::start_sized(server.client(), "operator-0".to_owned(), turns, 20);
        for number in 0..notes {
            queue.push(note(&number.to_string()));
        }
        if close {
            queue.drain(Duration::from_secs(1)).await;
        } else {
            sleep(Duration::from_secs(1)).await;
        }
        drop(turn);
        server.hanging_most.load(Ordering::SeqCst)
    };
    assert_eq!(under_way(8, false, false).await, POSTS_AT_ONCE);
    assert_eq!(under_way(8, true, false).await, POSTS_BESIDE_WRITES);
    assert_eq!(under_way(8, true, true).await, POSTS_AT_ONCE);
    // Down to half of it.
    assert_eq!(under_way(14, true, false).await, 4);
}

#[tokio::test]
async fn long_messages_are_cut_between_characters_and_long_names_stay_names() {
    let poster = Poster::new(Server::answering(&[]).client(), String::new());
    let long = EventNote::about(note("").regarding, false, "Long", format!("x{}", "é".repeat(600)));
    assert_eq!(long.message.len(), 1023);
    let name = format!("{}.{}", "a".repeat(235), "b".repeat(17));
    let regarding = ObjectReference {
        name: Some(name),
        ..ObjectReference::default()
    };
    let long = EventNote {
        regarding: Arc::new(regarding),
        ..long
    };
    let name = poster.event(long).metadata.name.unwrap();
    assert!(
        name.len() == 252 && name.starts_with("aaa") && !name.contains(".."),
        "{name}"
    );
}

#[test]
fn names_follow_the_order_of_time_and_then_of_notes() {
    let name = |millis, count| unique_name("shop-001", Time::from_millis(millis), count);
    assert_eq!(name(1_700_000_000_123, 10), "shop-001.018bcfe5687b000a");
    assert!(name(1_700_000_000_123, 10) < name(1_700_000_000_123, 11));
    assert!(name(1_700_000_000_123, 11) < name(1_700_000_000_124, 0));
}

#[tokio::test]
async fn losses_are_reported_at_most_once_a_minute() {
    let begin = Instant::now();
    let mut reports = Reports::default();
    let mut due = |total, seconds| reports.due(total, begin + Duration::from_secs(seconds));
    assert_eq!(due(0, 0), None);
    assert_eq!(due(2, 1), Some(2));
    assert_eq!(due(5, 30), None);
    assert_eq!(due(7, 61), Some(5));
    assert_eq!(due(7, 300), None);
    assert_eq!(due(8, 301), Some(1));
}
