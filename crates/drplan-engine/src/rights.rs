//! What the ServiceAccount of a run must be allowed, as far as that is known before the run.
//!
//! One home for controller and CLI. What follows is read off what `drplan-actions` sends: a change there that asks the
//! API server for something else belongs here too, and the tests of the rights on a real control plane tell.

mod guess;

use std::collections::BTreeMap;

use drplan_api::{
    ActionPath, Right, Verb,
    canonical::{Doing, JobName, Operation, Work},
    status::ObjectRef,
};
use drplan_template::Value;

use crate::{
    graph::ActionIndex,
    job_name,
    object_render::render_object,
    render::{number, plain},
    run::Run,
    sealed::Sealed,
    task::Task,
    undo::Undo,
};

/// Attempts of a Job with a name of its own that are granted by name; for more every Job of the namespace is.
const NAMED_ATTEMPTS_MAX: u32 = 10;

/// What a right is needed for: the earlier, the more depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// An action fails without it.
    Action,
    /// A Job that goes wrong cannot be ended or explained without it.
    Trouble,
    /// A Revert fails without it.
    Undo,
}

/// A kind, as manifests name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Group and version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
}

/// The resource that a kind is served as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The plural.
    pub resource: String,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

/// What the actions of a run ask the API server for, as their ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    needed: Vec<Need>,
    /// What is not known before the run: the action, and why.
    pub open: Vec<(ActionPath, String)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Need {
    verb: Verb,
    kind: Kind,
    /// Such as `log`.
    subresource: Option<&'static str>,
    namespace: String,
    name: Option<String>,
    purpose: Purpose,
    path: ActionPath,
}

/// What an action is about, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    kind: Kind,
    namespace: String,
    /// None: not known, or several.
    names: Option<Vec<String>>,
}

/// What the ServiceAccount of `run` needs: for its actions and, unless it is a Revert, for undoing them.
///
/// Texts are rendered with the values of the run. Where an object is that depends on outputs or on times is left open.
pub fn needs(run: &Run) -> Needs {
    let mut needs = Needs::default();
    for at in run.graph.actions() {
        let action = run.action(at);
        match run.task(at) {
            Task::Nothing(_) => {}
            Task::Delete { undo, .. } => {
                if let Undo::Delete(object) | Undo::DeleteIfOurs { object, .. } = undo {
                    needs.deletion(&of_object(object), Purpose::Action, &run.path(at));
                }
            }
            Task::Written(doing) if run.reverted.is_some() => {
                needs.doing(run, at, doing, true, Purpose::Action);
            }
            Task::Written(doing) => {
                let place = needs.doing(run, at, doing, false, Purpose::Action);
                match (&action.rollback, place) {
                    (Some(rollback), _) => drop(needs.doing(run, at, rollback, true, Purpose::Undo)),
                    (None, Some(place)) if makes_something(&doing.work) => {
                        needs.deletion(&place, Purpose::Undo, &run.path(at));
                    }
                    (None, _) => {}
                }
            }
        }
    }
    needs
}

/// Whether an undo without rollback deletes what it made.
fn makes_something(work: &Work) -> bool {
    match work {
        Work::Http(_) => false,
        Work::Job(_) => true,
        Work::Localization(localization) => makes(localization.operation),
        Work::Subscription(subscription) => makes(subscription.operation),
        Work::KubernetesResource(resource) => makes(resource.operation),
    }
}

fn makes(operation: Operation) -> bool {
    match operation {
        Operation::Create | Operation::Apply => true,
        Operation::Patch | Operation::Delete => false,
    }
}

impl Needs {
    /// Enters what `doing` needs, and returns where it acts, if that is known.
    fn doing(
        &mut self,
        run: &Run,
        at: ActionIndex,
        doing: &Doing,
        is_rollback: bool,
        purpose: Purpose,
    ) -> Option<Place> {
        let path = run.path(at);
        self.values_read(run, at, doing, is_rollback, purpose);
        let found = match &doing.work {
            Work::Http(_) => return None,
            Work::Job(_) => guess::known(run, at, is_rollback, |data| {
                job_place(run, doing, is_rollback, data)
            }),
            Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {
                guess::known(run, at, is_rollback, |data| object_place(run, &doing.work, data))
            }
        };
        let place = match found {
            Ok(place) => place,
            Err(why) => {
                let what = if is_rollback { "its rollback " } else { "" };
                self.open.push((path, format!("{what}{why}")));
                return None;
            }
        };
        let operation = match &doing.work {
            Work::Http(_) => return None,
            Work::Job(job) => {
                self.all(&place, &[Verb::Create, Verb::Get], purpose, &path);
                let trouble = purpose.max(Purpose::Trouble);
                self.all(&place, &[Verb::Delete], trouble, &path);
                if job.ttl_seconds_after_finished.is_some() {
                    self.all(&place, &[Verb::Patch], trouble, &path);
                }
                self.pods(&place.namespace, trouble, &path);
                return Some(place);
            }
            Work::Localization(localization) => localization.operation,
            Work::Subscription(subscription) => subscription.operation,
            Work::KubernetesResource(resource) => resource.operation,
        };
        let verbs: &[Verb] = match operation {
            Operation::Create => &[Verb::Get, Verb::Create],
            // One that is absent is made by the same request, for which the API server asks for both.
            Operation::Apply => &[Verb::Get, Verb::Create, Verb::Patch],
            Operation::Patch => &[Verb::Get, Verb::Patch],
            Operation::Delete => &[Verb::Get, Verb::Delete],
        };
        self.all(&place, verbs, purpose, &path);
        Some(place)
    }

    /// Secrets and ConfigMaps whose values go into what is sent.
    fn values_read(
        &mut self,
        run: &Run,
        at: ActionIndex,
        doing: &Doing,
        is_rollback: bool,
        purpose: Purpose,
    ) {
        let namespace = &run.snapshot.namespace;
        let data = guess::any(run, at, is_rollback);
        // What lands where it must not is a problem of its own.
        let sealed = Sealed::of(run.sealed_parameters(at), doing, namespace, &data);
        for source in sealed
            .ok()
            .flatten()
            .into_iter()
            .flat_map(|sealed| sealed.sources)
        {
            let place = Place {
                kind: kind("v1", source.kind()),
                namespace: namespace.clone(),
                names: Some(vec![source.at().name.clone()]),
            };
            self.all(&place, &[Verb::Get], purpose, &run.path(at));
        }
    }

    /// An undo by deletion, which sees the object go.
    fn deletion(&mut self, place: &Place, purpose: Purpose, path: &ActionPath) {
        self.all(place, &[Verb::Get, Verb::Watch, Verb::Delete], purpose, path);
    }

    /// Why a Job failed.
    fn pods(&mut self, namespace: &str, purpose: Purpose, path: &ActionPath) {
        for (verb, subresource) in [(Verb::List, None), (Verb::Get, Some("log"))] {
            self.needed.push(Need {
                verb,
                kind: kind("v1", "Pod"),
                subresource,
                namespace: namespace.to_owned(),
                name: None,
                purpose,
                path: path.clone(),
            });
        }
    }

    fn all(&mut self, place: &Place, verbs: &[Verb], purpose: Purpose, path: &ActionPath) {
        for verb in verbs {
            // An object that is not there yet has no name that a rule could tell.
            let names = place.names.as_ref().filter(|_| *verb != Verb::Create);
            let names = names.map_or_else(|| vec![None], |names| names.iter().cloned().map(Some).collect());
            for name in names {
                self.needed.push(Need {
                    verb: *verb,
                    kind: place.kind.clone(),
                    subresource: None,
                    namespace: place.namespace.clone(),
                    name,
                    purpose,
                    path: path.clone(),
                });
            }
        }
    }

    /// The kinds that they are about, each once.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.needed.iter().map(|need| need.kind.clone()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// The rights, each once with the most important purpose, `served` telling what each kind is served as. What is
    /// about kinds that it does not know is left open.
    pub fn rights(&self, served: impl Fn(&Kind) -> Option<Served>) -> Rights {
        let mut rights = Rights {
            needed: BTreeMap::new(),
            open: self.open.clone(),
        };
        for need in &self.needed {
            let Some(found) = served(&need.kind) else {
                let Kind { api_version, kind } = &need.kind;
                let open = (
                    need.path.clone(),
                    format!("is about {kind} of {api_version}, which is not served"),
                );
                if !rights.open.contains(&open) {
                    rights.open.push(open);
                }
                continue;
            };
            let (group, _) = need.kind.api_version.split_once('/').unwrap_or_default();
            let right = Right {
                namespace: found.namespaced.then(|| need.namespace.clone()),
                group: group.to_owned(),
                resource: match need.subresource {
                    None => found.resource,
                    Some(part) => format!("{}/{part}", found.resource),
                },
                name: need.name.clone(),
                verb: need.verb,
            };
            let purpose = rights.needed.entry(right).or_insert(need.purpose);
            *purpose = need.purpose.min(*purpose);
        }
        rights
    }
}

/// What a ServiceAccount must be allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rights {
    /// Each right with what it is needed for.
    pub needed: BTreeMap<Right, Purpose>,
    /// What is not known before the run: the action, and why.
    pub open: Vec<(ActionPath, String)>,
}

fn kind(api_version: &str, kind: &str) -> Kind {
    Kind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    }
}

/// Where an object stands that is recorded.
fn of_object(object: &ObjectRef) -> Place {
    Place {
        kind: kind(
            object.api_version.as_deref().unwrap_or_default(),
            object.kind.as_deref().unwrap_or_default(),
        ),
        namespace: object.namespace.clone().unwrap_or_default(),
        names: Some(vec![object.name.clone()]),
    }
}

/// Where an object action acts; none where it does not render.
fn object_place(run: &Run, work: &Work, data: &Value) -> Option<Place> {
    let rendered = render_object(work, &run.snapshot.namespace, data).ok()??;
    Some(of_object(&rendered.target))
}

/// Where the Jobs of an action are; none where that does not render.
fn job_place(run: &Run, doing: &Doing, is_rollback: bool, data: &Value) -> Option<Place> {
    let Work::Job(job) = &doing.work else { return None };
    let namespace = match &job.namespace {
        None => String::new(),
        Some(source) => plain("job.namespace", source, data).ok()?.trim().to_owned(),
    };
    let retries = match &doing.retry {
        None => Some(0),
        Some(retry) => number("retryPolicy.limit", &retry.limit, data).ok(),
    };
    let attempts = retries.map(|retries| retries.saturating_add(1));
    let names = match (&job.name, attempts) {
        // The attempts of a rollback are counted on over Reverts.
        (JobName::Fixed(source), Some(attempts @ ..=NAMED_ATTEMPTS_MAX)) if !is_rollback => {
            let name = plain("job.name", source, data).ok()?;
            Some(
                (1..=attempts)
                    .map(|attempt| job_name::fixed(name.trim(), attempt))
                    .collect(),
            )
        }
        (JobName::Fixed(_) | JobName::Prefix(_), _) => None,
    };
    Some(Place {
        kind: kind("batch/v1", "Job"),
        namespace: match namespace.as_str() {
            "" => run.snapshot.namespace.clone(),
            _ => namespace,
        },
        names,
    })
}
