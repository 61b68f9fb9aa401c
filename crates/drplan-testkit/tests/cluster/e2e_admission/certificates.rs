//! Certificates and registrations: made, agreed on, renewed and healed while the operator runs.

use std::collections::BTreeMap;
use std::path::Path;

use drplan_testkit::{Authority, Credentials, Seen, TestNamespace, eventually, free_port};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{asked, launch, registered, start, try_create, unregister, with_webhooks};
use crate::fixtures::{post, workflow};
use crate::shared;

async fn secret(t: &TestNamespace) -> anyhow::Result<Option<Secret>> {
    Ok(t.api::<Secret>().get_opt("webhook").await?)
}

fn part(secret: &Secret, name: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(name));
    bytes
        .map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())
        .unwrap_or_default()
}

/// Asks the webhooks about a workflow that is right and one that is wrong; fails if they cannot be reached.
async fn asks(t: &TestNamespace) -> anyhow::Result<()> {
    let fine = workflow("fine").action(post("call", "https://x.example.com"));
    let fine = try_create(&t.client, &t.name, &fine).await?;
    let wrong = try_create(&t.client, &t.name, &workflow("wrong")).await?;
    anyhow::ensure!((fine.code, wrong.code) == (201, 422), "{fine:?} {wrong:?}");
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_renewed_without_restart_and_without_one_refused_request() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let port = free_port()?;
        let short = with_webhooks(t.operator_launch()?, port)
            .arg(format!("--webhook-secret={}/webhook", t.name))
            .arg("--webhook-cert-lifetime=24s");
        let operator = t.launch_operator(short).await?;
        operator.ready().await?;
        asked(t).await?;
        let mut seen = Vec::new();
        // Two renewals: the authority of the first certificate is forgotten by the second of them.
        eventually("two renewals", async || {
            let found = secret(t)
                .await?
                .map(|secret| part(&secret, "tls.crt"))
                .unwrap_or_default();
            if seen.last() != Some(&found) {
                seen.push(found);
            }
            if let Err(error) = asks(t).await {
                return Ok(Seen::Done(Err(error)));
            }
            Ok(Seen::when((seen.len() > 2).then_some(Ok(())), || {
                format!("{} certificates", seen.len())
            }))
        })
        .await??;
        operator
            .logged("another certificate", |line| {
                line.to_string()
                    .contains("serve with another certificate")
                    .then_some(())
            })
            .await?;
        let bundle = secret(t)
            .await?
            .map(|secret| part(&secret, "ca.crt"))
            .unwrap_or_default();
        assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);
        let log = operator.log()?;
        assert!(
            !log.iter().any(|line| line.to_string().contains("PRIVATE KEY")),
            "a key is logged"
        );
        // One that has expired while nobody looked after it.
        operator.kill9().await?;
        eventually("the certificate to expire", async || {
            let unreachable = try_create(&t.client, &t.name, &workflow("wrong")).await?;
            Ok(Seen::when((unreachable.code == 500).then_some(()), || {
                format!("{unreachable:?}")
            }))
        })
        .await?;
        operator.restart().await?;
        asked(t).await?;
        asks(t).await?;
        unregister(t).await
    };
    control_plane.with_namespace("admission-renew", test).await
}

#[tokio::test]
async fn secrets_that_are_damaged_foreign_or_deleted_heal() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let api = t.api::<Secret>();
        // Somebody else's comes first, of another type.
        let foreign = Authority::generate()?;
        let credentials = foreign.server(&["elsewhere.example.com"])?;
        let opaque = tls_secret("Opaque", &credentials, &foreign.certificate());
        api.create(&PostParams::default(), &opaque).await?;
        start(t).await?;
        let ours = secret(t).await?.unwrap_or_default();
        assert_eq!(ours.type_.as_deref(), Some("kubernetes.io/tls"));
        asks(t).await?;

        let damage = |data: serde_json::Value| json!({"data": data});
        let encoded = |text: &str| serde_json::to_value(ByteString(text.as_bytes().to_vec()));
        for changed in [
            damage(json!({"tls.crt": encoded("x")?})),
            damage(json!({"tls.key": encoded(&credentials.key)?})),
            damage(json!({"ca.crt": encoded(&foreign.certificate())?})),
            damage(json!({"ca.crt": null})),
        ] {
            let patched = api
                .patch("webhook", &PatchParams::default(), &Patch::Merge(&changed))
                .await?;
            healed(t, &patched).await?;
        }
        let before = secret(t).await?.unwrap_or_default();
        api.delete("webhook", &DeleteParams::default()).await?;
        healed(t, &before).await?;
        unregister(t).await
    };
    control_plane.with_namespace("admission-heal", test).await
}

fn tls_secret(kind: &str, credentials: &Credentials, authority: &str) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let data = BTreeMap::from([
        ("tls.crt".to_owned(), bytes(&credentials.certificate)),
        ("tls.key".to_owned(), bytes(&credentials.key)),
        ("ca.crt".to_owned(), bytes(authority)),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some("webhook".to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some(kind.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Waits for another version of the Secret than `damaged`, while the webhooks are reached all the time, and after it.
async fn healed(t: &TestNamespace, damaged: &Secret) -> anyhow::Result<()> {
    let version = |secret: &Secret| {
        (
            secret.metadata.uid.clone(),
            secret.metadata.resource_version.clone(),
        )
    };
    let looked = eventually("the Secret to heal", async || {
        if let Err(error) = asks(t).await {
            return Ok(Seen::Done(Err(error)));
        }
        let found = secret(t)
            .await?
            .filter(|found| version(found) != version(damaged));
        Ok(Seen::when(found.map(|_| Ok(())), || "the damaged one".to_owned()))
    });
    looked.await??;
    asks(t).await
}

#[tokio::test]
async fn replicas_agree_on_one_certificate() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        // Both serve under one URL, as behind one Service; here one after the other.
        let port = free_port()?;
        let launch = || -> anyhow::Result<_> {
            Ok(with_webhooks(t.operator_launch()?, port).arg(format!("--webhook-secret={}/webhook", t.name)))
        };
        let bind_elsewhere = |launch: drplan_testkit::OperatorLaunch, port: u16| {
            launch.env("WEBHOOK_BIND", format!("127.0.0.1:{port}"))
        };
        let mut replicas = Vec::new();
        for _ in 0..3 {
            let mut one = launch()?;
            one.args.retain(|arg| !arg.starts_with("--webhook-bind"));
            replicas.push(t.launch_operator(bind_elsewhere(one, free_port()?)).await?);
        }
        for replica in &replicas {
            replica.ready().await?;
        }
        // One that is asked; whichever made the certificate, it has the same.
        t.launch_operator(launch()?).await?.ready().await?;
        asked(t).await?;
        asks(t).await?;
        let made = t.audit().resource("secrets").verb("create").code(201).entries()?;
        let replaced = t.audit().resource("secrets").verb("update").code(200).entries()?;
        assert_eq!((made.len(), replaced.len()), (1, 0));
        unregister(t).await
    };
    control_plane.with_namespace("admission-replicas", test).await
}

#[tokio::test]
async fn a_certificate_from_files_is_read_again_when_it_changes() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let directory = tempfile::tempdir()?;
        let (first, second) = (Authority::generate()?, Authority::generate()?);
        write(directory.path(), &first, &first.certificate())?;
        let launch = with_webhooks(t.operator_launch()?, free_port()?)
            .arg(format!("--webhook-cert-dir={}", directory.path().display()));
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        asked(t).await?;
        // While files do not fit together, what was read before is served.
        std::fs::write(directory.path().join("tls.key"), second.server(&[])?.key)?;
        operator
            .logged("that the files do not fit", |line| {
                line.to_string().contains("do not fit together").then_some(())
            })
            .await?;
        asks(t).await?;
        let both = format!("{}{}", second.certificate(), first.certificate());
        write(directory.path(), &second, &both)?;
        operator
            .logged("another certificate", |line| {
                line.to_string()
                    .contains("serve with another certificate")
                    .then_some(())
            })
            .await?;
        asks(t).await?;
        assert!(secret(t).await?.is_none());
        unregister(t).await
    };
    control_plane.with_namespace("admission-files", test).await
}

fn write(directory: &Path, authority: &Authority, bundle: &str) -> anyhow::Result<()> {
    let credentials = authority.server(&["webhook"])?;
    std::fs::write(directory.join("ca.crt"), bundle)?;
    std::fs::write(directory.join("tls.crt"), credentials.certificate)?;
    std::fs::write(directory.join("tls.key"), credentials.key)?;
    Ok(())
}

#[tokio::test]
async fn what_is_registered_heals_when_it_is_changed_or_deleted_and_is_not_written_otherwise()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(launch(t)?).await?.ready().await?;
        asked(t).await?;
        let names = registered(t).await?;
        let [name] = names.as_slice() else {
            anyhow::bail!("{names:?}");
        };
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(t.client.clone());
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(t.client.clone());
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(t.client.clone());
        let before = validating.get(name).await?;

        validating.delete(name, &DeleteParams::default()).await?;
        mutating.delete(name, &DeleteParams::default()).await?;
        let weakened = Patch::Merge(json!({"spec": {"validations": [{"expression": "true"}]}}));
        policies.patch(name, &PatchParams::default(), &weakened).await?;
        asked(t).await?;
        eventually("everything to be registered again", async || {
            let found = mutating.get_opt(name).await?.is_some();
            let validations = policies.get(name).await?.spec.and_then(|spec| spec.validations);
            let count = validations.map_or(0, |all| all.len());
            Ok(Seen::when((found && count > 1).then_some(()), || {
                format!("{found} {count}")
            }))
        })
        .await?;
        let mut opened = validating.get(name).await?;
        for webhook in opened.webhooks.iter_mut().flatten() {
            webhook.failure_policy = Some("Ignore".to_owned());
            webhook.client_config.ca_bundle = Some(ByteString(b"none".to_vec()));
        }
        opened.metadata.managed_fields = None;
        // The API server looks at what it is to trust.
        for webhook in opened.webhooks.iter_mut().flatten() {
            webhook.client_config.ca_bundle = before
                .webhooks
                .iter()
                .flatten()
                .next()
                .and_then(|one| one.client_config.ca_bundle.clone());
        }
        let opened = validating.replace(name, &PostParams::default(), &opened).await?;
        let healed = eventually("the failurePolicy to be back", async || {
            let found = validating.get(name).await?;
            let policy = found
                .webhooks
                .iter()
                .flatten()
                .next()
                .and_then(|one| one.failure_policy.clone());
            Ok(Seen::when(
                (policy.as_deref() == Some("Fail")).then_some(found),
                || format!("{policy:?}"),
            ))
        })
        .await?;
        assert_ne!(healed.metadata.resource_version, opened.metadata.resource_version);
        // Looked at again and again, nothing is written.
        let asked = t
            .control_plane
            .audit()
            .from_now()
            .user(&format!("operator:{}", t.name));
        asked
            .clone()
            .resource("validatingwebhookconfigurations")
            .verb("get")
            .wait_for(3)
            .await?;
        for verb in ["patch", "create", "update"] {
            let written = asked.clone().verb(verb).entries()?;
            assert!(written.is_empty(), "{written:#?}");
        }
        unregister(t).await
    };
    control_plane.with_namespace("admission-registered", test).await
}
