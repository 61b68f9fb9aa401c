//! `kubectl drplan` where the API server is behind an HTTP proxy.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::{Arc, Mutex, PoisonError};

use drplan_testkit::{TestNamespace, cli_binary};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

use crate::fixtures::{apply_plan, post};
use crate::shared;

/// A name of the API server that no name service knows, and that its certificate is for.
const NAME: &str = "kubernetes.default:443";

/// A proxy that leads to the API server, whatever it is asked for.
struct HttpProxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _serves: AbortOnDropHandle<()>,
}

impl HttpProxy {
    async fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://me:word@{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let serves = tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    // What goes wrong, the client sees.
                    tokio::spawn(hand_on(client, server, Arc::clone(&asked)));
                }
            }
        });
        Ok(Self {
            url,
            asked,
            _serves: AbortOnDropHandle::new(serves),
        })
    }

    /// What it was asked for so far: the first line of each request, and its credentials.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn hand_on(
    client: TcpStream,
    server: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut told = String::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if told.is_empty() || line.to_ascii_lowercase().starts_with("proxy-authorization") {
            told.push_str(line);
            told.push('\n');
        }
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// `kubectl drplan history shop` with this kubeconfig and environment.
async fn history(t: &TestNamespace, kubeconfig: &Value, env: &[(&str, &str)]) -> anyhow::Result<Output> {
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(file.as_file(), kubeconfig)?;
    let program = tokio::task::spawn_blocking(cli_binary).await??;
    let output = Command::new(program)
        .args(["--kubeconfig".as_ref(), file.path().as_os_str()])
        .args(["--namespace", &t.name, "history", "shop"])
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .envs(env.iter().copied())
        .output()
        .await?;
    Ok(output)
}

#[tokio::test]
async fn the_plugin_goes_through_the_proxy_that_kubectl_would_take() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        let server = SocketAddr::from(([127, 0, 0, 1], control_plane.apiserver_port()));
        let proxy = HttpProxy::start(server).await?;
        let through: &[(&str, &str)] = &[("HTTPS_PROXY", &proxy.url)];
        let direct: Value = serde_json::from_str(&std::fs::read_to_string(control_plane.kubeconfig())?)?;
        let mut named = direct.clone();
        named["clusters"][0]["cluster"]["server"] = json!(format!("https://{NAME}"));

        // To this machine no proxy leads.
        let found = history(t, &direct, through).await?;
        assert!(found.status.success() && proxy.asked().is_empty(), "{found:?}");
        let found = history(t, &named, through).await?;
        assert!(found.status.success(), "{found:?}");
        let asked = proxy.asked();
        let first = format!("CONNECT {NAME} HTTP/1.1\n");
        assert!(
            asked[0].starts_with(&first) && asked[0].contains("Basic bWU6d29yZA=="),
            "{asked:?}"
        );

        // Listed as one to reach directly, it is not found.
        let listed = [through, &[("NO_PROXY", "10.0.0.0/8,kubernetes.default,")]].concat();
        let found = history(t, &named, &listed).await?;
        assert_eq!(found.status.code(), Some(1), "{found:?}");
        assert_eq!(proxy.asked().len(), asked.len());
        // The kubeconfig's own goes before.
        named["clusters"][0]["cluster"]["proxy-url"] = json!(proxy.url);
        let found = history(t, &named, &[("HTTPS_PROXY", "http://127.0.0.1:1")]).await?;
        assert!(
            found.status.success() && proxy.asked().len() > asked.len(),
            "{found:?}"
        );
        Ok(())
    };
    control_plane.with_namespace("kubectl-proxied", test).await
}
