//! What the ServiceAccount of the shop may do, and what it did.

use std::collections::BTreeSet;

use anyhow::ensure;
use drplan_testkit::{AuditEntry, Seen, eventually};

use super::shop::Shop;
use crate::e2e_examples;
use crate::rights::{Right, until_allowed};

/// The ServiceAccount as a user.
pub(super) fn user(shop: &Shop<'_>) -> String {
    format!("system:serviceaccount:{}:ecommerce-dr", shop.t.name)
}

/// What the example's Roles grant, in the test's namespaces.
fn granted(shop: &Shop<'_>) -> anyhow::Result<BTreeSet<Right>> {
    let granted = e2e_examples::granted("ecommerce")?;
    let here = |[verb, group, resource, namespace]: Right| [verb, group, resource, shop.here(&namespace)];
    Ok(granted.into_iter().map(here).collect())
}

/// Waits until the API server knows of what was granted.
pub(super) async fn granted_now(shop: &Shop<'_>) -> anyhow::Result<()> {
    until_allowed(&shop.t.client, &user(shop), &granted(shop)?).await
}

/// What was asked for as the ServiceAccount so far, in both namespaces.
pub(super) fn asked(shop: &Shop<'_>) -> anyhow::Result<Vec<AuditEntry>> {
    let user = user(shop);
    let mut asked = Vec::new();
    for t in [shop.t, shop.far] {
        asked.extend(t.audit().impersonated(&user).entries()?);
    }
    Ok(asked)
}

/// Nothing that it asked for was forbidden.
pub(super) fn none_was_missing(shop: &Shop<'_>) -> anyhow::Result<()> {
    let asked = asked(shop)?;
    ensure!(!asked.is_empty(), "nothing was asked for as {}", user(shop));
    let forbidden: Vec<_> = asked.iter().filter(|entry| entry.code() == 403).collect();
    ensure!(forbidden.is_empty(), "{forbidden:?}");
    Ok(())
}

/// Waits until all that it is granted was asked for: nothing is granted in vain.
pub(super) async fn all_were_used(shop: &Shop<'_>) -> anyhow::Result<()> {
    let granted = granted(shop)?;
    // A watch is entered when it ends.
    eventually(&format!("{} to have used {granted:?}", user(shop)), async || {
        let used = used(&asked(shop)?);
        Ok(Seen::when((used == granted).then_some(()), || {
            format!("{used:?}")
        }))
    })
    .await
}

/// What was asked for, as `granted` has it.
fn used(entries: &[AuditEntry]) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for entry in entries {
        let Some(object) = &entry.object_ref else { continue };
        let resource = match object.subresource.as_str() {
            "" => object.resource.clone(),
            part => format!("{}/{part}", object.resource),
        };
        used.insert([
            entry.verb.clone(),
            object.api_group.clone(),
            resource,
            object.namespace.clone(),
        ]);
    }
    used
}
