//! Jobs with real containers.

use anyhow::{Context, ensure};
use drplan_api::DRPlanExecution;
use drplan_api::status::{ActionStatus, ExecutionPhase};
use serde_json::{Value, json};

use super::{Trial, seen};

const PLACE: &str = "containers";

impl Trial<'_> {
    /// One Job that does something, as nobody in particular, and one that fails.
    pub(super) async fn containers(&self) -> anyhow::Result<()> {
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "jobs", "namespace": PLACE},
                "rules": [
                    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "watch", "delete"]},
                    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
                    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "jobs", "namespace": PLACE},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "jobs"},
                "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": PLACE}],
            },
        ]}))
        .await?;

        let done = self
            .run_job("counts", "echo user $(busybox id -u) counts to $((6 * 7))")
            .await?;
        ensure!(
            done.0 == ExecutionPhase::Succeeded,
            "the run of a Job that succeeds is {:?}: {}",
            done.0,
            done.1.message
        );
        let job = done
            .1
            .outputs
            .job_ref
            .as_ref()
            .context("the action names no Job")?;
        let log = self
            .kubectl
            .run(&["logs", "--namespace", PLACE, &format!("job/{}", job.name)])
            .await?;
        ensure!(
            log.trim() == "user 1000 counts to 42",
            "the container said {log:?}"
        );
        seen(format!(
            "Job {} succeeded; its container said: {}",
            job.name,
            log.trim()
        ));

        let failed = self.run_job("fails", "echo the disk is full; exit 3").await?;
        let outputs = &failed.1.outputs;
        let said = outputs.message.as_deref().unwrap_or_default();
        ensure!(
            failed.0 == ExecutionPhase::Failed
                && outputs.exit_code == Some(3)
                && said.trim() == "the disk is full",
            "the run of a Job that fails is {:?}: {}, {outputs:?}",
            failed.0,
            failed.1.message
        );
        seen(format!("a Job that fails is told so: {}", failed.1.message));
        seen(format!("with the end of its container's log: {}", said.trim()));
        Ok(())
    }

    /// Runs a plan of one Job to its end. Returns how it ended, and its one action.
    async fn run_job(&self, name: &str, script: &str) -> anyhow::Result<(ExecutionPhase, ActionStatus)> {
        self.apply(&plan(name, script)).await?;
        self.kubectl
            .run(&[
                "wait",
                "--namespace",
                PLACE,
                "--for=jsonpath={.status.phase}=Ready",
                &format!("drplan/{name}"),
            ])
            .await?;
        let run = json!({
            "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
            "kind": "DRPlanExecution",
            "metadata": {"name": name, "namespace": PLACE},
            "spec": {"planRef": name, "operationType": "Execute"},
        });
        self.apply(&run).await?;
        let ended: DRPlanExecution = self.ended(PLACE, name).await?;
        let status = ended.status.unwrap_or_default();
        let action = crate::demo::in_order(&status)
            .pop()
            .context("it has no action")?
            .1;
        Ok((status.phase, action))
    }
}

fn plan(name: &str, script: &str) -> Value {
    let of = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": PLACE},
            "spec": spec,
        })
    };
    let container = json!({
        "name": "main",
        "image": "busybox:1",
        "command": ["sh", "-c", script],
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    });
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let action = json!({"name": "work", "type": "Job", "job": {"backoffLimit": 0, "template": template}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        of("DRWorkflow", json!({"actions": [action]})),
        of("DRPlan", json!({"stages": [{"name": "main", "workflows": [{"workflowRef": {"name": name}}]}]})),
    ]})
}
