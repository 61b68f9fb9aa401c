//! The programs of a control plane and how each is started.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::authority::Authority;
use crate::binaries::Binaries;
use crate::kept::Launch;
use crate::port::free_port;

use super::Options;

/// One program of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of Jobs, namespaces, garbage and the rest.
    ControllerManager,
    /// Assigns pods to the one node.
    Scheduler,
    /// Plays the node: its pods run, complete and fail.
    Kwok,
}

/// The components that are the API server's clients.
const CLIENTS: [Component; 3] = [
    Component::ControllerManager,
    Component::Scheduler,
    Component::Kwok,
];

/// The address of the Service `kubernetes`: the first one of the range.
const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

const KWOK_STAGES: &str = include_str!("stages.yaml");
/// What the stages say where a pod's annotation does not say how long it takes.
const NO_SECONDS: &str = r#"drplan/seconds"] // "0")"#;

/// What every container of a KWOK pod has logged.
pub(super) const POD_LOG: &str = "\
2026-01-01T00:00:00.000000000Z stdout F testkit: the container has started
2026-01-01T00:00:01.000000000Z stderr F testkit: this is the last line of the container's log
";

impl Component {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }

    /// As whom it talks to the API server. The audit log leaves it out.
    fn user(self) -> String {
        format!("testkit:{}", self.program())
    }
}

/// Everything the components read, and where they listen.
pub(super) struct Site<'a> {
    pub(super) dir: &'a Path,
    pub(super) etcd_port: u16,
    etcd_peer_port: u16,
    pub(super) apiserver_port: u16,
    kwok_port: u16,
    node_address: Option<Ipv4Addr>,
}

impl<'a> Site<'a> {
    /// Chooses ports and writes the files into `dir`.
    pub(super) fn prepare(dir: &'a Path, authority: &Authority, options: &Options) -> anyhow::Result<Self> {
        let site = Self {
            dir,
            etcd_port: free_port()?,
            etcd_peer_port: free_port()?,
            apiserver_port: free_port()?,
            kwok_port: free_port()?,
            node_address: options.node_address,
        };
        site.write("ca.crt", &authority.certificate())?;
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "localhost",
        ];
        let addresses: Vec<Ipv4Addr> = site
            .node_address
            .into_iter()
            .flat_map(|address| [address, KUBERNETES_SERVICE])
            .collect();
        authority.server_at(&addresses, &names)?.write(dir, "server")?;
        authority
            .client(&Component::ApiServer.user(), Some("system:masters"))?
            .write(dir, "kubelet-client")?;
        let service_accounts = rcgen::KeyPair::generate()?;
        site.write("service-accounts.key", &service_accounts.serialize_pem())?;
        site.write("service-accounts.pub", &service_accounts.public_key_pem())?;
        for component in [
            Component::ControllerManager,
            Component::Scheduler,
            Component::Kwok,
        ] {
            let user = authority.client(&component.user(), Some("system:masters"))?;
            let kubeconfig = authority.kubeconfig(site.apiserver_port, &user);
            site.write(
                &format!("{}.kubeconfig", component.program()),
                &kubeconfig.to_string(),
            )?;
        }
        site.write("audit-policy.yaml", &audit_policy(options).to_string())?;
        site.write("pod.log", POD_LOG)?;
        site.write(
            "kwok.yaml",
            &format!(
                "{}---\n{}\n",
                stages(options.pod_seconds),
                cluster_logs(&dir.join("pod.log"))
            ),
        )?;
        Ok(site)
    }

    /// How to start the component.
    pub(super) fn launch(&self, component: Component, binaries: &Binaries, more: &[String]) -> Launch {
        let dir = self.dir.display();
        let kubeconfig = format!("--kubeconfig={dir}/{}.kubeconfig", component.program());
        let mut args: Vec<String> = match component {
            Component::Etcd => {
                let client = format!("http://127.0.0.1:{}", self.etcd_port);
                let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
                vec![
                    format!("--data-dir={dir}/etcd"),
                    format!("--listen-client-urls={client}"),
                    format!("--advertise-client-urls={client}"),
                    format!("--listen-peer-urls={peer}"),
                    format!("--initial-advertise-peer-urls={peer}"),
                    format!("--initial-cluster=default={peer}"),
                    "--unsafe-no-fsync".into(),
                    "--log-level=warn".into(),
                ]
            }
            Component::ApiServer => vec![
                format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
                format!("--secure-port={}", self.apiserver_port),
                format!("--tls-cert-file={dir}/server.crt"),
                format!("--tls-private-key-file={dir}/server.key"),
                format!("--client-ca-file={dir}/ca.crt"),
                format!("--kubelet-certificate-authority={dir}/ca.crt"),
                "--kubelet-preferred-address-types=InternalIP".into(),
                format!("--service-account-key-file={dir}/service-accounts.pub"),
                format!("--service-account-signing-key-file={dir}/service-accounts.key"),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                "--service-cluster-ip-range=10.96.0.0/16".into(),
                "--authorization-mode=RBAC,Node".into(),
                "--allow-privileged=true".into(),
                // Tests run side by side against this one server: it is not what they test.
                "--max-requests-inflight=4000".into(),
                "--max-mutating-requests-inflight=2000".into(),
                format!("--audit-policy-file={dir}/audit-policy.yaml"),
                format!("--audit-log-path={dir}/audit.log"),
                // Megabytes, so that it is never rotated away from its readers.
                "--audit-log-maxsize=100000".into(),
                "--profiling=false".into(),
            ],
            Component::ControllerManager => vec![
                kubeconfig,
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                format!("--service-account-private-key-file={dir}/service-accounts.key"),
                format!("--root-ca-file={dir}/ca.crt"),
                // The default of 20 a second makes Jobs and namespaces of parallel tests wait for each other.
                "--kube-api-qps=1000".into(),
                "--kube-api-burst=2000".into(),
                "--profiling=false".into(),
            ],
            Component::Scheduler => vec![
                kubeconfig,
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=1000".into(),
                "--kube-api-burst=2000".into(),
                "--profiling=false".into(),
            ],
            Component::Kwok => vec![
                kubeconfig,
                "--manage-all-nodes=true".into(),
                format!("--config={dir}/kwok.yaml"),
                "--node-lease-duration-seconds=40".into(),
                "--node-ip=127.0.0.1".into(),
                format!("--node-port={}", self.kwok_port),
                format!("--server-address=127.0.0.1:{}", self.kwok_port),
                format!("--tls-cert-file={dir}/server.crt"),
                format!("--tls-private-key-file={dir}/server.key"),
            ],
        };
        if component == Component::ApiServer {
            args.extend(self.apiserver_reach());
        }
        args.extend_from_slice(more);
        Launch {
            program: binaries.path(component.program()),
            args: args.into_iter().map(OsString::from).collect(),
            // Nothing of the user's own configuration has a say.
            env: vec![("HOME".into(), self.dir.into())],
            log: self.dir.join(format!("{}.log", component.program())),
        }
    }

    /// Who reaches the API server, and what it takes for granted of Pods and nodes.
    fn apiserver_reach(&self) -> Vec<String> {
        let dir = self.dir.display();
        match self.node_address {
            None => vec![
                "--bind-address=127.0.0.1".into(),
                // An address for documentation: the server wants one that is not loopback, which a machine without
                // a network has not, and then nothing is done with it.
                "--advertise-address=192.0.2.1".into(),
                "--endpoint-reconciler-type=none".into(),
                // Pods need no service account here, and a new node takes pods at once.
                "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition".into(),
            ],
            Some(address) => vec![
                "--bind-address=0.0.0.0".into(),
                format!("--advertise-address={address}"),
                "--enable-admission-plugins=NodeRestriction".into(),
                format!("--kubelet-client-certificate={dir}/kubelet-client.crt"),
                format!("--kubelet-client-key={dir}/kubelet-client.key"),
            ],
        }
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let file = self.dir.join(name);
        fs::write(&file, text).with_context(|| format!("failed to write `{}`", file.display()))
    }
}

/// What KWOK does, with pods of Jobs that take this long unless they say otherwise.
fn stages(pod_seconds: f64) -> String {
    KWOK_STAGES.replace(NO_SECONDS, &NO_SECONDS.replace('0', &pod_seconds.to_string()))
}

/// Metadata, or all, or nothing, of every finished request except those of the control plane itself.
fn audit_policy(options: &Options) -> serde_json::Value {
    let level = match (options.audit, options.audit_bodies) {
        (true, true) => "RequestResponse",
        (true, false) => "Metadata",
        (false, _) => "None",
    };
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "None", "users": CLIENTS.map(Component::user)},
            {"level": "None", "users": ["system:apiserver", "system:anonymous"]},
            {"level": level},
        ],
    })
}

fn cluster_logs(file: &Path) -> serde_json::Value {
    json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "every-pod"},
        "spec": {"logs": [{"logsFile": file, "follow": false}]},
    })
}
