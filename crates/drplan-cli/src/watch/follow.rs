//! An execution as the API server tells of it, over lost connections.

use std::{pin::pin, time::Duration};

use futures::StreamExt;
use kube::{
    Api,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher, watcher::watch_object},
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{
    cluster::{Cluster, answer, chain},
    screen::{clean, fit, size},
    tree::{Ink, Line},
    view::RunView,
};

/// After this long without news the execution is read once: a watch over a connection that is gone without a word tells
/// nothing.
const QUIET: Duration = Duration::from_secs(10);
/// How long that one answer is awaited.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// What was heard.
pub(super) enum News {
    /// The execution as it is now.
    Seen(Box<RunView>),
    /// It does not exist any more.
    Gone,
    /// The API server cannot be asked; why.
    Trouble(String),
}

/// The watch of one execution.
pub(super) struct Follow {
    news: mpsc::Receiver<News>,
    task: JoinHandle<()>,
    heard: Instant,
    trouble: Option<String>,
}

impl Follow {
    /// Begins to watch execution `name`.
    pub(super) fn start(cluster: &Cluster, name: &str) -> Self {
        let (sender, news) = mpsc::channel(16);
        Self {
            news,
            task: tokio::spawn(listen(cluster.executions(), name.to_owned(), sender)),
            heard: Instant::now(),
            trouble: None,
        }
    }

    /// What is heard next. Dropped before it is there, it is heard the next time.
    pub(super) async fn next(&mut self) -> News {
        let news = match self.news.recv().await {
            Some(news) => news,
            // The task ends only with its receiver.
            None => std::future::pending().await,
        };
        match &news {
            News::Seen(_) | News::Gone => {
                self.heard = Instant::now();
                self.trouble = None;
            }
            News::Trouble(why) => self.trouble = Some(why.clone()),
        }
        news
    }

    /// What to say while the API server cannot be asked: nothing otherwise.
    pub(super) fn trouble(&self) -> Vec<Line> {
        let Some(why) = &self.trouble else {
            return Vec::new();
        };
        let seconds = self.heard.elapsed().as_secs();
        let what =
            format!("no news from the API server for {seconds}s, trying again; the run goes on without this");
        [(Ink::Waiting, what), (Ink::Dim, why.clone())]
            .into_iter()
            .map(|(ink, text)| Line(vec![(ink, fit(&text, size().0, "~"))]))
            .collect()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(api: Api<DynamicObject>, name: String, news: mpsc::Sender<News>) {
    loop {
        let watched = watch_object(api.clone(), &name).backoff(watcher::DefaultBackoff::default());
        let mut objects = pin!(watched);
        loop {
            let heard = match tokio::time::timeout(QUIET, objects.next()).await {
                Ok(Some(Ok(found))) => seen(found),
                Ok(Some(Err(error))) => News::Trouble(clean(&chain(&error))),
                Ok(None) => break,
                Err(_) => match tokio::time::timeout(LOOK_TIMEOUT, answer(api.get_opt(&name))).await {
                    Ok(Ok(found)) => seen(found),
                    Ok(Err(error)) => News::Trouble(clean(&format!("{error:#}"))),
                    Err(_) => News::Trouble("it does not answer".to_owned()),
                },
            };
            let is_trouble = matches!(heard, News::Trouble(_));
            if news.send(heard).await.is_err() {
                return;
            }
            if is_trouble {
                // A connection that does not answer is not waited for: the next watch uses another.
                tokio::time::sleep(Duration::from_secs(1)).await;
                break;
            }
        }
    }
}

fn seen(found: Option<DynamicObject>) -> News {
    match found.and_then(|object| serde_json::to_value(object).ok()) {
        Some(object) => News::Seen(Box::new(RunView::read(&object))),
        None => News::Gone,
    }
}
