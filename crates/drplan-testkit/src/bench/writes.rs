//! What a run costs the API server in writes, by its own account.

use std::time::Duration;

use crate::bench::objects::{apply_plan, ended, execute, looked_at};
use crate::bench::site::Site;
use crate::eventually::{Seen, eventually};
use crate::namespace::TestNamespace;

/// The sizes of the two runs, between which the slope is taken.
const SIZES: [usize; 2] = [20, 100];

/// Writes of one run.
#[derive(Debug, Clone, Copy)]
struct Writes {
    objects: usize,
    events: usize,
}

/// What runs cost.
#[derive(Debug)]
pub(super) struct Cost {
    /// Writes for each action, but for Events.
    pub(super) per_action: f64,
    /// Events for each action.
    pub(super) events_per_action: f64,
    /// Writes of a run besides those of its actions, but for Events.
    pub(super) fixed: f64,
}

/// Counts the writes of a run of 20 and of one of 100 HTTP actions.
pub(super) async fn cost(t: &TestNamespace) -> anyhow::Result<Cost> {
    let site = Site::start(Duration::ZERO).await?;
    let [small, large] = [
        writes(t, &site, SIZES[0]).await?,
        writes(t, &site, SIZES[1]).await?,
    ];
    let actions = (SIZES[1] - SIZES[0]) as f64;
    let per_action = (large.objects - small.objects) as f64 / actions;
    Ok(Cost {
        per_action,
        events_per_action: (large.events - small.events) as f64 / actions,
        fixed: small.objects as f64 - per_action * SIZES[0] as f64,
    })
}

async fn writes(t: &TestNamespace, site: &Site, actions: usize) -> anyhow::Result<Writes> {
    let name = format!("writes-{actions}");
    let urls: Vec<String> = (0..actions)
        .map(|action| site.url(&format!("/{name}/{action}")))
        .collect();
    apply_plan(t, &name, &urls).await?;
    looked_at(t, &name).await?;
    let audit = t.control_plane.audit().from_now().namespace(&t.name);
    let audit = audit.user(&format!("operator:{}", t.name));
    execute(t, &name, &name).await?;
    ended(t, &name).await?;
    // Two Events for each action and four for a run of one stage follow beside it; the log a moment later.
    let wanted = 2 * actions + 4;
    eventually("all events of the run", async || {
        let written: Vec<_> = audit
            .entries()?
            .into_iter()
            .filter(|entry| ["create", "update", "patch", "delete"].contains(&entry.verb.as_str()))
            .filter(|entry| entry.code() < 300)
            .collect();
        let is_event = |resource: &str| resource == "events";
        let events = written
            .iter()
            .filter(|entry| {
                entry
                    .object_ref
                    .as_ref()
                    .is_some_and(|object| is_event(&object.resource))
            })
            .count();
        let writes = Writes {
            objects: written.len() - events,
            events,
        };
        Ok(Seen::when((events >= wanted).then_some(writes), || {
            format!("{writes:?}")
        }))
    })
    .await
}
