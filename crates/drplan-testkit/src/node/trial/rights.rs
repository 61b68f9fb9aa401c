//! What the operator asked of the API server, by the audit log.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::{NAMESPACE, Trial, seen};

impl Trial<'_> {
    /// That it was refused nothing while it was installed.
    pub(super) async fn rights(&self) -> anyhow::Result<()> {
        let user = format!("system:serviceaccount:{NAMESPACE}:drplan-operator");
        let audit = self.node.control_plane.audit();
        let asked = audit.query().user(&user).wait_for(100).await?;
        let what: BTreeSet<String> = asked
            .iter()
            .filter_map(|entry| Some(format!("{} {}", entry.verb, entry.object_ref.as_ref()?.resource)))
            .collect();
        let mut forbidden = Vec::new();
        let mut at_the_end = 0;
        for entry in asked.iter().filter(|entry| entry.code() == 403) {
            let time = entry.request_received_timestamp;
            let is_end = self
                .uninstalled
                .get()
                .is_some_and(|(from, to)| (from..=to).contains(&time));
            if is_end {
                at_the_end += 1;
            } else {
                forbidden.push(format!("{time} {} {}", entry.verb, entry.request_uri));
            }
        }
        ensure!(forbidden.is_empty(), "forbidden: {forbidden:#?}");
        let as_others = asked
            .iter()
            .filter(|entry| entry.impersonated_user.is_some())
            .count();
        ensure!(as_others > 0, "it never acted as the ServiceAccount of a plan");
        seen(format!(
            "{} requests of {} sorts, {as_others} of them as ServiceAccounts of plans: none forbidden",
            asked.len(),
            what.len()
        ));
        seen(format!(
            "{at_the_end} forbidden while the chart and its rights were taken away"
        ));
        Ok(())
    }
}
