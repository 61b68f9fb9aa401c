//! Watches one execution to its end and shows what happens.

mod follow;
pub mod lines;
mod terminal;

use std::time::Duration;

use drplan_api::Time;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use self::{
    follow::{Follow, News},
    terminal::Terminal,
};
use crate::{
    cluster::Cluster,
    exit::Exit,
    screen,
    tree::{Look, commands, render},
    view::{Phase, RunView},
};

/// How long a new execution is looked at before the command ends. Refusals take milliseconds.
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);
/// How often the tree is drawn: as often as its spinner turns.
const FRAME: Duration = Duration::from_millis(100);

/// Watches execution `name` until it ends, on a terminal as a tree, else as lines.
///
/// # Errors
/// There is no such execution.
pub(crate) async fn watch(cluster: &Cluster, name: &str) -> anyhow::Result<Exit> {
    let first = RunView::read(&cluster.execution(name).await?);
    if screen::is_terminal() {
        return on_terminal(cluster, first).await;
    }
    in_lines(cluster, first).await
}

/// The time.
pub(crate) fn now() -> Time {
    Time::new(jiff::Timestamp::now())
}

/// The exit code of a run in which nothing more happens by itself; none while it goes on.
fn exit_of(run: &RunView) -> Option<Exit> {
    match run.phase {
        Phase::Succeeded => Some(Exit::Done),
        Phase::Failed => Some(Exit::Failed),
        Phase::Cancelled => Some(Exit::Cancelled),
        // What was asked of it a moment ago is about to be done.
        Phase::Unknown if run.asked || run.cancelling.is_some() => None,
        Phase::Unknown => Some(Exit::Unknown),
        Phase::Pending | Phase::Running | Phase::Skipped | Phase::NothingToUndo | Phase::Other(_) => None,
    }
}

async fn on_terminal(cluster: &Cluster, mut run: RunView) -> anyhow::Result<Exit> {
    let look = |height| Look {
        width: screen::size().0,
        height,
        unicode: screen::shows_unicode(),
        flags: cluster.flags.clone(),
        live: height.is_some(),
    };
    if let Some(exit) = exit_of(&run) {
        // Nothing is drawn over it, so it may be longer than the screen.
        Terminal::print(&render(&run, now(), &look(None)));
        return Ok(exit);
    }
    let mut terminal = Terminal::open();
    let mut follow = Follow::start(cluster, &run.name);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (_, rows) = screen::size();
        let trouble = follow.trouble();
        // The line below the tree is where the cursor stands.
        let room = rows.saturating_sub(1 + trouble.len());
        let mut lines = render(&run, now(), &look(Some(room)));
        lines.extend(trouble);
        terminal.draw(&lines);
        let news = tokio::select! {
            _ = frames.tick() => continue,
            news = follow.next() => Some(news),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        };
        match news {
            Some(News::Seen(seen)) if seen.uid == run.uid => run = *seen,
            Some(News::Seen(_) | News::Gone) => {
                terminal.draw(&render(&run, now(), &look(Some(rows.saturating_sub(1)))));
                drop(terminal);
                screen::tell(&gone(&run));
                return Ok(Exit::Gone);
            }
            Some(News::Trouble(_)) => {}
            None => {
                let still = Look {
                    live: false,
                    ..look(Some(rows.saturating_sub(6)))
                };
                terminal.draw(&render(&run, now(), &still));
                drop(terminal);
                detached(cluster, &run);
                return Ok(Exit::Detached);
            }
        }
        if let Some(exit) = exit_of(&run) {
            let last = Look {
                live: false,
                ..look(Some(rows.saturating_sub(3)))
            };
            terminal.draw(&render(&run, now(), &last));
            return Ok(exit);
        }
    }
}

async fn in_lines(cluster: &Cluster, run: RunView) -> anyhow::Result<Exit> {
    let mut follow = Follow::start(cluster, &run.name);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let uid = run.uid.clone();
    let mut before = RunView::default();
    let mut after = run;
    let mut is_troubled = false;
    loop {
        for line in lines::transitions(&before, &after, now()) {
            screen::line(&line);
        }
        if let Some(exit) = exit_of(&after) {
            return Ok(exit);
        }
        let news = tokio::select! {
            news = follow.next() => Some(news),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        };
        before = after.clone();
        match news {
            Some(News::Seen(seen)) if seen.uid == uid => {
                is_troubled = false;
                after = *seen;
            }
            Some(News::Seen(_) | News::Gone) => {
                screen::tell(&gone(&after));
                return Ok(Exit::Gone);
            }
            Some(News::Trouble(_)) => {
                for line in follow.trouble().iter().filter(|_| !is_troubled) {
                    screen::tell(&line.plain());
                }
                is_troubled = true;
            }
            None => {
                detached(cluster, &after);
                return Ok(Exit::Detached);
            }
        }
    }
}

fn gone(run: &RunView) -> String {
    format!("execution {} was deleted while it was watched", run.name)
}

/// Says that nothing was stopped, and how to come back.
fn detached(cluster: &Cluster, run: &RunView) {
    let (name, flags) = (&run.name, &cluster.flags);
    screen::tell(&format!(
        "\nNo longer watching. The run {name} goes on.\n\
         watch:  kubectl drplan watch {name}{flags}\n\
         cancel: kubectl drplan cancel {name}{flags}"
    ));
}

/// Looks for a moment how the execution `name`, which was just created, begins. A refusal comes at once and is told;
/// then the exit code is that of the run.
pub(crate) async fn begins(cluster: &Cluster, name: &str) -> Exit {
    let mut follow = Follow::start(cluster, name);
    let deadline = tokio::time::Instant::now() + BEGIN_PATIENCE;
    while let Ok(news) = tokio::time::timeout_at(deadline, follow.next()).await {
        let News::Seen(run) = news else { continue };
        match exit_of(&run) {
            Some(Exit::Done) => return Exit::Done,
            Some(exit) => {
                screen::tell(&format!("{name} is {}: {}", run.phase.as_str(), run.message));
                let look = Look {
                    flags: cluster.flags.clone(),
                    ..Look::wide(screen::size().0)
                };
                for line in commands(&run, &look) {
                    screen::tell(&line.plain());
                }
                return exit;
            }
            None if run.phase == Phase::Running => return Exit::Done,
            None => {}
        }
    }
    Exit::Done
}
