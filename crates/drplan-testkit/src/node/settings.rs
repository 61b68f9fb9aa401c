//! What the programs of the node are told.

use std::path::Path;

use serde_json::{Value, json};

use super::images::PAUSE;
use super::{DNS, NAME, POD_GATEWAY};

/// The kubelet's configuration, with files below `dir` and its containers in this cgroup.
pub(super) fn kubelet(dir: &Path, cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "failSwapOn": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "address": POD_GATEWAY,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": dir.join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": dir.join("node.crt"),
        "tlsPrivateKeyFile": dir.join("node.key"),
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": dir.join("resolv.conf"),
        // kube-proxy has them in hand.
        "makeIPTablesUtilChains": false,
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": "/run/kubelet-plugins",
        // The disk of whoever runs the tests may be nearly full.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    })
}

/// kube-proxy's configuration.
pub(super) fn proxy(dir: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": dir.join("proxy.kubeconfig")},
        "clusterCIDR": "10.244.0.0/24",
        "hostnameOverride": NAME,
        // Settings of the whole kernel are left alone.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

/// containerd's configuration.
pub(super) fn containerd(dir: &Path, cni: &Path, runc: &Path) -> String {
    let [dir, cni, runc] = [dir, cni, runc].map(Path::display);
    format!(
        r#"version = 3
root = "{dir}/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/containerd-opt"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
  # Whoever starts this may lack CAP_SYS_RESOURCE, as in a container.
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true

  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{cni}"]
    conf_dir = "{dir}/cni"

  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"

    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "{runc}"
"#
    )
}

/// The network of Pods: one bridge.
pub(super) fn network() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-addresses",
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

/// What the name service knows: the cluster's Services, and these hosts elsewhere.
pub(super) fn names(dir: &Path, hosts: &[(&str, &str)]) -> String {
    let kubeconfig = dir.join("dns.kubeconfig");
    let hosts: String = hosts
        .iter()
        .map(|(address, host)| format!("        {address} {host}\n"))
        .collect();
    format!(
        ".:5353 {{
    bind {POD_GATEWAY}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {}
        pods insecure
    }}
    hosts {{
{hosts}        fallthrough
    }}
    cache 5
}}
",
        kubeconfig.display()
    )
}

/// The name service as Pods reach it: a Service in front of a program of the node's.
pub(super) fn name_service() -> Value {
    let ports = json!([
        {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 5353, "protocol": "TCP"},
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"clusterIP": DNS, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [POD_GATEWAY]}],
            "ports": [
                {"name": "dns", "port": 5353, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 5353, "protocol": "TCP"},
            ],
        },
    ]})
}
