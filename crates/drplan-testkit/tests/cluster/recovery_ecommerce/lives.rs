//! One life after another of the operator, until an execution has ended.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use drplan_testkit::{OperatorProcess, object_until};
use serde_json::Value;

use super::shop::{PLAN, Shop, effects};
use crate::fixtures::{Manifest, action_of, create, execution_until, executions, plans, released, text};

/// Lives that no execution needs.
const LIVES_MAX: usize = 150;

/// Where the lives of the operator end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deaths {
    /// Nowhere.
    None,
    /// After each write.
    AfterWrites,
    /// Before each write: whoever comes next writes it, and dies before its next.
    BeforeWrites,
    /// At this point of each effect, once.
    AtEffects(&'static str),
}

/// Writes that a run makes besides those of its status while it runs, in this order.
const WRITES: [&str; 8] = [
    "metadata",
    "plan-finalizer",
    "lock",
    "snapshot",
    "intent",
    "result",
    "end",
    "release",
];

/// Those of them that a run makes at once, the snapshot beside the others: a life that ends with one may have made the
/// others. `recovery_kill` has a run for each.
const AT_ONCE: [&str; 4] = ["metadata", "plan-finalizer", "lock", "snapshot"];

impl Deaths {
    /// For the name of a namespace.
    pub(super) fn name(self) -> String {
        match self {
            Self::None => "shop-calm".to_owned(),
            Self::AfterWrites => "shop-after-write".to_owned(),
            Self::BeforeWrites => "shop-before-write".to_owned(),
            Self::AtEffects(point) => format!("shop-{point}"),
        }
    }

    /// Where somebody must die in this execution; each is armed in every life until it has happened.
    fn places(self, shop: &Shop<'_>, manifest: &Manifest) -> anyhow::Result<BTreeSet<String>> {
        let undone = is_revert(manifest).then_some("undone");
        let writes = |when: &str| -> BTreeSet<String> {
            let all = WRITES.into_iter().chain(undone);
            all.map(|write| format!("{when}-{write}")).collect()
        };
        Ok(match self {
            Self::None => BTreeSet::new(),
            Self::AfterWrites => writes("after"),
            Self::BeforeWrites => writes("before"),
            Self::AtEffects(point) => effects(&shop.manifests()?, is_revert(manifest))
                .into_iter()
                .map(|effect| format!("{point}@{effect}"))
                .collect(),
        })
    }

    /// What is armed besides, after these deaths.
    fn again(self, died: &[String]) -> &'static [&'static str] {
        let results = died.iter().any(|place| place == "before-result");
        match self {
            Self::AfterWrites => &["after-intent", "after-result"],
            // The first is the one before which the last life ended.
            Self::BeforeWrites if results => &["before-result#2"],
            Self::None | Self::BeforeWrites | Self::AtEffects(_) => &[],
        }
    }
}

fn is_revert(manifest: &Manifest) -> bool {
    manifest.0["spec"]["operationType"] == "Revert"
}

/// One life of the operator.
#[derive(Debug)]
pub(super) struct Life {
    /// Where it ended, if it was told to.
    died_at: Option<String>,
    /// The execution when it began and when it had ended.
    execution: [Value; 2],
}

/// Creates the execution and carries it to its end through one life of the operator after another.
pub(super) async fn live(shop: &Shop<'_>, manifest: &Manifest, deaths: Deaths) -> anyhow::Result<Vec<Life>> {
    let name = text(&manifest.0, "/metadata/name");
    let mut places = deaths.places(shop, manifest)?;
    let mut died: Vec<String> = Vec::new();
    let mut lives: Vec<Life> = Vec::new();
    loop {
        let again = deaths.again(&died).iter().copied();
        let armed: BTreeSet<&str> = places.iter().map(String::as_str).chain(again).collect();
        let faults: Vec<String> = armed.iter().map(|place| format!("{place}=kill")).collect();
        let launch = shop.launch.clone().env("DRPLAN_FAULT", faults.join(","));
        let operator = shop.t.launch_operator(launch).await?;
        let before = match lives.last() {
            Some(life) => life.execution[1].clone(),
            None => serde_json::to_value(create(shop.t, manifest).await?)?,
        };
        let end = async {
            execution_until(shop.t, name, "Succeeded").await?;
            released(shop.t, name).await?;
            // The plan's conditions follow the end of its execution in a write of their own.
            let phase = if is_revert(manifest) { "Ready" } else { "Executed" };
            object_until(&plans(shop.t), PLAN, phase, |plan| {
                (text(&plan?.data, "/status/phase") == phase).then_some(())
            })
            .await
        };
        let died_at = tokio::select! {
            code = operator.ended() => {
                let code = code?;
                ensure!(code == 128 + 9, "life {} ends with {code}", lives.len());
                Some(cause(&operator)?)
            }
            ended = end => {
                ended?;
                operator.kill9().await?;
                None
            }
        };
        let after = serde_json::to_value(executions(shop.t).get(name).await?)?;
        if let Some(place) = &died_at {
            places.remove(place);
            died.push(place.clone());
        }
        let is_over = died_at.is_none();
        lives.push(Life {
            died_at,
            execution: [before, after],
        });
        if is_over {
            break;
        }
        ensure!(
            lives.len() < LIVES_MAX,
            "{name} goes on after {LIVES_MAX} lives: {died:?}"
        );
    }
    let made_at_once = |place: &String| AT_ONCE.iter().any(|write| place.ends_with(&format!("-{write}")));
    if !is_revert(manifest) && died.iter().any(made_at_once) {
        places.retain(|place| !made_at_once(place));
    }
    ensure!(
        places.is_empty(),
        "{name} passed only {died:?}, and never {places:?}"
    );
    Ok(lives)
}

/// The fault that ended the operator.
fn cause(operator: &OperatorProcess) -> anyhow::Result<String> {
    let lines = operator.log()?;
    let happened = |line: &&Value| line["message"] == "a fault happens";
    let Some(line) = lines.iter().rev().find(happened) else {
        bail!("it was killed by nobody: {}", operator.log_tail(20));
    };
    let place = line["fault"].as_str();
    Ok(place.context("a fault has a name")?.to_owned())
}

/// How often calls may have been sent.
#[derive(Debug)]
pub(super) struct Requests {
    lives: Vec<Life>,
    deaths: Deaths,
    alone: usize,
}

impl Requests {
    /// After these lives; `alone` is how often a call is sent beside which nothing runs.
    pub(super) fn of(lives: Vec<Life>, deaths: Deaths, alone: usize) -> Self {
        Self { lives, deaths, alone }
    }

    /// Once, in the one life that there was.
    pub(super) fn once() -> Self {
        Self::of(Vec::new(), Deaths::None, 1)
    }

    /// Whether nobody died.
    pub(super) fn is_calm(&self) -> bool {
        matches!(self.deaths, Deaths::None)
    }

    /// Asserts that the call of this action was sent as often as it had to be.
    ///
    /// Beside others it may have been sent once in each life that had its intent and not yet its result, except those
    /// that ended before they sent it.
    pub(super) fn check(&self, path: &str, sent: usize, is_alone: bool) -> anyhow::Result<()> {
        let open = self
            .lives
            .iter()
            .filter(|life| life.may_have_sent(path, self.deaths));
        let most = if self.is_calm() { 1 } else { open.count() };
        let least = match self.deaths {
            // Its result may have come too late for a write that was never made.
            Deaths::BeforeWrites if !is_alone => 1,
            Deaths::None | Deaths::AfterWrites | Deaths::BeforeWrites | Deaths::AtEffects(_) => self.alone,
        };
        ensure!(
            (least..=most).contains(&sent) && (sent == least || !is_alone),
            "{path} was sent {sent} times, not {least} to {most}"
        );
        Ok(())
    }
}

impl Life {
    fn may_have_sent(&self, path: &str, deaths: Deaths) -> bool {
        let phase = |execution: &Value| text(action_of(execution, path), "/phase").to_owned();
        let [begin, end] = self.execution.each_ref().map(phase);
        let was_open = matches!(begin.as_str(), "" | "Pending" | "Running");
        let is_intended = matches!(end.as_str(), "Running" | "Succeeded");
        let died_before = match deaths {
            // It ended when it had written the intent.
            Deaths::AfterWrites => begin != "Running" && end == "Running",
            Deaths::AtEffects("before-effect") => self.died_at.as_ref().is_some_and(|place| {
                let of = place
                    .split_once("@Call:")
                    .map(|(_, of)| of.trim_end_matches("/undo"));
                of == Some(path)
            }),
            Deaths::None | Deaths::BeforeWrites | Deaths::AtEffects(_) => false,
        };
        was_open && is_intended && !died_before
    }
}
