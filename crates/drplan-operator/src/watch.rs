//! The watches over the three kinds, and the re-list that catches what a watch has missed.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use drplan_api::{DRPlan, DRWorkflow, labels};
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::time::MissedTickBehavior;

use crate::{
    context::Context,
    fault,
    index::{Card, Key, PlanEntry, WorkflowEntry, key_of},
    raw::Raw,
    record::annotation,
    setback::Setback,
    store::{StoreError, bounded},
};

/// Objects in one page of a list. Executions are the largest, some 30 KiB each, so a page is a few MiB at most.
const PAGE_SIZE: u32 = 100;

/// A kind as the watches see it.
pub trait Watched:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + fmt::Debug
    + Send
    + 'static
{
    /// The plural, for logs and fault points.
    const PLURAL: &'static str;
    /// Takes in a version of an object. What depends on it is put in the queues.
    fn seen(self, context: &Context);
    /// Takes in that an object is gone.
    fn gone(key: &Key, context: &Context);
    /// The UID and version of every object of the kind that is known.
    fn known(context: &Context) -> BTreeMap<Key, ObjectMeta>;
    /// Whether a process that starts now would go on with it, and nobody has said that it may.
    fn goes_on(&self) -> bool {
        false
    }
}

impl Watched for Raw<DRWorkflow> {
    const PLURAL: &'static str = "drworkflows";

    fn seen(self, context: &Context) {
        let entry = WorkflowEntry::of(self);
        let key = key_of(&entry.meta);
        if context.index.put_workflow(entry) {
            requeue_users(context, &key);
            context.queues.workflows.push(key);
        }
    }

    fn gone(key: &Key, context: &Context) {
        context.index.remove_workflow(key);
        requeue_users(context, key);
    }

    fn known(context: &Context) -> BTreeMap<Key, ObjectMeta> {
        context.index.workflow_versions()
    }
}

impl Watched for Raw<DRPlan> {
    const PLURAL: &'static str = "drplans";

    fn seen(self, context: &Context) {
        let entry = context.index.plan_of(self);
        plan_seen(context, entry);
    }

    fn gone(key: &Key, context: &Context) {
        context.index.remove_plan(key);
    }

    fn known(context: &Context) -> BTreeMap<Key, ObjectMeta> {
        context.index.plan_versions()
    }
}

impl Watched for Card {
    const PLURAL: &'static str = "drplanexecutions";

    fn seen(self, context: &Context) {
        let key = key_of(&self.metadata);
        let plan = self.plan().map(|plan| (key.0.clone(), plan.to_owned()));
        let before = context.index.execution(&key).and_then(|known| known.phase());
        let after = self.phase();
        if let Some(transitions) = self.status.lease_transitions {
            context
                .leadership
                .saw(transitions, self.status.process.as_deref());
        }
        if context.index.put_execution(self) {
            context.queues.executions.push(key);
            if let Some(plan) = plan.filter(|_| before != after) {
                context.queues.plans.push(plan);
            }
        }
    }

    fn gone(key: &Key, context: &Context) {
        if let Some(plan) = context.index.remove_execution(key) {
            context.queues.plans.push(plan);
        }
    }

    fn known(context: &Context) -> BTreeMap<Key, ObjectMeta> {
        context.index.execution_versions()
    }

    fn goes_on(&self) -> bool {
        let meta = &self.metadata;
        let is_decided = [labels::CANCEL, labels::RESUME]
            .iter()
            .any(|command| annotation(meta, command).is_some());
        !self.is_terminal() && !is_decided && meta.deletion_timestamp.is_none()
    }
}

/// Takes in a plan and has it looked at, if what is known of it is older.
pub fn plan_seen(context: &Context, entry: PlanEntry) {
    let key = entry.key();
    if context.index.put_plan(entry) {
        requeue_pending(context, &key);
        context.queues.plans.push(key);
    }
}

/// The plans that use workflow `key`, and what waits for it.
fn requeue_users(context: &Context, key: &Key) {
    for plan in context.index.plans_using(key) {
        requeue_pending(context, &plan);
        context.queues.plans.push(plan);
    }
}

/// The executions of plan `key` that have not ended: what they wait for may be there now.
fn requeue_pending(context: &Context, key: &Key) {
    for card in context.index.executions_of(key) {
        if !card.is_terminal() {
            context.queues.executions.push(key_of(&card.metadata));
        }
    }
}

/// Watches the three kinds in all served namespaces until dropped; calls `warm` once everything has been listed.
pub async fn watch_all(context: &Arc<Context>, warm: impl FnOnce()) {
    let lists = tokio::sync::Semaphore::new(0);
    let scopes = scopes(context);
    let count = scopes.len() * 3;
    let watches = scopes.iter().map(|scope| async {
        tokio::join!(
            watch::<Raw<DRWorkflow>>(context, scope.as_deref(), &lists),
            watch::<Raw<DRPlan>>(context, scope.as_deref(), &lists),
            watch::<Card>(context, scope.as_deref(), &lists),
        );
    });
    let warmed = async {
        if lists
            .acquire_many(u32::try_from(count).unwrap_or(u32::MAX))
            .await
            .is_ok()
        {
            warm();
        }
    };
    tokio::join!(futures::future::join_all(watches), warmed);
}

/// The namespaces to ask; none means all.
fn scopes(context: &Context) -> Vec<Option<String>> {
    match context.settings.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    }
}

fn api<K: Watched>(client: &Client, scope: Option<&str>) -> Api<K> {
    match scope {
        None => Api::all(client.clone()),
        Some(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

async fn watch<K: Watched>(context: &Context, scope: Option<&str>, lists: &tokio::sync::Semaphore) {
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    let mut events = std::pin::pin!(watcher(api::<K>(&context.client, scope), config).default_backoff());
    let mut listing = BTreeMap::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listing.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listing.insert(key_of(object.meta()), ());
                object.seen(context);
            }
            Ok(watcher::Event::InitDone) => {
                forget_others::<K>(context, scope, &listing);
                if std::mem::take(&mut first) {
                    lists.add_permits(1);
                }
            }
            Ok(watcher::Event::Apply(object)) => {
                if !fault::swallows(K::PLURAL) {
                    object.seen(context);
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                if !fault::swallows(K::PLURAL) {
                    K::gone(&key_of(object.meta()), context);
                }
            }
            Err(error) => {
                tracing::warn!(
                    kind = K::PLURAL,
                    error = crate::store::chain(&error),
                    "a watch was interrupted, it starts again"
                );
            }
        }
    }
}

/// What is known and was not listed is gone.
fn forget_others<K: Watched>(context: &Context, scope: Option<&str>, listing: &BTreeMap<Key, ()>) {
    for key in K::known(context).into_keys() {
        if scope.is_none_or(|scope| scope == key.0) && !listing.contains_key(&key) {
            K::gone(&key, context);
        }
    }
}

/// Lists everything anew every `interval`, by metadata, and takes in what differs from what is known: the safety net
/// under the watches. Returns once the API server is known to have gone back for good.
pub async fn relist_all(context: &Arc<Context>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once; the watches have just listed.
    ticks.tick().await;
    let mut setback = Setback::new(interval);
    loop {
        ticks.tick().await;
        let mut is_whole = true;
        for scope in scopes(context) {
            let scope = scope.as_deref();
            let outcomes = [
                relist::<Raw<DRWorkflow>>(context, scope, &mut setback).await,
                relist::<Raw<DRPlan>>(context, scope, &mut setback).await,
                relist::<Card>(context, scope, &mut setback).await,
            ];
            if let Some(error) = outcomes.into_iter().find_map(Result::err) {
                tracing::warn!(error = %error, "the re-list did not finish");
                is_whole = false;
            }
        }
        if setback.ends(context, is_whole) {
            return;
        }
    }
}

async fn relist<K: Watched>(
    context: &Context,
    scope: Option<&str>,
    setback: &mut Setback,
) -> Result<(), StoreError> {
    let api = api::<K>(&context.client, scope);
    let mut listed = BTreeMap::new();
    let mut page = ListParams::default().limit(PAGE_SIZE);
    let before = K::known(context);
    loop {
        let answer = bounded(api.list_metadata(&page)).await?;
        if page.continue_token.is_none() {
            setback.listed(K::PLURAL, answer.metadata.resource_version.as_deref());
        }
        for object in answer.items {
            listed.insert(key_of(&object.metadata), object.metadata.resource_version);
        }
        match answer.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    let known = K::known(context);
    let changed = listed.iter().filter(|(key, version)| {
        known
            .get(*key)
            .is_none_or(|known| known.resource_version != **version)
    });
    let vanished = known
        .keys()
        .filter(|key| scope.is_none_or(|scope| scope == key.0) && !listed.contains_key(*key));
    // Each suspect is read live: it may have changed since the list, or since what is known.
    for key in changed.map(|(key, _)| key).chain(vanished) {
        let one = Api::<K>::namespaced(context.client.clone(), &key.0);
        match bounded(one.get_opt(&key.1)).await? {
            Some(object) => {
                if let Some(known) = before.get(key) {
                    setback.read(object.meta(), known, object.goes_on());
                }
                object.seen(context);
            }
            None => K::gone(key, context),
        }
    }
    Ok(())
}
