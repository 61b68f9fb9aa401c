//! Whether the ServiceAccount of a plan may do what the plan needs, as the API server tells.
//!
//! Asked as the operator itself. What it may not ask is no reason to refuse anything: then the run tells.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drplan_api::{Account, Grant, Problem, ProblemKind, Problems, Right, Severity};
use drplan_engine::{Needs, Purpose, Rights, Run, needs};
use futures::{StreamExt, stream};
use k8s_openapi::api::authorization::v1::{LocalSubjectAccessReview, SubjectAccessReview};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    context::Context,
    index::Key,
    store::{StoreError, bounded},
};

/// Questions under way. They are asked beside the writes of runs, to which the API server's attention belongs.
const QUESTIONS_AT_ONCE: usize = 8;
/// How long an answer that allows is good: a plan that starts many times a minute asks once, and a right that is taken
/// away is missed by a run at most, whose action then fails with the API server's words.
const ALLOWED_FOR: Duration = Duration::from_secs(10);
/// How long an answer that refuses is good: hundreds of plans that act as one ServiceAccount ask once, and each that looks
/// again, half a second later at the earliest, asks anew.
const REFUSED_FOR: Duration = Duration::from_millis(400);
/// Answers kept at once: 500 plans with twenty rights each. An answer takes some 300 bytes.
const ANSWERS_MAX: usize = 10_000;
/// The first wait before a plan with missing rights is looked at again; each further one is twice as long, up to the
/// reconcile interval. Roles are not watched: the operator would need to read all of them.
const LOOK_AGAIN_FIRST: Duration = Duration::from_secs(1);
/// Where problems with rights stand.
const PATH: &str = "spec.serviceAccountName";

/// Asks, and remembers for a moment.
#[derive(Debug)]
pub struct Reviews {
    questions: Arc<Semaphore>,
    answers: Mutex<HashMap<(Account, Right), Answer>>,
    /// How often in a row a plan was found to lack rights.
    lacking: Mutex<BTreeMap<Key, u32>>,
}

impl Default for Reviews {
    fn default() -> Self {
        Self {
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            answers: Mutex::default(),
            lacking: Mutex::default(),
        }
    }
}

/// What the API server said of a right, and when.
#[derive(Clone, Copy, Debug)]
struct Answer {
    allowed: bool,
    since: Instant,
}

impl Answer {
    fn is_good(self) -> bool {
        let long = if self.allowed { ALLOWED_FOR } else { REFUSED_FOR };
        self.since.elapsed() < long
    }
}

/// What a review brought.
#[derive(Debug)]
pub enum Reviewed {
    /// Problems about rights: errors where an action would fail, warnings where only trouble or an undo would.
    Asked(Problems),
    /// The operator may not ask, or there is no answer.
    NotAsked(StoreError),
}

/// Asks for all rights that `run` needs, if it acts as a ServiceAccount.
pub async fn review(context: &Context, run: &Run) -> Reviewed {
    let snapshot = &run.snapshot;
    let Some(name) = &snapshot.service_account_name else {
        return Reviewed::Asked(Problems::new());
    };
    let account = Account {
        namespace: snapshot.namespace.clone(),
        name: name.clone(),
    };
    review_needs(context, &account, &snapshot.plan, &needs(run)).await
}

/// Asks whether `account` has all rights that runs of `plan` need.
pub async fn review_needs(context: &Context, account: &Account, plan: &str, needs: &Needs) -> Reviewed {
    let served = match context.performer.served(&needs.kinds()).await {
        Ok(served) => served,
        Err(failure) => {
            let message = failure.message;
            return Reviewed::NotAsked(StoreError::silence(message));
        }
    };
    let rights = needs.rights(|kind| served.get(kind).cloned());
    match context.reviews.missing(context, account, &rights).await {
        Ok(missing) => Reviewed::Asked(problems(account, plan, &rights, &missing)),
        Err(error) => Reviewed::NotAsked(error),
    }
}

/// What to tell people where rights could not be reviewed.
pub fn not_reviewed(error: &StoreError) -> Problem {
    let message = format!(
        "whether the ServiceAccount has the rights that the plan needs is not known: {error}; let the operator create \
         subjectaccessreviews.authorization.k8s.io (with --namespace: localsubjectaccessreviews)"
    );
    Problem::warning(PATH, ProblemKind::Note { message })
}

/// One error for what actions lack, else one warning for what else is missing.
fn problems(account: &Account, plan: &str, rights: &Rights, missing: &[Right]) -> Problems {
    let fatal: Vec<Right> = missing
        .iter()
        .filter(|right| rights.needed.get(*right) == Some(&Purpose::Action))
        .cloned()
        .collect();
    let (severity, named) = match (fatal.is_empty(), missing.is_empty()) {
        (_, true) => return Problems::new(),
        (true, false) => (Severity::Warning, missing.to_vec()),
        (false, false) => (Severity::Error, fatal),
    };
    // A Role of which a part is applied takes the rest away: all that is needed where something is missing.
    let places: Vec<_> = missing.iter().map(|right| &right.namespace).collect();
    let needed = rights.needed.keys();
    let grant = Grant {
        account: account.clone(),
        plan: plan.to_owned(),
        rights: needed
            .filter(|right| places.contains(&&right.namespace))
            .cloned()
            .collect(),
    };
    let kind = ProblemKind::MissingRights {
        missing: named,
        grant: Box::new(grant),
    };
    vec![Problem {
        severity,
        ..Problem::error(PATH, kind)
    }]
}

impl Reviews {
    /// Those of `rights` that `account` does not have.
    async fn missing(
        &self,
        context: &Context,
        account: &Account,
        rights: &Rights,
    ) -> Result<Vec<Right>, StoreError> {
        let mut missing = Vec::new();
        let mut asked = Vec::new();
        for right in rights.needed.keys().cloned() {
            match self.known(account, &right) {
                Some(true) => {}
                Some(false) => missing.push(right),
                None => asked.push(right),
            }
        }
        let local = !context.settings.namespaces.is_empty();
        let questions: Vec<_> = asked
            .into_iter()
            .map(|right| {
                let (client, account) = (context.client.clone(), account.clone());
                let places = Arc::clone(&self.questions);
                async move {
                    // Closed it never is.
                    let _place = places.acquire_owned().await.ok();
                    let allowed = ask(&client, &account, &right, local).await?;
                    Ok::<_, StoreError>((right, allowed))
                }
            })
            .collect();
        let mut answers = stream::iter(questions).buffered(QUESTIONS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            let (right, allowed) = answer?;
            self.remember(account, right.clone(), allowed);
            if !allowed {
                missing.push(right);
            }
        }
        missing.sort();
        Ok(missing)
    }

    /// Whether `account` has this right, if that was answered a moment ago.
    fn known(&self, account: &Account, right: &Right) -> Option<bool> {
        let answers = self.answers();
        let answer = answers.get(&(account.clone(), right.clone()));
        answer
            .filter(|answer| answer.is_good())
            .map(|answer| answer.allowed)
    }

    fn remember(&self, account: &Account, right: Right, allowed: bool) {
        let mut answers = self.answers();
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, answer| answer.is_good());
        }
        // Still full: what is not remembered is asked again.
        if answers.len() < ANSWERS_MAX {
            let since = Instant::now();
            answers.insert((account.clone(), right), Answer { allowed, since });
        }
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<(Account, Right), Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When plan `key` is to be looked at again, if it `lacks` rights.
    pub fn look_again(&self, key: &Key, lacks: bool, interval: Duration) -> Option<Duration> {
        let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        if !lacks {
            lacking.remove(key);
            return None;
        }
        let times = lacking.entry(key.clone()).or_default();
        let pause = LOOK_AGAIN_FIRST.saturating_mul(1 << (*times).min(16));
        *times += 1;
        Some(pause.min(interval))
    }
}

/// Whether the API server allows `account` this `right`. `local`: the operator has rights in single namespaces only.
async fn ask(client: &Client, account: &Account, right: &Right, local: bool) -> Result<bool, StoreError> {
    let spec = right.review_of(account);
    let params = PostParams::default();
    let unwritable = |error: serde_json::Error| StoreError::Refused {
        code: 0,
        message: error.to_string(),
    };
    let status = match &right.namespace {
        Some(namespace) if local => {
            let review: LocalSubjectAccessReview =
                serde_json::from_value(json!({"metadata": {"namespace": namespace}, "spec": spec}))
                    .map_err(unwritable)?;
            let reviews: Api<LocalSubjectAccessReview> = Api::namespaced(client.clone(), namespace);
            bounded(reviews.create(&params, &review)).await?.status
        }
        Some(_) | None => {
            let review: SubjectAccessReview =
                serde_json::from_value(json!({"metadata": {}, "spec": spec})).map_err(unwritable)?;
            let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
            bounded(reviews.create(&params, &review)).await?.status
        }
    };
    Ok(status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(namespace: &str) -> Right {
        Right {
            namespace: Some(namespace.to_owned()),
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            name: None,
            verb: drplan_api::Verb::Create,
        }
    }

    fn account() -> Account {
        Account {
            namespace: "shop".to_owned(),
            name: "dr".to_owned(),
        }
    }

    #[test]
    fn a_plan_that_lacks_rights_is_looked_at_ever_more_rarely_until_it_has_them() {
        let reviews = Reviews::default();
        let key = ("shop".to_owned(), "failover".to_owned());
        let mut look = |lacks| {
            let again = reviews.look_again(&key, lacks, Duration::from_secs(5));
            again.map(|again| again.as_secs())
        };
        let seen: Vec<_> = [true, true, true, true, true, false, true].map(&mut look).into();
        assert_eq!(seen, [Some(1), Some(2), Some(4), Some(5), Some(5), None, Some(1)]);
    }

    #[test]
    fn what_actions_lack_is_an_error_with_all_that_is_needed_there() {
        let (here, far) = (right("shop"), right("far"));
        let rights = Rights {
            needed: [(here.clone(), Purpose::Action), (far.clone(), Purpose::Undo)].into(),
            open: Vec::new(),
        };
        let check = |missing: &[&Right], severity| {
            let missing: Vec<Right> = missing.iter().map(|right| (*right).clone()).collect();
            let found = problems(&account(), "failover", &rights, &missing);
            assert_eq!(found[0].severity, severity);
            let ProblemKind::MissingRights { grant, .. } = &found[0].kind else {
                panic!("{found:?}");
            };
            assert_eq!(grant.rights, missing);
        };
        check(&[&here], Severity::Error);
        check(&[&far], Severity::Warning);
        check(&[&far, &here], Severity::Error);
        assert_eq!(problems(&account(), "failover", &rights, &[]), Problems::new());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_a_moment_and_one_that_refuses_for_a_shorter_one() {
        let reviews = Reviews::default();
        assert_eq!(reviews.known(&account(), &right("shop")), None);
        reviews.remember(&account(), right("shop"), true);
        reviews.remember(&account(), right("far"), false);
        assert_eq!(reviews.known(&account(), &right("shop")), Some(true));
        assert_eq!(reviews.known(&account(), &right("far")), Some(false));
        tokio::time::advance(REFUSED_FOR).await;
        assert_eq!(reviews.known(&account(), &right("far")), None);
        assert_eq!(reviews.known(&account(), &right("shop")), Some(true));
        tokio::time::advance(ALLOWED_FOR).await;
        assert_eq!(reviews.known(&account(), &right("shop")), None);
    }
}
