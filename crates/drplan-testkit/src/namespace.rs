//! A namespace for one test.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use futures::FutureExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use crate::audit::AuditQuery;
use crate::control_plane::ControlPlane;
use crate::dump;
use crate::operator::{OperatorLaunch, OperatorProcess};
use crate::rights::{ACTOR, Grantee};
use crate::stand_in::HttpStandIn;

/// What one test has to itself.
pub struct TestNamespace {
    /// The namespace's name, unique in the control plane.
    pub name: String,
    /// A client with all rights.
    pub client: Client,
    /// The site at the other end of HTTP actions.
    pub stand_in: HttpStandIn,
    /// The control plane.
    pub control_plane: ControlPlane,
    audit: AuditQuery,
    operators: Mutex<Vec<Arc<OperatorProcess>>>,
    beside: Mutex<Vec<String>>,
    /// The namespaces in which the operator has been given rights; none: nothing yet.
    granted: tokio::sync::Mutex<Option<BTreeSet<String>>>,
    refusals_expected: AtomicBool,
}

impl ControlPlane {
    /// Runs the test in a namespace of its own.
    ///
    /// When the test fails or panics, prints the namespace's objects and the end of the operators' logs. In any case
    /// kills the operators and deletes the namespace, without waiting until it is gone.
    ///
    /// # Errors
    ///
    /// The test's own, or when the namespace cannot be made, or when an operator asked for something that the rights of
    /// the chart do not hold.
    pub async fn with_namespace(
        &self,
        name: &str,
        test: impl AsyncFnOnce(&TestNamespace) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{name}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        self.with_namespace_of_name(name, test).await
    }

    /// [`Self::with_namespace`] with exactly this name, for what was stored under it. Once for each control plane.
    ///
    /// # Errors
    ///
    /// As [`Self::with_namespace`].
    pub async fn with_namespace_of_name(
        &self,
        name: String,
        test: impl AsyncFnOnce(&TestNamespace) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let namespace = TestNamespace::make(self.clone(), name).await?;
        let test = async {
            test(&namespace).await?;
            namespace.nothing_was_forbidden()
        };
        let result = AssertUnwindSafe(test).catch_unwind().await;
        if !matches!(result, Ok(Ok(()))) {
            // It may have failed while something was paused, and then nothing below would be answered.
            self.resume_all();
            namespace.dump().await;
        }
        namespace.operators().clear();
        if let Err(error) = namespace.delete().await {
            eprintln!(
                "testkit: failed to delete the namespace `{}`: {error:#}",
                namespace.name
            );
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl TestNamespace {
    async fn make(control_plane: ControlPlane, name: String) -> anyhow::Result<Self> {
        let client = control_plane.client()?;
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .context("failed to make the namespace")?;
        Ok(Self {
            client,
            stand_in: HttpStandIn::start().await?,
            audit: control_plane.audit().from_now().namespace(&name),
            name,
            control_plane,
            operators: Mutex::default(),
            beside: Mutex::default(),
            granted: tokio::sync::Mutex::default(),
            refusals_expected: AtomicBool::new(false),
        })
    }

    /// Makes a namespace of exactly this name unless it is there, and dumps its objects too when the test fails.
    ///
    /// It is left behind: for control planes that the test has to itself.
    ///
    /// # Errors
    ///
    /// When it can neither be made nor found.
    pub async fn beside(&self, name: &str) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if namespaces.get_opt(name).await?.is_none() {
            let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            namespaces.create(&PostParams::default(), &namespace).await?;
        }
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        beside.push(name.to_owned());
        Ok(())
    }

    /// The objects of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// What has been asked of the API server about this namespace.
    pub fn audit(&self) -> AuditQuery {
        self.audit.clone()
    }

    /// How to run an operator that is limited to this namespace, as the user `operator:NAMESPACE`.
    ///
    /// [`Self::launch_operator`] gives it the rights that the chart gives and no others; with `DRPLAN_TEST_RBAC=all` in
    /// the environment it has all.
    ///
    /// # Errors
    ///
    /// When the kubeconfig cannot be written.
    pub fn operator_launch(&self) -> anyhow::Result<OperatorLaunch> {
        let user = self.operator_user();
        let privileged = std::env::var("DRPLAN_TEST_RBAC").is_ok_and(|rights| rights == "all");
        if privileged {
            return self.privileged_launch();
        }
        let kubeconfig = self.control_plane.kubeconfig_for(&user, None)?;
        let mut launch = OperatorLaunch::new(kubeconfig).namespace(&self.name);
        launch.chart_user = Some(user);
        Ok(launch)
    }

    /// The same with all rights.
    ///
    /// # Errors
    ///
    /// When the kubeconfig cannot be written.
    pub fn privileged_launch(&self) -> anyhow::Result<OperatorLaunch> {
        let kubeconfig = self
            .control_plane
            .kubeconfig_for(&self.operator_user(), Some("system:masters"))?;
        Ok(OperatorLaunch::new(kubeconfig).namespace(&self.name))
    }

    fn operator_user(&self) -> String {
        format!("operator:{}", self.name)
    }

    /// Starts an operator that is limited to this namespace and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it cannot be built or does not come up.
    pub async fn start_operator(&self) -> anyhow::Result<Arc<OperatorProcess>> {
        let operator = self.launch_operator(self.operator_launch()?).await?;
        operator.ready().await?;
        Ok(operator)
    }

    /// The same with all rights, for which no chart has to be rendered.
    ///
    /// # Errors
    ///
    /// As [`Self::start_operator`].
    pub async fn start_privileged(&self) -> anyhow::Result<Arc<OperatorProcess>> {
        let operator = self.launch_operator(self.privileged_launch()?).await?;
        operator.ready().await?;
        Ok(operator)
    }

    /// Starts an operator as told, without waiting. Its log is dumped when the test fails.
    ///
    /// # Errors
    ///
    /// When it cannot be built or started.
    pub async fn launch_operator(&self, launch: OperatorLaunch) -> anyhow::Result<Arc<OperatorProcess>> {
        let launch = self.with_rights(launch).await?;
        let number = self.operators().len();
        let log = self
            .control_plane
            .dir()
            .join(format!("operator-{}-{number}.log", self.name));
        let operator = Arc::new(OperatorProcess::start_unready(launch, log).await?);
        self.operators().push(Arc::clone(&operator));
        Ok(operator)
    }

    /// Gives the launch's user what it is to be given.
    async fn with_rights(&self, mut launch: OperatorLaunch) -> anyhow::Result<OperatorLaunch> {
        let Some(user) = launch.chart_user.take() else {
            return Ok(launch);
        };
        let grantee = Grantee {
            client: &self.client,
            user: &user,
            own: &self.name,
        };
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if launch.operator_identity {
            for namespace in beside.iter().chain([&self.name]) {
                grantee.make_actor(namespace).await?;
            }
            launch.operator_identity = false;
            launch.args.push(format!("--default-service-account={ACTOR}"));
        }
        let mut granted = self.granted.lock().await;
        *granted = Some(grantee.grant(&launch, granted.take()).await?);
        Ok(launch)
    }

    /// Says that the operator will be refused something on purpose, which otherwise fails the test.
    pub fn expect_refusals(&self) {
        self.refusals_expected.store(true, Ordering::Relaxed);
    }

    /// Fails if an operator was refused something that it asked for as itself, with the rights of the chart.
    fn nothing_was_forbidden(&self) -> anyhow::Result<()> {
        if self.refusals_expected.load(Ordering::Relaxed) {
            return Ok(());
        }
        let refused = self
            .audit
            .clone()
            .user(&self.operator_user())
            .code(403)
            .entries()?;
        let refused: BTreeSet<String> = refused
            .iter()
            .filter(|entry| entry.impersonated_user.is_none() && entry.lacked_rights())
            .map(|entry| format!("{} {}", entry.verb, entry.request_uri))
            .collect();
        anyhow::ensure!(
            refused.is_empty(),
            "the operator may not do what it asked for: {refused:#?}"
        );
        Ok(())
    }

    fn operators(&self) -> std::sync::MutexGuard<'_, Vec<Arc<OperatorProcess>>> {
        self.operators.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dump(&self) {
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for name in std::iter::once(&self.name).chain(&beside) {
            eprintln!(
                "==== namespace {name}\n{}",
                dump::objects(&self.client, name).await
            );
        }
        for request in self.stand_in.all() {
            eprintln!(
                "--- request {} {} {}: {:?}",
                request.arrived, request.method, request.path, request.outcome
            );
        }
        for operator in self.operators().iter() {
            eprintln!("==== operator: {}", operator.log_tail(100));
        }
    }

    /// Takes our objects' finalizers, since nobody is left to serve them, and deletes the namespace.
    async fn delete(&self) -> anyhow::Result<()> {
        let unfinalized = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        for (plural, api) in dump::shown_apis(&self.client, &self.name) {
            if !plural.starts_with("dr") {
                continue;
            }
            let found = match api.list(&ListParams::default()).await {
                Ok(found) => found,
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                Err(error) => return Err(error.into()),
            };
            for object in found.iter().filter(|object| !object.finalizers().is_empty()) {
                api.patch(&object.name_any(), &PatchParams::default(), &unfinalized)
                    .await?;
            }
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}
