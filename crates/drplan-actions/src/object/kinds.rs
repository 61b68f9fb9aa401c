//! Which resource a kind is, as the API server tells.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drplan_api::status::ObjectRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::{Client, core::ApiResource};

use super::{Stop, exchange, reading::until_answered, server};
use crate::deadline::Deadline;

/// Kinds remembered at once. A cluster with many operators has some 500; each takes some 200 bytes.
const KINDS_MAX: usize = 1024;

/// A kind, and whether its objects have a namespace.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kind {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
}

/// The kinds that were found. Cheap to clone; all clones are one.
///
/// What exists is the same for every identity, so that one memory serves all. What was not found is not remembered:
/// a kind may be installed at any time.
#[derive(Clone, Default)]
pub(crate) struct Kinds {
    found: Arc<Mutex<HashMap<(String, String), Kind>>>,
}

impl Kinds {
    /// The kind that `target` names.
    pub(super) async fn find(
        &self,
        client: &Client,
        target: &ObjectRef,
        deadline: Deadline,
    ) -> Result<Kind, Stop> {
        let key = key(target);
        if let Some(kind) = self.found().get(&key) {
            return Ok(kind.clone());
        }
        let kind = discover(client, &key.0, &key.1, deadline).await?;
        let mut found = self.found();
        // Forgetting all is the simplest bound: the next look-ups ask again.
        if found.len() >= KINDS_MAX {
            found.clear();
        }
        found.insert(key, kind.clone());
        Ok(kind)
    }

    /// Forgets the kind that `target` names, so that it is asked for again.
    pub(super) fn forget(&self, target: &ObjectRef) {
        self.found().remove(&key(target));
    }

    fn found(&self) -> MutexGuard<'_, HashMap<(String, String), Kind>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// apiVersion and kind of `target`, empty where it names none.
fn key(target: &ObjectRef) -> (String, String) {
    (
        target.api_version.clone().unwrap_or_default(),
        target.kind.clone().unwrap_or_default(),
    )
}

/// Asks the API server for `kind` of `api_version`.
async fn discover(client: &Client, api_version: &str, kind: &str, deadline: Deadline) -> Result<Kind, Stop> {
    let path = server::root(api_version);
    let answer = until_answered(deadline, |patience| exchange::document(client, &path, patience)).await;
    let list: Option<APIResourceList> =
        answer.map_err(|refusal| refusal.stop(&format!("find the kind {kind} of {api_version}")))?;
    let Some(list) = list else {
        return Err(Stop::NotServed(format!(
            "the cluster does not serve {api_version}, of which {kind} is wanted: install its \
             CustomResourceDefinition or correct apiVersion; kubectl api-resources lists what there is"
        )));
    };
    // Subresources, such as `pods/binding`, have kinds too.
    let mut resources = list.resources.into_iter();
    let Some(found) = resources.find(|resource| resource.kind == kind && !resource.name.contains('/')) else {
        return Err(Stop::NotServed(format!(
            "the cluster has no kind {kind} in {api_version}: install its CustomResourceDefinition or correct kind \
             and apiVersion; kubectl api-resources lists what there is"
        )));
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Ok(Kind {
        resource: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: found.name,
        },
        namespaced: found.namespaced,
    })
}
