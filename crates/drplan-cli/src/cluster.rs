//! The API server, reached as kubectl reaches it.

mod proxy;

use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use drplan_api::{DRPlan, DRPlanExecution, is_denial};
use drplan_engine::rights::{Kind, Served};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::{
    Api, Client, Config, Resource,
    api::{ApiResource, DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};
use serde_json::{Value, json};

use crate::{options::ClusterOptions, screen::clean};

/// How long one answer is awaited.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A way to the API server, with the namespace that commands speak of.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    /// Where plans and executions are.
    pub(crate) namespace: String,
    /// What a command must be given to reach the same place, with a blank before it.
    pub(crate) flags: String,
}

impl Cluster {
    /// The cluster that `options` name. No connection is made yet.
    ///
    /// # Errors
    /// A kubeconfig that is missing or cannot be used.
    pub(crate) async fn connect(options: &ClusterOptions) -> anyhow::Result<Self> {
        let choice = KubeConfigOptions {
            context: options.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = match (&options.kubeconfig, &options.context) {
            (Some(path), _) => {
                let kubeconfig = Kubeconfig::read_from(path)
                    .with_context(|| format!("failed to read the kubeconfig `{}`", path.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &choice).await
            }
            (None, Some(_)) => Config::from_kubeconfig(&choice).await,
            (None, None) => {
                return Self::with(
                    Config::infer()
                        .await
                        .context("found no way to the API server: give --kubeconfig or set KUBECONFIG")?,
                    options,
                );
            }
        }
        .context("failed to use the kubeconfig")?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        Self::with(config, options)
    }

    fn with(mut config: Config, options: &ClusterOptions) -> anyhow::Result<Self> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Watches are reads without end; whoever asks for one answer sets a limit of its own.
        config.read_timeout = None;
        let namespace = options
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let mut flags = String::new();
        let given = [
            ("-n", Some(namespace.clone())),
            ("--context", options.context.clone()),
            (
                "--kubeconfig",
                options.kubeconfig.as_ref().map(|path| path.display().to_string()),
            ),
        ];
        for (flag, value) in given {
            if let Some(value) = value {
                flags.push_str(&format!(" {flag} {}", quoted(&value)));
            }
        }
        let client = proxy::client(config)?;
        Ok(Self {
            client,
            namespace,
            flags,
        })
    }

    /// The executions of the namespace, in any shape.
    pub(crate) fn executions(&self) -> Api<DynamicObject> {
        self.objects::<DRPlanExecution>()
    }

    /// The plans of the namespace, in any shape.
    pub(crate) fn plans(&self) -> Api<DynamicObject> {
        self.objects::<DRPlan>()
    }

    fn objects<K: Resource<DynamicType = ()>>(&self) -> Api<DynamicObject> {
        self.objects_in::<K>(&self.namespace)
    }

    /// The objects of a kind in `namespace`, in any shape.
    pub(crate) fn objects_in<K: Resource<DynamicType = ()>>(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<K>(&());
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Asks for an access review of this spec.
    pub(crate) async fn review(&self, spec: &Value) -> kube::Result<SubjectAccessReview> {
        let review = json!({"metadata": {}, "spec": spec});
        let review = serde_json::from_value(review).map_err(kube::Error::SerdeError)?;
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        reviews.create(&PostParams::default(), &review).await
    }

    /// What `kind` is served as; none if it is not.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn served(&self, kind: &Kind) -> anyhow::Result<Option<Served>> {
        let Kind { api_version, kind } = kind;
        let list = match api_version.contains('/') {
            true => answer(self.client.list_api_group_resources(api_version)).await,
            false => answer(self.client.list_core_api_resources(api_version)).await,
        };
        let resources = match list {
            Ok(list) => list.resources,
            Err(error) if error.downcast_ref::<Refused>().is_some_and(Refused::is_not_found) => Vec::new(),
            Err(error) => {
                return Err(error.context(format!("failed to find the kind {kind} of {api_version}")));
            }
        };
        // Subresources have kinds too.
        let found = resources
            .into_iter()
            .find(|resource| resource.kind == *kind && !resource.name.contains('/'));
        Ok(found.map(|found| Served {
            resource: found.name,
            namespaced: found.namespaced,
        }))
    }

    /// The execution `name`, as JSON.
    ///
    /// # Errors
    /// There is none, or no answer.
    pub(crate) async fn execution(&self, name: &str) -> anyhow::Result<Value> {
        let found = answer(self.executions().get_opt(name)).await;
        match found.with_context(|| format!("failed to read execution `{name}`"))? {
            Some(object) => Ok(serde_json::to_value(object)?),
            None => bail!(
                "there is no execution `{name}` in namespace {}; kubectl get drpe -n {} lists them",
                self.namespace,
                self.namespace
            ),
        }
    }
}

/// What the API server says when it refuses: the request has had no effect.
#[derive(Debug)]
pub(crate) struct Refused(Box<Status>);

impl Refused {
    /// Whether there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.0.code == 404
    }

    /// Whether there is an object of that name already.
    pub(crate) fn is_already_exists(&self) -> bool {
        self.0.reason == "AlreadyExists" && !is_denial(&self.0.message)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean(&self.0.message))
    }
}

impl std::error::Error for Refused {}

/// Awaits one answer of the API server.
///
/// # Errors
/// [`Refused`], or that it did not answer.
pub(crate) async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(ANSWER_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        // What the API server says is the whole story; kube's words around it are not.
        Ok(Err(kube::Error::Api(status))) => Err(Refused(status).into()),
        Ok(Err(error)) => bail!("no answer from the API server: {}", clean(&chain(&error))),
        Err(_) => bail!(
            "no answer from the API server within {} s",
            ANSWER_TIMEOUT.as_secs()
        ),
    }
}

/// An error with its causes, each told once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        source = cause.source();
    }
    // The layers of the client name themselves, which helps nobody.
    for name in ["ServiceError: ", "client error (Connect): "] {
        text = text.replace(name, "");
    }
    text
}

/// `text` as a shell reads it back.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_can_be_typed_again() {
        assert_eq!(quoted("a b'c"), r"'a b'\''c'");
        assert_eq!(quoted("/home/x/.kube/config"), "/home/x/.kube/config");
    }
}
