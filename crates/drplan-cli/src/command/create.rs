//! How an execution is created, and what it is called.

use anyhow::bail;
use drplan_api::{GROUP, Time, VERSION, limits::OBJECT_NAME_MAX, names::is_dns_subdomain};
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Refused, answer},
    exit::Exit,
    screen, watch,
};

/// How many names of one second are tried: more runs than anybody starts by hand.
const NAMES_MAX: usize = 20;

/// What a new execution is called.
pub(super) enum Name {
    /// As the user wants it.
    Given(String),
    /// `<prefix>-<UTC date>-<UTC time>`, and a number where others have been created in the same second.
    Made {
        /// Which plan it is of, and which kind of run.
        prefix: String,
        /// When.
        now: Time,
    },
}

impl Name {
    /// A name that begins with `prefix` and tells the time.
    pub(super) fn made_of(prefix: &str) -> Self {
        Self::Made {
            prefix: prefix.to_owned(),
            now: watch::now(),
        }
    }

    /// The names to try, one after another.
    fn candidates(&self) -> Vec<String> {
        match self {
            Self::Given(name) => vec![name.clone()],
            Self::Made { prefix, now } => (1..=NAMES_MAX)
                .map(|number| name_at(prefix, *now, number))
                .collect(),
        }
    }
}

/// Creates an execution of that spec and says how to watch it, or watches it.
pub(super) async fn create(cluster: &Cluster, name: &Name, spec: Value, wait: bool) -> anyhow::Result<Exit> {
    let name = first_free(cluster, name, &spec).await?;
    if wait {
        return watch::watch(cluster, &name).await;
    }
    screen::line(&name);
    screen::tell(&format!("watch: kubectl drplan watch {name}{}", cluster.flags));
    Ok(watch::begins(cluster, &name).await)
}

/// Creates an execution under the first name that nobody has, and returns it.
async fn first_free(cluster: &Cluster, name: &Name, spec: &Value) -> anyhow::Result<String> {
    let candidates = name.candidates();
    for candidate in &candidates {
        if post(cluster, candidate, spec).await? {
            return Ok(candidate.clone());
        }
    }
    let taken = candidates.first().map_or("", String::as_str);
    bail!("there is an execution `{taken}` already, and a name runs once; choose another with --name")
}

/// Creates execution `name`. Returns false if there is one of that name.
async fn post(cluster: &Cluster, name: &str, spec: &Value) -> anyhow::Result<bool> {
    if name.len() > OBJECT_NAME_MAX || !is_dns_subdomain(name) {
        bail!(
            "`{name}` cannot be the name of an execution; write lower-case letters, digits and -, at most \
             {OBJECT_NAME_MAX}"
        );
    }
    let manifest = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "DRPlanExecution",
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": spec,
    });
    let object: DynamicObject = serde_json::from_value(manifest)?;
    let params = PostParams::default();
    let executions = cluster.executions();
    let Err(error) = answer(executions.create(&params, &object)).await else {
        return Ok(true);
    };
    let what = match error.downcast_ref::<Refused>() {
        Some(refused) if refused.is_already_exists() => return Ok(false),
        Some(_) => format!("failed to create execution `{name}`"),
        // Whoever starts it once more without looking has two runs.
        None => format!(
            "execution `{name}` may have been created or not; before you try again look with \
             kubectl drplan watch {name}{}",
            cluster.flags
        ),
    };
    Err(error.context(what))
}

/// `<prefix>-<UTC date>-<UTC time>`, with `-<number>` from the second on, the prefix cut so that it is a name.
fn name_at(prefix: &str, now: Time, number: usize) -> String {
    // 2026-01-30T10:00:00.000Z
    let digits: String = now
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let mut stamp = format!("-{date}-{time}");
    if number > 1 {
        stamp.push_str(&format!("-{number}"));
    }
    let room = OBJECT_NAME_MAX.saturating_sub(stamp.len());
    let prefix = screen::head(prefix, room).trim_end_matches(['-', '.']);
    format!("{prefix}{stamp}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_plan_and_time_and_is_never_too_long() {
        let now: Time = "2026-01-30T10:02:03.456Z".parse().unwrap();
        assert_eq!(name_at("shop", now, 1), "shop-20260130-100203");
        let long = name_at(&format!("{}-{}", "a".repeat(46), "b".repeat(20)), now, 1);
        assert_eq!(long, format!("{}-20260130-100203", "a".repeat(46)));
        assert!(is_dns_subdomain(&long));
    }

    #[test]
    fn names_of_one_second_have_numbers() {
        let made = |prefix: &str| Name::Made {
            prefix: prefix.to_owned(),
            now: "2026-01-30T10:02:03.456Z".parse().unwrap(),
        };
        let names = made("shop").candidates();
        assert_eq!(names[..2], ["shop-20260130-100203", "shop-20260130-100203-2"]);
        assert_eq!(names[NAMES_MAX - 1], "shop-20260130-100203-20");
        let long = made(&"a".repeat(80)).candidates();
        assert!(long.iter().all(|name| name.len() <= OBJECT_NAME_MAX), "{long:?}");
        assert_eq!(Name::Given("x".to_owned()).candidates(), ["x"]);
    }
}
