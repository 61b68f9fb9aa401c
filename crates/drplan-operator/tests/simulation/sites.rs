//! The sites that are called.

use std::{sync::Arc, time::Duration};

use drplan_actions::World as Sites;
use drplan_engine::effect::FailureKind;
use futures::FutureExt;
use http::{Request, Response};
use tokio::time::sleep;

use crate::{
    dice::Dice,
    process::Life,
    scenario::{Fates, Ill},
    world::pass,
};

/// What becomes of a call that arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answers(u16),
    Refuses,
    Breaks,
    Hangs,
}

/// The sites as a process reaches them.
pub(crate) fn sites(life: &Life) -> Sites {
    let life = life.clone();
    Arc::new(move |request| call(life.clone(), request).boxed())
}

async fn call(life: Life, request: Request<String>) -> Result<Response<Vec<u8>>, FailureKind> {
    if life.process.is_dead() {
        return std::future::pending().await;
    }
    let world = &life.world;
    let key = request.headers().get("idempotency-key").unwrap();
    let key = key.to_str().unwrap().to_owned();
    let passage = world.passage();
    world.called(&life.name, &key);
    world.tell(|| {
        let ill = passage.ill.map_or_else(String::new, |ill| format!(" ({ill:?})"));
        format!(
            "{} calls #{}: {} {} as {key}{ill}",
            life.name,
            passage.nth,
            request.method(),
            request.uri()
        )
    });
    let mut dice = Dice::of_text(world.scenario.seed, &key, world.arrivals(&key));
    let fate = match dice.below(100) {
        0..78 => Fate::Answers(200),
        78..85 => Fate::Answers(500),
        85..88 => Fate::Answers(503),
        88..91 => Fate::Answers(404),
        91..94 => Fate::Refuses,
        94..97 => Fate::Breaks,
        _ => Fate::Hangs,
    };
    let is_undo = key.ends_with("/undo");
    let fate = match world.scenario.fates {
        Fates::Random => fate,
        Fates::Good => Fate::Answers(200),
        Fates::BadOnce if key.ends_with("/a1") && world.arrivals(&key) == 0 => Fate::Answers(500),
        Fates::BadOnce => Fate::Answers(200),
        Fates::Bad if is_undo => Fate::Answers(200),
        Fates::Bad => Fate::Answers(500),
    };
    let takes = Duration::from_millis(dice.small(3000));
    match (fate, passage.ill) {
        (_, Some(Ill::Lost)) => return std::future::pending().await,
        (_, Some(Ill::Broken)) => return Err(FailureKind::ConnectionLost),
        (_, Some(Ill::Busy)) => return Ok(answer(503)),
        (Fate::Refuses, _) => return Err(FailureKind::NotConnected),
        _ => {}
    }
    if let Some(Ill::Late(millis)) = passage.ill {
        let (world, key) = (world.clone(), key.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(millis)).await;
            world.arrived(&key);
            world.tell(|| format!("the call as {key} arrives late"));
        });
        return std::future::pending().await;
    }
    pass(passage.to).await;
    world.arrived(&key);
    if fate == Fate::Answers(200) {
        world.did(&key);
    }
    pass(takes).await;
    match (fate, passage.ill) {
        (_, Some(Ill::Unanswered)) | (Fate::Hangs, _) => std::future::pending().await,
        (_, Some(Ill::Cut)) | (Fate::Breaks, _) => Err(FailureKind::ConnectionLost),
        (_, Some(Ill::Error)) => Ok(answer(500)),
        (Fate::Answers(code), ill) => {
            if let Some(Ill::Slow(millis)) = ill {
                sleep(Duration::from_millis(millis)).await;
            }
            Ok(answer(code))
        }
        (Fate::Refuses, _) => Err(FailureKind::NotConnected),
    }
}

fn answer(code: u16) -> Response<Vec<u8>> {
    let mut builder = Response::builder().status(code);
    if code == 503 {
        builder = builder.header("retry-after", "2");
    }
    builder.body(b"done".to_vec()).unwrap()
}
