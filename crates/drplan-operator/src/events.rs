//! Kubernetes events, posted beside whatever they tell about.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use drplan_api::{DRPlan, DRPlanExecution, Time, labels};
use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1,
};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::clock;

/// Notes that wait. A note takes about 1 KiB, so a full queue takes 10 MiB of a Pod of 128 MiB; it holds 20 facts for
/// each of 500 executions running at once.
const QUEUE_LENGTH: usize = 10_000;
/// Posts under way. With answers within 10 ms that is 400 events a second, more than an API server should have to store,
/// and few enough to leave the connections and the server's own queues to what matters.
const POSTS_AT_ONCE: usize = 4;
/// How long one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(5);
/// Tries of one post. With the pauses between them an API server may be away for half a minute without any loss.
const TRIES_MAX: u32 = 8;
/// The pause after the first try; each further one is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The API server's limit for the message of an event.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Between two lines about lost events.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// The name of an object is a DNS subdomain.
const NAME_BYTES_MAX: usize = 253;
/// Who posts.
const COMPONENT: &str = "drplan-operator";

/// One fact to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct EventNote {
    /// The object that it is about, with its UID. The event goes to its namespace.
    pub regarding: ObjectReference,
    /// Type `Warning`, else `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// One line, without secrets; cut to 1024 bytes.
    pub message: String,
    /// The path of the action, if it is about one.
    pub action: Option<String>,
    /// Its attempt.
    pub attempt: Option<u32>,
    /// When it happened.
    pub time: Time,
}

impl EventNote {
    /// A fact about the execution with this metadata, which came from the API server.
    pub fn execution(meta: &ObjectMeta, warning: bool, reason: &str, message: String) -> Self {
        Self::about::<DRPlanExecution>(meta, warning, reason, message)
    }

    /// A fact about the plan with this metadata, which came from the API server.
    pub fn plan(meta: &ObjectMeta, warning: bool, reason: &str, message: String) -> Self {
        Self::about::<DRPlan>(meta, warning, reason, message)
    }

    fn about<K: Resource<DynamicType = ()>>(
        meta: &ObjectMeta,
        warning: bool,
        reason: &str,
        message: String,
    ) -> Self {
        Self {
            regarding: ObjectReference {
                api_version: Some(K::api_version(&()).into_owned()),
                kind: Some(K::kind(&()).into_owned()),
                namespace: meta.namespace.clone(),
                name: meta.name.clone(),
                uid: meta.uid.clone(),
                ..ObjectReference::default()
            },
            warning,
            reason: reason.to_owned(),
            message,
            action: None,
            attempt: None,
            time: clock::now(),
        }
    }
}

/// Takes notes and lets a task of its own post them. Clones share the queue.
///
/// # Guarantees
/// Whatever the API server does with events, whoever notes one is not held up: when the queue is full, what comes last
/// is lost. What is lost is counted, and logged at most once a minute.
#[derive(Clone, Debug)]
pub struct EventQueue {
    notes: mpsc::Sender<EventNote>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    /// Nothing new is taken; what is there is posted.
    closing: CancellationToken,
    /// What is there is given up.
    giving_up: CancellationToken,
    /// The task has ended.
    ended: CancellationToken,
}

impl EventQueue {
    /// A queue that posts with `client`. `instance` tells this process from others, such as the name of its Pod.
    ///
    /// # Assumptions
    /// Called within a tokio runtime.
    pub fn start(client: Client, instance: impl Into<String>) -> Self {
        Self::start_sized(client, instance.into(), QUEUE_LENGTH)
    }

    fn start_sized(client: Client, instance: String, length: usize) -> Self {
        let (sender, notes) = mpsc::channel(length);
        let shared = Arc::<Shared>::default();
        let poster = Poster {
            client,
            instance,
            count: AtomicU16::new(anywhere()),
        };
        tokio::spawn(work(poster, notes, shared.clone()));
        Self {
            notes: sender,
            shared,
        }
    }

    /// Takes a note, or counts it as lost.
    pub fn push(&self, note: EventNote) {
        if self.notes.try_send(note).is_err() {
            self.shared.lose(1);
        }
    }

    /// Events that were lost since the process began.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Events that wait to be posted.
    pub fn waiting(&self) -> usize {
        self.notes.max_capacity() - self.notes.capacity()
    }

    /// Posts what is there, for at most `within`; the rest is lost, and so is what is pushed from now on.
    pub async fn drain(&self, within: Duration) {
        self.shared.closing.cancel();
        if timeout(within, self.shared.ended.cancelled()).await.is_err() {
            self.shared.giving_up.cancel();
            self.shared.ended.cancelled().await;
        }
    }
}

impl Shared {
    fn lose(&self, events: usize) {
        self.lost
            .fetch_add(u64::try_from(events).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Posts notes until the queue is closed and empty, or given up.
async fn work(poster: Poster, mut notes: mpsc::Receiver<EventNote>, shared: Arc<Shared>) {
    // Also where this task is dropped or panics: whoever drains must not wait for ever.
    let _ended = shared.ended.clone().drop_guard();
    let mut posts = FuturesUnordered::new();
    let mut reports = Reports::default();
    let mut reason = None;
    let mut minute = interval(REPORT_EVERY);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    while open || !posts.is_empty() {
        tokio::select! {
            note = notes.recv(), if open && posts.len() < POSTS_AT_ONCE => match note {
                Some(note) => posts.push(poster.post(note)),
                None => open = false,
            },
            Some(posted) = posts.next() => {
                if let Err(why) = posted {
                    shared.lose(1);
                    reason = Some(why);
                }
            }
            () = shared.closing.cancelled(), if !notes.is_closed() => notes.close(),
            () = shared.giving_up.cancelled() => break,
            _ = minute.tick() => {}
        }
        reports.report(&shared, reason.as_deref(), Instant::now());
    }
    notes.close();
    let mut left = posts.len();
    while notes.try_recv().is_ok() {
        left += 1;
    }
    shared.lose(left);
    reports.last_report(&shared, reason.as_deref());
}

/// What was logged about lost events.
#[derive(Debug, Default)]
struct Reports {
    reported: u64,
    last: Option<Instant>,
}

impl Reports {
    fn report(&mut self, shared: &Shared, reason: Option<&str>, now: Instant) {
        let total = shared.lost.load(Ordering::Relaxed);
        if let Some(lost) = self.due(total, now) {
            warn_lost(lost, total, reason);
        }
    }

    /// The losses to report now: those not reported yet, unless the last report was less than a minute ago.
    fn due(&mut self, total: u64, now: Instant) -> Option<u64> {
        let lost = total - self.reported;
        let quiet = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < REPORT_EVERY);
        if lost == 0 || quiet {
            return None;
        }
        self.reported = total;
        self.last = Some(now);
        Some(lost)
    }

    /// What is not reported yet, at the end.
    fn last_report(self, shared: &Shared, reason: Option<&str>) {
        let total = shared.lost.load(Ordering::Relaxed);
        if total > self.reported {
            warn_lost(total - self.reported, total, reason);
        }
    }
}

fn warn_lost(lost: u64, lost_total: u64, reason: Option<&str>) {
    let reason = reason.unwrap_or("the queue was full");
    tracing::warn!(lost, lost_total, reason, "Kubernetes events were lost");
}

/// Posts events.
struct Poster {
    client: Client,
    instance: String,
    /// Tells events of one millisecond apart. Begins anywhere, so that it also tells them from another process's.
    count: AtomicU16,
}

/// What became of one try.
#[derive(Debug, PartialEq, Eq)]
enum Posted {
    /// The event is stored.
    Stored,
    /// The same may work later.
    Later(String),
    /// It never will: forbidden, the namespace is gone or going, the event is not accepted.
    Never(String),
}

impl Poster {
    /// Posts one event, with repetitions.
    ///
    /// # Errors
    /// Why it was not stored.
    async fn post(&self, note: EventNote) -> Result<(), String> {
        let event = self.event(note);
        let namespace = event
            .metadata
            .namespace
            .as_deref()
            .unwrap_or(NAMESPACE_OF_CLUSTER);
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let mut pause = PAUSE_MIN;
        for tries in 1.. {
            let params = PostParams::default();
            let answer = timeout(POST_TIMEOUT, api.create(&params, &event)).await;
            match answer.map_or_else(
                |_| Posted::Later(format!("no answer within {POST_TIMEOUT:?}")),
                judge,
            ) {
                Posted::Stored => break,
                Posted::Later(why) if tries >= TRIES_MAX => return Err(why),
                Posted::Later(_) => sleep(pause).await,
                Posted::Never(why) => return Err(why),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    fn event(&self, note: EventNote) -> Event {
        let time = v1::Time(Timestamp::from_millisecond(note.time.as_millis()).unwrap_or_default());
        let attempt = note.attempt.map(|attempt| attempt.to_string());
        let annotations = [(labels::ACTION_PATH, note.action), (labels::ATTEMPT, attempt)];
        let annotations = annotations
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let mut message = note.message;
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let name = note.regarding.name.as_deref().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(unique_name(name, note.time, count)),
                namespace: Some(
                    note.regarding
                        .namespace
                        .clone()
                        .unwrap_or_else(|| NAMESPACE_OF_CLUSTER.to_owned()),
                ),
                annotations: Some(annotations.collect()),
                ..ObjectMeta::default()
            },
            involved_object: note.regarding,
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(note.reason),
            message: Some(message),
            count: Some(1),
            first_timestamp: Some(time.clone()),
            last_timestamp: Some(time),
            source: Some(EventSource {
                component: Some(COMPONENT.to_owned()),
                host: None,
            }),
            reporting_component: Some(COMPONENT.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

fn anywhere() -> u16 {
    let [.., high, low] = uuid::Uuid::new_v4().into_bytes();
    u16::from_be_bytes([high, low])
}

/// Where Kubernetes keeps the events of objects without a namespace.
const NAMESPACE_OF_CLUSTER: &str = "default";

/// `<name>.<16 hex digits>`, as kubectl and its kin know it, and the same in every try: an event that was stored while
/// its answer was lost is not stored twice.
///
/// The digits are milliseconds and a count, since Kubernetes keeps events by name and their times by seconds: what
/// happened within a second is listed in its order.
fn unique_name(name: &str, time: Time, count: u16) -> String {
    let suffix = format!(".{:012x}{count:04x}", time.as_millis());
    let name = &name[..name.floor_char_boundary(NAME_BYTES_MAX - suffix.len())];
    format!("{}{suffix}", name.trim_end_matches(['.', '-']))
}

fn judge(answer: kube::Result<Event>) -> Posted {
    match answer {
        Ok(_) => Posted::Stored,
        Err(kube::Error::Api(status)) => match status.code {
            409 if status.reason == "AlreadyExists" => Posted::Stored,
            408 | 429 | 500.. => Posted::Later(status.to_string()),
            _ => Posted::Never(status.to_string()),
        },
        // It answered with success, and what it answered does not matter.
        Err(kube::Error::SerdeError(_)) => Posted::Stored,
        Err(error @ (kube::Error::BuildRequest(_) | kube::Error::HttpError(_))) => {
            Posted::Never(error.to_string())
        }
        Err(error) => Posted::Later(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Mutex, atomic::AtomicUsize},
    };

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    fn note(message: &str) -> EventNote {
        EventNote {
            regarding: ObjectReference {
                api_version: Some("dr.bkbcs.tencent.com/v1alpha1".to_owned()),
                kind: Some("DRPlanExecution".to_owned()),
                namespace: Some("shop".to_owned()),
                name: Some("shop-001".to_owned()),
                uid: Some("u1".to_owned()),
                ..ObjectReference::default()
            },
            warning: false,
            reason: "ActionSucceeded".to_owned(),
            message: message.to_owned(),
            action: Some("db/promote[0]/call".to_owned()),
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
        let queue = EventQueue::start(server.client(), "operator-0");
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
        let queue = EventQueue::start(server.client(), "operator-0");
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
            let queue = EventQueue::start(server.client(), "operator-0");
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
        let queue = EventQueue::start_sized(server.client(), "operator-0".to_owned(), 10);
        for number in 0..20 {
            queue.push(note(&number.to_string()));
        }
        // The worker has had no turn yet: ten wait, ten are lost.
        assert_eq!(queue.lost(), 10);
        queue.drain(Duration::from_secs(2)).await;
        assert_eq!(queue.lost(), 20);
        assert_eq!(server.messages(), ["0", "1", "2", "3"]);
        assert_eq!(server.hanging_most.load(Ordering::SeqCst), POSTS_AT_ONCE);
        queue.push(note("too late"));
        assert_eq!(queue.lost(), 21);
        queue.drain(LONG).await;
    }

    #[tokio::test]
    async fn long_messages_are_cut_between_characters_and_long_names_stay_names() {
        let client = Server::answering(&[]).client();
        let poster = Poster {
            client,
            instance: String::new(),
            count: AtomicU16::new(9),
        };
        let mut long = note(&format!("x{}", "é".repeat(600)));
        long.regarding.name = Some(format!("{}.{}", "a".repeat(235), "b".repeat(17)));
        let event = poster.event(long);
        assert_eq!(event.message.unwrap().len(), 1023);
        let name = event.metadata.name.unwrap();
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
}
