//! The objects of the API server: what actions and strangers make of them, and who made which.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::status::ObjectRef;
use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind, Outcome},
    object::{
        Before, Deletion, Look, Marks, ObjectCommand, ObjectDeletion, ObjectOutcome, ObjectWrite, WriteHow,
    },
};

use crate::{
    fates::{Fates, Initially},
    plans,
    random_plan::Dice,
    world::{End, failed, millis},
};

/// The field manager of strangers.
const STRANGER: &str = "kubectl";

/// An object that stands.
#[derive(Debug)]
struct Standing {
    uid: String,
    /// What its annotations say of who made it: execution UID and action path.
    marks: Option<(String, String)>,
    managers: BTreeSet<String>,
    /// Whether what an Apply writes is in conflict with strangers.
    conflicts: bool,
    /// When it is gone, if it is being deleted.
    gone_at: Option<i64>,
}

/// A command as it arrives.
pub(crate) struct Request<'a> {
    pub(crate) identity: &'a EffectIdentity,
    pub(crate) action: &'a str,
    pub(crate) attempt: u32,
    pub(crate) process: u32,
    pub(crate) command: &'a ObjectCommand,
    /// A stranger is a moment quicker.
    pub(crate) raced: bool,
}

/// What outlives every process.
pub(crate) struct Objects {
    fates: Fates,
    names: Vec<String>,
    standing: BTreeMap<String, Standing>,
    /// The path of the action that made each object, by UID; none: a stranger.
    makers: BTreeMap<String, Option<String>>,
    /// Paths of actions that changed or deleted what somebody made.
    changed: BTreeSet<String>,
    /// Paths of actions of which everything was done that they are for.
    done: BTreeSet<String>,
    /// Which process sent which attempt of which action.
    sent: BTreeMap<(String, u32), Vec<u32>>,
    asked: BTreeMap<(String, u32), u32>,
    /// Objects that an Apply has marked by mistake, by its path: it takes the marks off before it answers.
    mistaken: BTreeMap<String, String>,
    /// What happened of what seldom does.
    pub(crate) sights: BTreeMap<&'static str, u32>,
}

impl Objects {
    /// `names` are those that anything is done to.
    pub(crate) fn new(fates: Fates, names: BTreeSet<String>, start: i64) -> Self {
        let mut objects = Self {
            fates,
            names: names.iter().cloned().collect(),
            standing: BTreeMap::new(),
            makers: BTreeMap::new(),
            changed: BTreeSet::new(),
            done: BTreeSet::new(),
            sent: BTreeMap::new(),
            asked: BTreeMap::new(),
            mistaken: BTreeMap::new(),
            sights: BTreeMap::new(),
        };
        for name in names {
            let (conflicts, gone_at) = match fates.initially(&name) {
                Initially::Absent => continue,
                Initially::Present { conflicts } => (conflicts, None),
                Initially::Deleted(span) => (false, Some(start + millis(span))),
            };
            objects.make(&name, None, None, STRANGER);
            let made = objects.standing.get_mut(&name).unwrap();
            (made.conflicts, made.gone_at) = (conflicts, gone_at);
        }
        objects
    }

    /// Whether the action at `path` made the object with this UID.
    pub(crate) fn made_by(&self, uid: &str, path: &str) -> bool {
        self.makers[uid].as_deref() == Some(path)
    }

    /// Whether there is anything in the world that the action at `path` made or changed.
    pub(crate) fn is_touched_by(&self, path: &str) -> bool {
        let mut standing = self.standing.values();
        self.changed.contains(path) || standing.any(|object| self.made_by(&object.uid, path))
    }

    /// What the action at `path` made and nobody has touched since.
    pub(crate) fn left_by(&self, path: &str) -> Vec<&str> {
        let own = |live: &&Standing| {
            live.gone_at.is_none() && live.managers.len() == 1 && self.made_by(&live.uid, path)
        };
        self.standing
            .values()
            .filter(own)
            .map(|live| live.uid.as_str())
            .collect()
    }

    /// Whether the object with this UID stands.
    pub(crate) fn stands(&self, uid: &str) -> bool {
        self.standing.values().any(|live| live.uid == uid)
    }

    /// Whether what the action at `path` is for was done.
    pub(crate) fn is_done(&self, path: &str) -> bool {
        self.done.contains(path)
    }

    pub(crate) fn saw(&mut self, sight: &'static str) {
        *self.sights.entry(sight).or_default() += 1;
    }

    /// After how many milliseconds a look is answered, and what keeps it from an answer.
    pub(crate) fn ask(&mut self, action: &str, attempt: u32) -> (i64, Option<FailureKind>) {
        let asked = self.asked.entry((action.to_owned(), attempt)).or_default();
        let fate = self.fates.look(action, attempt, *asked);
        *asked += 1;
        (millis(fate.millis), fate.failure)
    }

    /// What stands there.
    ///
    /// # Errors
    /// When to look again: it is being deleted, and that is waited for.
    pub(crate) fn look(&mut self, look: &Look, now: i64) -> Result<Result<ObjectOutcome, Failure>, i64> {
        self.settle(now);
        let found = self.standing.get(&key(&look.target));
        let going = found.and_then(|live| live.gone_at).filter(|_| look.await_gone);
        if let Some(gone_at) = going {
            self.saw("a namesake was waited for");
            let deadline = look.deadline.as_millis();
            if now < deadline {
                return Err(gone_at.min(deadline));
            }
            return Ok(Err(Failure::new(FailureKind::Timeout, "still being deleted")));
        }
        let marks = found.and_then(|live| {
            let (execution_uid, action_path) = live.marks.clone()?;
            let managers = live.managers.iter().cloned().collect();
            Some(Marks {
                execution_uid,
                action_path,
                managers,
            })
        });
        let before = found.map_or(Before::Absent, |live| Before::Present(live.uid.clone()));
        let lists = Vec::new();
        Ok(Ok(ObjectOutcome::Found { before, marks, lists }))
    }

    /// The end of a command that arrives now.
    pub(crate) fn perform(&mut self, request: &Request<'_>, now: i64) -> End {
        self.settle(now);
        let (action, attempt, path) = (request.action, request.attempt, request.identity.path.as_str());
        let sent = self.sent.entry((action.to_owned(), attempt)).or_default();
        assert!(
            !sent.contains(&request.process),
            "{action}#{attempt} is sent twice by one process"
        );
        let times = u32::try_from(sent.len()).unwrap();
        sent.push(request.process);
        self.mistaken.remove(path);
        let (fate, arrives) = self.fates.request(action, attempt, times);
        let end = now + millis(fate.millis);
        if fate.failure.is_some() && !arrives {
            return (end, fate.failure.map(failed).unwrap());
        }
        let outcome = match request.command {
            ObjectCommand::Look(look) => panic!("a look is no effect: {look:?}"),
            ObjectCommand::Delete(deletion) => self.delete(path, deletion, now),
            ObjectCommand::Write(write) => {
                if request.raced && !self.standing.contains_key(&key(&write.target)) {
                    self.make(&key(&write.target), None, None, STRANGER);
                }
                // Who sends it late only finds what was made.
                let late = request.process > 0 && now >= write.deadline.as_millis();
                match &write.how {
                    WriteHow::Create(_) => self.create(request.identity, write, late),
                    WriteHow::Apply { force, .. } => self.apply(request, write, *force, late),
                    WriteHow::Patch { .. } => self.patch(path, write, late),
                }
            }
        };
        if matches!(outcome, Outcome::Object(_)) {
            self.done.insert(path.to_owned());
        }
        (end, fate.failure.map_or(outcome, failed))
    }

    /// The answer to the command of the action at `path` has come: what that saw to before is done.
    pub(crate) fn answered(&mut self, path: &str) {
        if let Some(name) = self.mistaken.remove(path)
            && let Some(live) = self.standing.get_mut(&name)
        {
            live.marks = None;
        }
    }

    fn create(&mut self, identity: &EffectIdentity, write: &ObjectWrite, late: bool) -> Outcome {
        let name = key(&write.target);
        let is_ours = |live: &Standing| is_marked(live, identity);
        match self.standing.get(&name) {
            Some(live) if is_ours(live) => {
                let adopted = written(live, true);
                self.saw("a Create was adopted");
                adopted
            }
            Some(live)
                if live
                    .gone_at
                    .is_none_or(|gone_at| gone_at > write.deadline.as_millis()) =>
            {
                failed(FailureKind::AlreadyExists)
            }
            _ if late => failed(FailureKind::NotCreated),
            _ => {
                self.make(&name, Some(identity), Some(write), &write.field_manager);
                written(&self.standing[&name], true)
            }
        }
    }

    fn apply(&mut self, request: &Request<'_>, write: &ObjectWrite, force: bool, late: bool) -> Outcome {
        let (name, identity) = (key(&write.target), request.identity);
        let was_absent = write.before == Before::Absent;
        let manager = &write.field_manager;
        let Some(live) = self.standing.get_mut(&name) else {
            if late {
                return failed(FailureKind::Timeout);
            }
            let marked = was_absent.then_some(write);
            self.make(&name, Some(identity), marked, manager);
            return written(&self.standing[&name], was_absent);
        };
        let is_ours = was_absent && is_marked(live, identity) && live.managers.iter().eq([manager]);
        if is_ours {
            return written(live, true);
        }
        if late || live.gone_at.is_some() {
            return failed(FailureKind::Timeout);
        }
        if live.conflicts && !force {
            return failed(FailureKind::FieldConflict);
        }
        live.managers.insert(manager.clone());
        live.conflicts = false;
        let answer = written(live, false);
        self.changed.insert(identity.path.as_str().to_owned());
        if request.raced && was_absent && live.marks.is_none() {
            live.marks = marks_of(write);
            self.mistaken.insert(identity.path.as_str().to_owned(), name);
            self.saw("an Apply marked what a stranger made");
        }
        answer
    }

    fn patch(&mut self, path: &str, write: &ObjectWrite, late: bool) -> Outcome {
        if late {
            return failed(FailureKind::Timeout);
        }
        let Some(live) = self.standing.get_mut(&key(&write.target)) else {
            return failed(FailureKind::Invalid);
        };
        live.managers.insert(write.field_manager.clone());
        self.changed.insert(path.to_owned());
        written(live, false)
    }

    fn delete(&mut self, path: &str, deletion: &ObjectDeletion, now: i64) -> Outcome {
        let name = key(&deletion.target);
        let wanted = deletion.target.uid.as_deref();
        let met = match self.standing.get_mut(&name) {
            None => Deletion::WasAbsent,
            Some(live) if wanted.is_some_and(|uid| uid != live.uid) => Deletion::WasReplaced,
            Some(live) => {
                // A finalizer holds every other for a while.
                let held = now + 7_000 * i64::from(live.uid.len().is_multiple_of(2));
                live.gone_at.get_or_insert(held);
                self.changed.insert(path.to_owned());
                Deletion::Deleted
            }
        };
        if met == Deletion::WasReplaced {
            self.saw("a deletion met another object");
        }
        self.settle(now);
        Outcome::Object(ObjectOutcome::Deleted(met))
    }

    /// Somebody who is not of this run does something to one of the objects.
    pub(crate) fn meddle(&mut self, dice: &mut Dice, now: i64) {
        self.settle(now);
        if self.names.is_empty() {
            return;
        }
        let index = usize::try_from(dice.below(self.names.len() as u64)).unwrap();
        let name = &self.names[index].clone();
        match (dice.below(6), self.standing.get_mut(name)) {
            (0..3, None) => {
                self.make(name, None, None, STRANGER);
                // Such as a copy of what this run, or an earlier one, made elsewhere.
                self.standing.get_mut(name).unwrap().marks = match dice.below(4) {
                    0 => Some((plans::UID.to_owned(), "s9/w9-9[0]/copied".to_owned())),
                    1 => Some(("an-earlier-run".to_owned(), "s0/w0-0[0]/a1".to_owned())),
                    _ => None,
                };
            }
            (_, None) => {}
            (0, Some(_)) => {
                self.standing.remove(name);
            }
            (1 | 2, Some(_)) => {
                self.standing.remove(name);
                self.make(name, None, None, STRANGER);
            }
            (3, Some(live)) => {
                live.gone_at.get_or_insert(now + millis(1000 * dice.below(100)));
            }
            (_, Some(live)) => {
                live.managers.insert(STRANGER.to_owned());
                live.conflicts = dice.percent(30);
            }
        }
    }

    fn make(&mut self, name: &str, by: Option<&EffectIdentity>, marked: Option<&ObjectWrite>, manager: &str) {
        let path = by.map(|identity| identity.path.as_str().to_owned());
        if let Some(path) = &path {
            let mut standing = self.standing.values();
            let beside = standing.find(|other| self.made_by(&other.uid, path));
            assert!(beside.is_none(), "{path} makes {name} beside {beside:?}");
        }
        let uid = format!("uid-{}", self.makers.len());
        self.makers.insert(uid.clone(), path);
        let made = Standing {
            uid,
            marks: marked.and_then(marks_of),
            managers: BTreeSet::from([manager.to_owned()]),
            conflicts: false,
            gone_at: None,
        };
        self.standing.insert(name.to_owned(), made);
    }

    /// What is being deleted goes in its time.
    fn settle(&mut self, now: i64) {
        self.standing
            .retain(|_, live| live.gone_at.is_none_or(|gone_at| gone_at > now));
    }
}

/// Objects of a kind and a name are one: all are of the plan's namespace.
fn key(target: &ObjectRef) -> String {
    format!("{}/{}", target.kind.as_deref().unwrap(), target.name)
}

fn is_marked(live: &Standing, identity: &EffectIdentity) -> bool {
    let said = live
        .marks
        .as_ref()
        .map(|(uid, path)| (uid.as_str(), path.as_str()));
    said == Some((&identity.execution_uid, identity.path.as_str()))
}

/// The marks that a write puts onto what it makes.
fn marks_of(write: &ObjectWrite) -> Option<(String, String)> {
    let value = |name: &str| {
        let mut annotations = write.annotations.iter();
        annotations
            .find(|(key, _)| key.ends_with(name))
            .map(|(_, value)| value.clone())
    };
    Some((value("/execution-uid")?, value("/action-path")?))
}

fn written(live: &Standing, created: bool) -> Outcome {
    let uid = live.uid.clone();
    Outcome::Object(ObjectOutcome::Written { uid, created })
}
