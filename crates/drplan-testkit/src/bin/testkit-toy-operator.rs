//! The least that [`drplan_testkit::OperatorProcess`] takes for an operator, to test it with.
//!
//! It greets the namespace with a ConfigMap, logs JSON lines, is ready at `/readyz`, and ends at SIGTERM.

use std::net::SocketAddr;

use clap::Parser;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    health_bind: SocketAddr,
    #[arg(long)]
    namespace: String,
    /// End with this code instead of becoming ready.
    #[arg(long)]
    exit: Option<i32>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    eprintln!(
        "{}",
        json!({"level": "INFO", "message": "starting", "greeting": std::env::var("TOY_GREETING").ok()})
    );
    if let Some(code) = args.exit {
        std::process::exit(code);
    }
    let config_maps: Api<ConfigMap> = Api::namespaced(Client::try_default().await?, &args.namespace);
    let greeting = Patch::Apply(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "greeting"},
        "data": {"pid": std::process::id().to_string()},
    }));
    config_maps
        .patch("greeting", &PatchParams::apply("toy").force(), &greeting)
        .await?;

    let listener = TcpListener::bind(args.health_bind).await?;
    eprintln!("{}", json!({"level": "INFO", "message": "ready"}));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            accepted = listener.accept() => {
                let (mut connection, _) = accepted?;
                let _request = connection.read(&mut [0; 1024]).await?;
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
            }
        }
    }
    eprintln!("{}", json!({"level": "INFO", "message": "ending"}));
    Ok(())
}
