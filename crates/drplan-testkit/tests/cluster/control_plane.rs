use drplan_testkit::{Component, ControlPlane, Options, Seen, TestNamespace, eventually, object_until};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::processes::lives;
use crate::{shared, toys};

const COMPONENTS: [Component; 5] = [
    Component::Etcd,
    Component::ApiServer,
    Component::ControllerManager,
    Component::Scheduler,
    Component::Kwok,
];

#[tokio::test]
async fn it_comes_up_with_a_node_and_says_which_version_it_is() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let client = control_plane.client()?;
    let version = client.apiserver_version().await?;
    assert_eq!(
        version.git_version.split('.').take(2).collect::<Vec<_>>(),
        ["v1", version.minor.as_str()]
    );
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.get("default").await?;
    let nodes: Api<Node> = Api::all(client);
    assert_eq!(nodes.list(&ListParams::default()).await?.items.len(), 1);
    for component in COMPONENTS {
        assert!(control_plane.pid(component).is_some_and(lives), "{component:?}");
    }
    Ok(())
}

#[tokio::test]
async fn everything_is_gone_when_the_last_clone_is_dropped() -> anyhow::Result<()> {
    let control_plane = ControlPlane::start(Options::api_only()).await?;
    let pids: Vec<i32> = COMPONENTS
        .iter()
        .filter_map(|component| control_plane.pid(*component))
        .collect();
    let dir = control_plane.dir().to_owned();
    drop(control_plane.clone());
    assert!(pids.len() == 2 && pids.iter().copied().all(lives));
    drop(control_plane);
    assert_eq!(pids.into_iter().filter(|pid| lives(*pid)).count(), 0);
    assert!(!dir.exists());
    Ok(())
}

#[tokio::test]
async fn crds_given_to_it_are_served_from_the_start() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        for resource in [toys::resource("Toy", "toys"), toys::resource("Top", "tops")] {
            let objects: Api<DynamicObject> = Api::namespaced_with(t.client.clone(), &t.name, &resource);
            objects
                .create(&PostParams::default(), &DynamicObject::new("one", &resource))
                .await?;
            // In the foreground: needs a garbage collector that knows the kind.
            objects.delete("one", &DeleteParams::foreground()).await?;
            object_until(&objects, "one", "is gone", |object| {
                object.is_none().then_some(())
            })
            .await?;
        }
        Ok(())
    };
    shared().await?.with_namespace("crds", test).await
}

#[tokio::test]
async fn a_user_may_do_what_rbac_grants_and_no_more() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let admins = control_plane.client_as("alice", Some("system:masters")).await?;
    Api::<Node>::all(admins).list(&ListParams::default()).await?;

    let from_file = Kubeconfig::read_from(control_plane.kubeconfig_for("bob", None)?)?;
    let config = Config::from_custom_kubeconfig(from_file, &KubeConfigOptions::default()).await?;
    for client in [
        Client::try_from(config)?,
        control_plane.client_as("bob", None).await?,
    ] {
        match Api::<Node>::all(client).list(&ListParams::default()).await {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 403);
                assert!(status.message.contains(r#"User "bob""#), "{}", status.message);
            }
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn clients_of_the_shared_one_outlive_the_runtime_they_were_made_on() -> anyhow::Result<()> {
    let make = || -> anyhow::Result<Client> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = shared().await?.client()?;
            Api::<Node>::all(client.clone())
                .list(&ListParams::default())
                .await?;
            Ok(client)
        })
    };
    let client = tokio::task::spawn_blocking(make).await??;
    Api::<Node>::all(client).list(&ListParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn kubectl_is_there_too() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    control_plane
        .with_namespace("kubectl", async |t| {
            let kubectl = tokio::process::Command::new(control_plane.binaries().path("kubectl"))
                .env("KUBECONFIG", control_plane.kubeconfig())
                .args(["create", "configmap", "by-kubectl", "--namespace", &t.name])
                .output()
                .await?;
            assert!(
                kubectl.status.success(),
                "{}",
                String::from_utf8_lossy(&kubectl.stderr)
            );
            t.api::<ConfigMap>().get("by-kubectl").await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn waiting_in_vain_says_what_for_and_what_was_there_instead() {
    let waited = drplan_testkit::eventually_within(std::time::Duration::ZERO, "rain", async || {
        Ok(Seen::<()>::NotYet("sunshine".into()))
    });
    let error = waited.await.expect_err("it does not rain").to_string();
    assert!(error.contains("for rain, last seen: sunshine"), "{error}");
    assert_eq!(
        eventually("sun", async || Ok(Seen::Done(1)))
            .await
            .expect("the sun shines"),
        1
    );
}
