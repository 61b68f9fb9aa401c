//! The way back: the run is undone.

use std::collections::BTreeMap;

use drplan_api::DRPlanExecutionStatus;
use drplan_api::status::StepPhase;
use kube::api::ListParams;

use super::claims::revert::{Evidence, claims};
use super::claims::show;
use super::failure::within;
use super::follow::{actions, in_order};
use super::forth::Run;
use super::objects::{asked, counted, made, object_of};
use super::scene::{NAMESPACE, SERVICE_ACCOUNT, Scene};
use super::screen::{Ink, Screen};
use super::services::Journals;

/// A Revert that has ended.
pub(super) struct Revert {
    pub(super) name: String,
    pub(super) status: DRPlanExecutionStatus,
    /// What the services have seen of it.
    pub(super) journals: Journals,
}

impl Scene {
    /// Undoes a run. Returns the Revert, and whether everything claimed about it is true.
    pub(super) async fn back(&self, screen: &Screen, run: &Run) -> anyhow::Result<(Revert, bool)> {
        screen.heading("All of it is undone, in reverse order");
        let as_service_account = self.audit.from_now().impersonated(SERVICE_ACCOUNT);
        self.cli
            .show(screen, &format!("revert {} -n {NAMESPACE} --wait", run.name))
            .await?;
        screen.pause(3.0).await;

        let executions = self.executions().list(&ListParams::default()).await?.items;
        let status_of = |name: &str| {
            let found = executions
                .iter()
                .find(|execution| execution.metadata.name.as_deref() == Some(name));
            found.and_then(|execution| execution.status.clone())
        };
        let mut names = executions
            .iter()
            .filter_map(|execution| execution.metadata.name.clone());
        let name = names.find(|name| *name != run.name).unwrap_or_default();
        let revert = Revert {
            status: status_of(&name).unwrap_or_default(),
            journals: self.journals().since(&run.journals),
            name,
        };
        screen.heading("What was undone, what was not, and why");
        tell(screen, run, &revert);
        screen.line("");
        revert.journals.show(screen);
        screen.pause(3.5).await;

        screen.heading("Checked as before");
        let deletions = as_service_account.clone().verb("delete").code(200);
        within("the audit log", deletions.wait_for(run.made.len())).await?;
        let evidence = Evidence {
            run_uid: run.uid.clone(),
            run: status_of(&run.name).unwrap_or_default(),
            revert_name: revert.name.clone(),
            revert: revert.status.clone(),
            calls: revert.journals.calls(),
            made: run.made.clone(),
            asked: asked(as_service_account.entries()?),
            left: made(&self.client, &run.name).await?,
        };
        let is_true = show(screen, &claims(&evidence));
        screen.pause(3.0).await;
        Ok((revert, is_true))
    }
}

/// Says what became of each kind of action, and of each that was skipped why.
fn tell(screen: &Screen, run: &Run, revert: &Revert) {
    let of_run = actions(&run.status);
    let undone = actions(&revert.status)
        .into_iter()
        .filter(|(_, action)| action.phase == StepPhase::Succeeded);
    let (calls, objects): (Vec<_>, Vec<_>) =
        undone.partition(|(path, _)| of_run.get(path).is_some_and(|action| object_of(action).is_none()));
    let text = format!(
        "{} actions that made objects, by deleting these: {}",
        objects.len(),
        counted(&run.made)
    );
    screen.item(Ink::Green, "undone", &text);
    let text = format!(
        "{} calls that moved a store, each by the call that its rollback names",
        calls.len()
    );
    screen.item(Ink::Green, "undone", &text);
    let mut skipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, action) in in_order(&revert.status) {
        if action.phase == StepPhase::Skipped {
            skipped.entry(action.message).or_default().push(path);
        }
    }
    for (why, paths) in skipped {
        let text = format!("{} calls, because {why}:", paths.len());
        screen.item(Ink::Magenta, "skipped", &text);
        for path in paths {
            screen.line(format!("           {path}"));
        }
    }
}
