//! When the API server last answered, so that loss of contact is told from having nothing to say.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tower::util::MapResponseLayer;

/// When the API server last answered, by the monotonic clock. Clones share what they know.
///
/// Every answer counts, whatever its status: also a refusal shows that somebody is there. A request that fails without
/// an answer does not count.
#[derive(Clone)]
pub struct Contact {
    shared: Arc<Shared>,
}

/// A silence that was longer than the partition timeout and has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Counts the gaps of this process, from 1; 0 means that there was none.
    pub number: u64,
    /// From the answer before it to the answer that ended it.
    pub length: Duration,
}

struct Shared {
    partition_timeout: Duration,
    record: Mutex<Record>,
    gaps: watch::Sender<Gap>,
}

impl Contact {
    /// A contact that begins now. Silences longer than `partition_timeout` are gaps.
    pub fn new(partition_timeout: Duration) -> Self {
        let record = Mutex::new(Record::new(Instant::now()));
        let gaps = watch::Sender::new(Gap::default());
        Self {
            shared: Arc::new(Shared {
                partition_timeout,
                record,
                gaps,
            }),
        }
    }

    /// How long ago the last answer was; before the first answer, how long ago this contact began.
    pub fn silence(&self) -> Duration {
        self.record().silence(Instant::now())
    }

    /// The newest gap, and those to come. A gap is published before the answer that ended it is passed on to whoever
    /// asked, so whoever has an answer sees the gap before it.
    pub fn gaps(&self) -> watch::Receiver<Gap> {
        self.shared.gaps.subscribe()
    }

    /// Notes that the API server has answered just now.
    pub fn heard(&self) {
        let mut record = self.record();
        if let Some(gap) = record.heard(Instant::now(), self.shared.partition_timeout) {
            // Within the lock, so that gaps are published in their order.
            self.shared.gaps.send_replace(gap);
            drop(record);
            tracing::warn!(
                gap_seconds = gap.length.as_secs(),
                "the API server answers again after a long silence"
            );
        }
    }

    /// The layer for a client: every response that passes counts as an answer.
    pub fn layer<R>(&self) -> MapResponseLayer<impl FnOnce(R) -> R + Clone + use<R>> {
        let contact = self.clone();
        MapResponseLayer::new(move |response| {
            contact.heard();
            response
        })
    }

    /// Asks for `/version` whenever nothing was heard for a while, until it is dropped, so that silence means loss and
    /// not idleness. `client` must have [`Self::layer`].
    pub async fn keep_probing(&self, client: Client) {
        let rhythm = Rhythm::of(self.shared.partition_timeout);
        let mut asked = Instant::now();
        let mut lost = false;
        loop {
            let due = self.record().last_heard.max(asked) + rhythm.interval;
            if due > Instant::now() {
                sleep_until(due).await;
                // Something else may have been heard meanwhile.
                continue;
            }
            let answer = timeout(rhythm.timeout, client.apiserver_version()).await;
            asked = Instant::now();
            let silent = self.silence() >= rhythm.interval;
            if silent && !lost {
                let error = match answer {
                    Ok(Ok(_)) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some(format!("no answer within {:?}", rhythm.timeout)),
                };
                tracing::warn!(error, "the API server does not answer");
            } else if lost && !silent {
                tracing::info!("the API server answers");
            }
            lost = silent;
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("silence", &self.silence())
            .finish_non_exhaustive()
    }
}

/// What was heard.
#[derive(Debug)]
struct Record {
    last_heard: Instant,
    ever_heard: bool,
    gaps: u64,
}

impl Record {
    fn new(begin: Instant) -> Self {
        Self {
            last_heard: begin,
            ever_heard: false,
            gaps: 0,
        }
    }

    fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_heard)
    }

    /// Notes an answer at `now`, and returns the gap that it ends. What precedes the first answer is none: contact that
    /// never was cannot be lost.
    fn heard(&mut self, now: Instant, partition_timeout: Duration) -> Option<Gap> {
        let length = self.silence(now);
        let is_gap = self.ever_heard && length > partition_timeout;
        self.ever_heard = true;
        self.last_heard = self.last_heard.max(now);
        is_gap.then(|| {
            self.gaps += 1;
            Gap {
                number: self.gaps,
                length,
            }
        })
    }
}

/// When probes are sent and given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rhythm {
    /// Silence before a probe.
    interval: Duration,
    /// After which a probe is given up. Its connection is closed with it, so the next one takes another.
    timeout: Duration,
}

impl Rhythm {
    /// A probe costs the API server nothing, so 5 s is often enough and rare enough. With a short partition timeout
    /// several probes must fit in it: one that hangs on a dead connection must not look like a partition.
    fn of(partition_timeout: Duration) -> Self {
        const LONGEST: Duration = Duration::from_secs(5);
        // Keeps a partition timeout of almost nothing from becoming a busy loop.
        const SHORTEST: Duration = Duration::from_millis(50);
        Self {
            interval: (partition_timeout / 8).clamp(SHORTEST, LONGEST),
            timeout: (partition_timeout / 4).clamp(SHORTEST, LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use http::{Request, Response};
    use kube::client::{Body, ClientBuilder};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(120);

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn only_a_silence_longer_than_the_partition_timeout_is_a_gap() {
        let begin = Instant::now();
        let mut record = Record::new(begin);
        assert_eq!(record.heard(after(begin, 10), TIMEOUT), None);
        assert_eq!(record.silence(after(begin, 70)), Duration::from_secs(60));
        assert_eq!(record.heard(after(begin, 130), TIMEOUT), None);
        let gap = Gap {
            number: 1,
            length: Duration::from_secs(121),
        };
        assert_eq!(record.heard(after(begin, 251), TIMEOUT), Some(gap));
        assert_eq!(record.heard(after(begin, 251), TIMEOUT), None);
        let gap = Gap {
            number: 2,
            length: Duration::from_secs(3600),
        };
        assert_eq!(record.heard(after(begin, 3851), TIMEOUT), Some(gap));
    }

    #[tokio::test]
    async fn waiting_for_the_first_answer_is_no_gap() {
        let begin = Instant::now();
        let mut record = Record::new(begin);
        assert_eq!(record.silence(after(begin, 500)), Duration::from_secs(500));
        assert_eq!(record.heard(after(begin, 500), TIMEOUT), None);
    }

    #[tokio::test]
    async fn an_answer_noted_late_does_not_turn_time_back() {
        let begin = Instant::now();
        let mut record = Record::new(begin);
        record.heard(after(begin, 20), TIMEOUT);
        record.heard(after(begin, 10), TIMEOUT);
        assert_eq!(record.silence(after(begin, 20)), Duration::ZERO);
        assert_eq!(record.silence(after(begin, 5)), Duration::ZERO);
    }

    #[test]
    fn several_probes_fit_in_every_partition_timeout() {
        let check = |timeout_millis, interval, timeout| {
            let rhythm = Rhythm::of(Duration::from_millis(timeout_millis));
            let millis = (rhythm.interval.as_millis(), rhythm.timeout.as_millis());
            assert_eq!(millis, (interval, timeout), "{timeout_millis}");
        };
        check(120_000, 5_000, 5_000);
        check(20_000, 2_500, 5_000);
        check(2_000, 250, 500);
        check(1, 50, 50);
    }

    /// An API server that answers with 403 while it is `there`.
    struct Server {
        there: AtomicBool,
        asked: AtomicU64,
    }

    fn client(contact: &Contact, server: &Arc<Server>) -> Client {
        let server = server.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                assert_eq!(request.uri().path(), "/version");
                server.asked.fetch_add(1, Ordering::SeqCst);
                if !server.there.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let refusal = r#"{"kind": "Status", "status": "Failure", "code": 403}"#;
                let body = Body::from(refusal.as_bytes().to_vec());
                Ok::<_, Infallible>(
                    Response::builder()
                        .status(403)
                        .body(body)
                        .expect("it is complete"),
                )
            }
        });
        ClientBuilder::new(service, "default")
            .with_layer(&contact.layer())
            .build()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_client_keeps_contact_and_a_hanging_server_is_a_gap() {
        let contact = Contact::new(TIMEOUT);
        let mut gaps = contact.gaps();
        let server = Arc::new(Server {
            there: AtomicBool::new(true),
            asked: AtomicU64::new(0),
        });
        let probing = tokio::spawn({
            let (contact, client) = (contact.clone(), client(&contact, &server));
            async move { contact.keep_probing(client).await }
        });
        let begin = Instant::now();
        sleep_until(after(begin, 600)).await;
        assert!(!gaps.has_changed().unwrap());
        assert!(contact.silence() <= Duration::from_secs(5));

        server.there.store(false, Ordering::SeqCst);
        sleep_until(after(begin, 900)).await;
        assert!(contact.silence() > Duration::from_secs(290));
        assert!(!gaps.has_changed().unwrap());

        server.there.store(true, Ordering::SeqCst);
        gaps.changed().await.unwrap();
        let gap = *gaps.borrow_and_update();
        assert_eq!(gap.number, 1);
        assert!(gap.length > Duration::from_secs(290));
        assert!(server.asked.load(Ordering::SeqCst) > 100);
        probing.abort();
    }
}
