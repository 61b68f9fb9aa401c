//! Operators: the shipped code, as processes that die and come back.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use clap::Parser;
use drplan_actions::{HttpCaller, HttpSettings};
use drplan_operator::{
    contact::Contact,
    events::EventQueue,
    fault::{self, Process},
    health::Readiness,
    operator::{self, Reach},
    options::{Command, Options, RunOptions},
    turns::Turns,
};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    line,
    plan::NAMESPACE,
    scenario::{Fault, Scenario},
    sites,
    world::{BEGIN_MILLIS, World},
};

/// The life of one process.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) operator: usize,
    /// Unique; records name it.
    pub(crate) name: String,
    pub(crate) process: Process,
}

/// After so long a silence of the API server a run with calls in flight is Unknown.
const PARTITION_SECONDS: u64 = 20;

/// The flags of every operator.
pub(crate) fn options(scenario: &Scenario) -> Arc<RunOptions> {
    static READ: [OnceLock<Arc<RunOptions>>; 2] = [const { OnceLock::new() }; 2];
    let read = &READ[usize::from(scenario.elects)];
    Arc::clone(read.get_or_init(|| Arc::new(read_options(scenario.elects))))
}

fn read_options(elects: bool) -> RunOptions {
    let partition = format!("--partition-timeout={PARTITION_SECONDS}s");
    let mut flags = vec![
        "drplan-operator",
        "run",
        "--allow-operator-identity",
        "--leader-elect-resource-namespace",
        NAMESPACE,
        &partition,
    ];
    if elects {
        flags.push("--leader-elect");
    }
    match Options::try_parse_from(flags).unwrap().command {
        Command::Run(options) => *options,
        Command::Crds => unreachable!("run was asked for"),
    }
}

/// Keeps an operator running: process after process.
pub(crate) async fn keep(world: World, operator: usize, options: Arc<RunOptions>) {
    let faults = world.scenario.faults.clone();
    let of_this = |fault: &&Fault| match fault {
        Fault::Crash { operator: of, .. }
        | Fault::CrashAt { operator: of, .. }
        | Fault::Term { operator: of, .. } => *of == operator,
        _ => false,
    };
    let mut crashes = faults.iter().filter(of_this);
    let mut clock = 0;
    for number in 1.. {
        let life = Life {
            name: format!("operator-{operator}-{number}"),
            process: Process::new(BEGIN_MILLIS + i64::try_from(world.millis()).unwrap() + clock),
            world: world.clone(),
            operator,
        };
        let stop = CancellationToken::new();
        let crash = crashes.next();
        match crash {
            Some(Fault::Crash { polls, .. }) => life.process.kill_at(*polls),
            Some(Fault::CrashAt { point, passing, .. }) => life.process.kill_at_point(point, *passing),
            _ => {}
        }
        world.was_born(&life);
        world.tell(|| format!("{} starts", life.name));
        let running = tokio::spawn(
            life.process
                .run(run(life.clone(), Arc::clone(&options), stop.clone())),
        );
        let end = life.process.ended();
        let trouble = disturb(&world, operator, &life.process, &mut clock);
        let term = async {
            match crash {
                Some(Fault::Term { at, .. }) => sleep_until(world.at(*at)).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = end => world.tell(|| format!("{} dies", life.name)),
            () = term => {
                world.tell(|| format!("{} is asked to end", life.name));
                life.process.go_on();
                stop.cancel();
                let _ = running.await;
                world.tell(|| format!("{} has ended", life.name));
                life.process.kill();
            }
            () = trouble => {}
        }
        let pause = match crash {
            Some(
                Fault::Crash { back_after, .. }
                | Fault::CrashAt { back_after, .. }
                | Fault::Term { back_after, .. },
            ) => *back_after,
            _ => 0,
        };
        sleep(Duration::from_millis(pause)).await;
    }
}

/// What happens to a process at its times; never ends.
async fn disturb(world: &World, operator: usize, process: &Process, clock: &mut i64) {
    let mut due: Vec<(u64, &Fault)> = world
        .scenario
        .faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Pause { operator: of, at, .. }
            | Fault::Cut { operator: of, at, .. }
            | Fault::Clock { operator: of, at, .. }
                if *of == operator =>
            {
                Some((*at, fault))
            }
            _ => None,
        })
        .collect();
    due.sort_by_key(|(at, _)| *at);
    for (at, fault) in due {
        if at < world.millis() {
            continue;
        }
        sleep_until(world.at(at)).await;
        world.tell(|| format!("operator {operator}: {fault:?}"));
        match fault {
            Fault::Pause { millis, .. } => {
                process.stop();
                sleep(Duration::from_millis(*millis)).await;
                process.go_on();
            }
            Fault::Cut { millis, .. } => world.cut(operator, world.at(at + millis)),
            Fault::Clock { by, .. } => {
                *clock += by;
                process.set_clock(*by);
            }
            _ => {}
        }
    }
    std::future::pending().await
}

/// What the program does.
async fn run(life: Life, options: Arc<RunOptions>, stop: CancellationToken) {
    let contact = Contact::new(Duration::from_secs(PARTITION_SECONDS));
    let client = line::client(&life, &contact);
    tokio::spawn(fault::task({
        let (contact, client) = (contact.clone(), client.clone());
        async move { contact.keep_probing(client).await }
    }));
    let turns = Turns::default();
    let events = EventQueue::start(line::client_for_events(), life.name.clone(), turns.clone());
    let http = HttpCaller::in_world(HttpSettings::default(), sites::sites(&life));
    let reach = Reach {
        client,
        contact,
        http,
        events: events.clone(),
        turns,
        readiness: Readiness::default(),
        metrics: None,
        webhooks: None,
        instance: life.name.clone(),
        process: life.name.clone(),
    };
    let outcome = operator::run(&options, reach, stop).await;
    // Nobody restores a backup here.
    assert_eq!(outcome, Ok(()));
}
