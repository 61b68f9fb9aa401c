//! The way back: the run is undone, and what the demo says about that.

mod claims;

use std::sync::Arc;

use drplan_api::DRPlanExecution;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::claims::show;
use super::follow::Follower;
use super::journal::Keys;
use super::screen::Screen;
use super::{OPERATOR, Stage, example};

use claims::{Evidence, claims};

impl Stage {
    /// Undoes the run `name`, whose calls had these keys. Returns whether everything claimed about it is true.
    pub(super) async fn undo(&self, screen: &Arc<Screen>, name: &str, keys: &Keys) -> anyhow::Result<bool> {
        screen.heading("8. It is undone, in reverse order");
        screen.command("kubectl create -f examples/first-plan/run/revert.yaml");
        let calls_before = self.site.all().len();
        let jobs: Api<Job> = self.api();
        let jobs_before = jobs.list(&ListParams::default()).await?.items.len();
        let mut manifest = example("run/revert.yaml")?;
        manifest["spec"]["revertExecutionRef"] = name.into();
        let revert = self.create(&manifest).await?;
        screen.line(format!("  {revert}, which undoes {name}"));
        let follower = Follower::start(self.api(), &revert, Arc::clone(screen));
        follower
            .until("the end of the Revert", |status| {
                status.phase.is_terminal().then_some(())
            })
            .await?;

        let executions: Api<DRPlanExecution> = self.api();
        let run = executions.get(name).await?;
        let deletions = self.audit.clone().user(OPERATOR).resource("jobs").subresource("");
        let deletions = deletions.verb("delete").code(200);
        let evidence = Evidence {
            run_uid: run.uid().unwrap_or_default(),
            run: run.status.unwrap_or_default(),
            revert: executions.get(&revert).await?.status.unwrap_or_default(),
            revert_name: revert,
            journal: self.site.all().split_off(calls_before),
            jobs_before,
            jobs_deleted: deletions.wait_for(jobs_before).await?.len(),
            jobs_left: jobs.list(&ListParams::default()).await?.items.len(),
        };
        screen
            .heading("9. The site's journal of that: an undo has a key of its own, the same in every Revert");
        keys.show(screen, &evidence.journal);
        screen.heading("10. Checked as before");
        Ok(show(screen, &claims(&evidence)))
    }
}
