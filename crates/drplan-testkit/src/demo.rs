//! The demo: a plan that goes on where it was when its operator is killed, and is undone.

mod back;
mod claims;
mod cli;
mod failure;
mod figures;
mod follow;
mod forth;
mod objects;
mod scene;
mod screen;
mod services;

use tokio::time::Instant;

use figures::Figures;
pub(crate) use follow::in_order;
use scene::Scene;
use screen::{Ink, Screen};

/// What is going to happen.
const INTRODUCTION: [&str; 5] = [
    "What is going to happen, in about a minute, on a Kubernetes cluster of its own:",
    "- A plan that moves a shop to its other site is checked, and then run.",
    "- Its operator is killed (kill -9) in the middle of a call to a database.",
    "- A new operator goes on from there. When all is done, all is undone.",
    "- The services that were called say from their journals what reached them.",
];

/// Runs the demo on a control plane of its own. Returns whether it came to its end and everything that it claims was
/// true.
///
/// With `keep` the cluster, the operator and the services go on until Ctrl-C.
///
/// # Errors
///
/// When there is no cluster to run it on.
pub async fn run(keep: bool) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let screen = Screen::new();
    screen.line(screen.ink(
        Ink::Bold,
        "A shop moves to its other site and back, and its operator is killed",
    ));
    screen.line("");
    for line in INTRODUCTION {
        screen.line(line);
    }
    screen.pause(3.0).await;

    let checked = scene::check(&screen).await?;
    let scene = Scene::set(&screen).await?;
    let result = play(&screen, &scene).await.map(|is_true| is_true && checked);
    screen.line("");
    let seconds = begun.elapsed().as_secs();
    match &result {
        Ok(true) => screen.line(screen.ink(
            Ink::Green,
            format!("Everything claimed above was checked and is true ({seconds} s)."),
        )),
        Ok(false) => screen.line(screen.ink(
            Ink::Red,
            "Not everything claimed above is true; see the lines marked FALSE.",
        )),
        Err(error) => scene.show_failure(&screen, error),
    }
    if keep {
        scene.keep(&screen).await?;
    }
    Ok(result.unwrap_or(false))
}

async fn play(screen: &Screen, scene: &Scene) -> anyhow::Result<bool> {
    scene.apply(screen).await?;
    let (run, run_is_true) = scene.forth(screen).await?;
    let (revert, undo_is_true) = scene.back(screen, &run).await?;
    Figures::of(scene, &run, &revert).await?.show(screen);
    Ok(run_is_true && undo_is_true)
}
