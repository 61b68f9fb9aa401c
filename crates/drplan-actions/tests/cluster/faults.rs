//! What is lost on the way is found again.

use drplan_actions::Identity;
use drplan_engine::effect::{FailureKind, Outcome};
use drplan_testkit::{Direction, Proxy, ProxyMode, TestNamespace, object_until};
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Client, Config,
    api::DeleteParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::attempt::{Attempt, NEVER, failure, in_namespace, performer, uid};

/// A client through `proxy`, with all rights, that sends nothing twice by itself.
pub(crate) async fn client_through(t: &TestNamespace, proxy: &Proxy) -> anyhow::Result<Client> {
    let path = proxy.kubeconfig_for(&t.control_plane, "operator", Some("system:masters"))?;
    let kubeconfig = Kubeconfig::read_from(path)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

#[tokio::test]
async fn a_job_whose_creation_was_not_answered_is_found() -> anyhow::Result<()> {
    in_namespace("acts-lost-answer", async |t| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let client = client_through(t, &proxy).await?;
        // A connection that is open already, so that the creation gets through.
        client.apiserver_version().await?;
        proxy.set(ProxyMode::Hang(Direction::ToClient)).await?;
        let (performer, _watch) = performer(t, &client, &t.client);
        let attempt = Attempt::new(t, "migrate");
        let create = attempt.create(&json!({"testkit.drplan/hang": "true"}));
        let break_connection = async {
            let uid = object_until(&t.api::<Job>(), "migrate", "exists", |job| {
                job?.metadata.uid.clone()
            })
            .await?;
            proxy.set(ProxyMode::Cut).await?;
            proxy.set(ProxyMode::Pass).await?;
            anyhow::Ok(uid)
        };
        let (created, existing) =
            tokio::join!(performer.perform(&Identity::Operator, &create), break_connection);
        assert_eq!(uid(&created)?, existing?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_end_and_a_disappearance_while_the_watch_is_cut_are_noticed_when_it_is_back() -> anyhow::Result<()>
{
    in_namespace("acts-watch-cut", async |t| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let (performer, _watch) = performer(t, &t.client, &client_through(t, &proxy).await?);
        let (ends, vanishes) = (Attempt::new(t, "ends"), Attempt::new(t, "vanishes"));
        let create = vanishes.create(&json!({"testkit.drplan/hang": "true"}));
        let vanishing = uid(&performer.perform(&Identity::Operator, &create).await)?;
        let ending = uid(&performer
            .perform(
                &Identity::Operator,
                &ends.create(&json!({"testkit.drplan/seconds": "2"})),
            )
            .await)?;
        proxy.connected(1).await?;
        let wait = (
            ends.await_end(&ending, NEVER),
            vanishes.await_end(&vanishing, NEVER),
        );
        let change_unseen = async {
            proxy.set(ProxyMode::Cut).await?;
            t.api::<Job>()
                .delete("vanishes", &DeleteParams::background())
                .await?;
            object_until(&t.api::<Job>(), "vanishes", "is gone", |job| {
                job.is_none().then_some(())
            })
            .await?;
            object_until(&t.api::<Job>(), "ends", "is complete", |job| {
                job?.status.as_ref()?.completion_time.as_ref().map(|_| ())
            })
            .await?;
            proxy.set(ProxyMode::Pass).await
        };
        let (ended, vanished, changed) = tokio::join!(
            performer.perform(&Identity::Operator, &wait.0),
            performer.perform(&Identity::Operator, &wait.1),
            change_unseen,
        );
        changed?;
        assert_eq!(ended, Outcome::JobSucceeded);
        failure(vanished, FailureKind::JobLost)?;
        Ok(())
    })
    .await
}
