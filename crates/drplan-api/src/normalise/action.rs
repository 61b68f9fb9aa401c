//! An action or its rollback: type and block, and what holds for every type.

use crate::{
    ActionName, ProblemKind,
    action::{self as written, Rollback},
    canonical::{Action, Doing, Operation, Work},
    normalise::{
        attempts, http, job, localization,
        report::{Place, Report},
        resource,
        scalar::{bad_name, choice, text},
        subscription,
    },
};

const TYPES: &str = "HTTP, Job, Localization, Subscription or KubernetesResource";

/// The action at `at`.
pub(super) fn action(report: &mut Report, at: &Place, written: &written::Action) -> Option<Action> {
    let name_at = at.field("name");
    let name = match text(written.name.as_ref()) {
        None => {
            report.missing(&name_at, "write a name that is unique in the workflow");
            None
        }
        Some(name) => {
            let valid = ActionName::new(name);
            if valid.is_none() {
                let rule = "lower-case letters, digits and -, at most 63, beginning and ending with a letter or digit";
                bad_name(report, &name_at, name, rule);
            }
            valid
        }
    };
    // A placeholder keeps a bad name from hiding the other problems of the action.
    let prefix = name.as_ref().map_or("action", ActionName::as_str);
    let doing = doing(report, at, written, prefix);
    needs_rollback(report, at, written);
    let rollback = match &written.rollback {
        None => Some(None),
        Some(written) => rollback(report, &at.field("rollback"), written, prefix).map(Some),
    };
    Some(Action {
        name: name?,
        doing: doing?,
        rollback: rollback?,
    })
}

/// The rollback at `at`, of the action `name`.
fn rollback(report: &mut Report, at: &Place, written: &Rollback, name: &str) -> Option<Doing> {
    if written.name.is_some() {
        report.note(
            &at.field("name"),
            "a rollback has no name of its own, it goes by its action's; take the name out",
        );
    }
    if written.rollback.is_some() {
        report.note(
            &at.field("rollback"),
            "a rollback cannot have a rollback of its own; take it out",
        );
    }
    doing(report, at, written, name)
}

/// A Patch cannot be undone without being told how, nor can an Apply onto something that was there.
fn needs_rollback(report: &mut Report, at: &Place, written: &written::Action) {
    if written.rollback.is_some() {
        return;
    }
    let operation = match sole_kind(written) {
        Some(Kind::Localization) => written.localization.as_ref().map(|block| &block.operation),
        Some(Kind::Subscription) => written.subscription.as_ref().map(|block| &block.operation),
        Some(Kind::KubernetesResource) => written.resource.as_ref().map(|block| &block.operation),
        Some(Kind::Http | Kind::Job) | None => None,
    };
    let at = at.field("rollback");
    match operation.and_then(Option::as_deref) {
        Some("Patch") => report.missing(
            &at,
            "a Patch has no default undo: write a rollback, such as a Patch that restores the values from before",
        ),
        Some("Apply") => report.warn(
            &at,
            "is missing; without it a Revert deletes what this Apply created but leaves an object that was there \
             before as it is; write a rollback if that is not enough",
        ),
        Some(_) | None => {}
    }
}

/// The types of actions.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Http,
    Job,
    Localization,
    Subscription,
    KubernetesResource,
}

const KINDS: [(&str, Kind); 5] = [
    ("HTTP", Kind::Http),
    ("Job", Kind::Job),
    ("Localization", Kind::Localization),
    ("Subscription", Kind::Subscription),
    ("KubernetesResource", Kind::KubernetesResource),
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Job => "Job",
            Self::Localization => "Localization",
            Self::Subscription => "Subscription",
            Self::KubernetesResource => "KubernetesResource",
        }
    }

    /// The block that belongs to the type, and what it needs at least.
    fn block(self) -> (&'static str, &'static str) {
        match self {
            Self::Http => ("http", "write a block `http` with at least `url`"),
            Self::Job => ("job", "write a block `job` with at least `template`"),
            Self::Localization => (
                "localization",
                "write a block `localization` with at least `operation` and `name`",
            ),
            Self::Subscription => (
                "subscription",
                "write a block `subscription` with at least `operation` and `name`",
            ),
            Self::KubernetesResource => (
                "resource",
                "write a block `resource` with at least `operation` and `manifest`",
            ),
        }
    }

    fn is_written<U>(self, action: &written::Action<U>) -> bool {
        match self {
            Self::Http => action.http.is_some(),
            Self::Job => action.job.is_some(),
            Self::Localization => action.localization.is_some(),
            Self::Subscription => action.subscription.is_some(),
            Self::KubernetesResource => action.resource.is_some(),
        }
    }
}

/// The type that `action` names, or else that of its only block.
fn sole_kind<U>(action: &written::Action<U>) -> Option<Kind> {
    let named = KINDS
        .iter()
        .find(|(name, _)| action.kind.as_deref() == Some(name));
    if let Some((_, kind)) = named {
        return Some(*kind);
    }
    let mut blocks = KINDS.iter().filter(|(_, kind)| kind.is_written(action));
    match (blocks.next(), blocks.next()) {
        (Some((_, kind)), None) => Some(*kind),
        _ => None,
    }
}

/// What an action or a rollback does; `name` is the action's.
fn doing<U>(report: &mut Report, at: &Place, written: &written::Action<U>, name: &str) -> Option<Doing> {
    let kind = kind(report, at, written);
    let timeout = attempts::timeout(report, at, written);
    let retry = attempts::retry(report, at, written, kind);
    let later = "write the actions in the order they are to run";
    report.reserved(&at.field("dependsOn"), written.depends_on.as_ref(), later);
    report.reserved(
        &at.field("when"),
        written.when.as_ref(),
        "take it out, or put the action into a workflow of its own",
    );
    report.reserved(
        &at.field("outputs"),
        written.outputs.as_ref(),
        "take it out; every action has the standing outputs of its type",
    );
    let work = match kind? {
        Kind::Http => http::http(report, &at.field("http"), written.http.as_ref()?).map(Work::Http),
        Kind::Job => job::job(
            report,
            &at.field("job"),
            written.job.as_ref()?,
            name,
            retry.as_ref(),
        )
        .map(Work::Job),
        Kind::Localization => {
            let block = written.localization.as_ref()?;
            localization::localization(report, &at.field("localization"), block).map(Work::Localization)
        }
        Kind::Subscription => {
            let block = written.subscription.as_ref()?;
            subscription::subscription(report, &at.field("subscription"), block).map(Work::Subscription)
        }
        Kind::KubernetesResource => {
            let block = written.resource.as_ref()?;
            resource::resource(report, &at.field("resource"), block).map(Work::KubernetesResource)
        }
    };
    Some(Doing {
        timeout,
        retry,
        work: work?,
    })
}

/// The type of an action. Where it is unknown, the type of its only block, so that the block is checked too.
fn kind<U>(report: &mut Report, at: &Place, written: &written::Action<U>) -> Option<Kind> {
    let type_at = at.field("type");
    let guess = sole_kind(written);
    let Some(name) = text(written.kind.as_ref()) else {
        match guess {
            Some(kind) => report.missing(
                &type_at,
                format!("write {}, as the block `{}` says", kind.name(), kind.block().0),
            ),
            None => report.missing(&type_at, format!("write {TYPES}")),
        }
        return guess;
    };
    let Some(kind) = choice(report, &type_at, name, &KINDS, TYPES) else {
        return guess;
    };
    let (block, needs) = kind.block();
    for (other, foreign) in KINDS {
        if foreign != kind && foreign.is_written(written) {
            let foreign_block = foreign.block().0;
            report.error(
                &at.field(foreign_block),
                ProblemKind::Exclusive {
                    one: format!("type: {name}"),
                    other: foreign_block.to_owned(),
                    remedy: format!("take the block `{foreign_block}` out, or write type: {other}"),
                },
            );
        }
    }
    if !kind.is_written(written) {
        report.missing(&at.field(block), format!("{needs}, as type {name} asks for"));
    }
    Some(kind)
}

/// The operation of a Localization, Subscription or KubernetesResource.
pub(super) fn operation(report: &mut Report, at: &Place, written: Option<&String>) -> Option<Operation> {
    const OPERATIONS: &str = "Create, Apply, Patch or Delete";
    let at = at.field("operation");
    let Some(operation) = text(written) else {
        report.missing(&at, format!("write {OPERATIONS}"));
        return None;
    };
    choice(
        report,
        &at,
        operation,
        &[
            ("Create", Operation::Create),
            ("Apply", Operation::Apply),
            ("Patch", Operation::Patch),
            ("Delete", Operation::Delete),
        ],
        OPERATIONS,
    )
}
