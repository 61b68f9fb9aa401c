//! What `kubectl drplan` prints of a run, with all that it says on the side.

use std::path::Path;

use anyhow::ensure;
use drplan_testkit::{TestNamespace, cli_binary};
use tokio::process::Command;

/// Each command with what it printed. `manifests` is a directory with the plan, its workflow and the Secret.
pub(super) async fn printed(t: &TestNamespace, manifests: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let manifests = manifests.display().to_string();
    let mut shown = Vec::new();
    let check = format!("check {manifests}");
    let check_json = format!("check -o json {manifests}");
    let rbac_files = format!("rbac -f {manifests}");
    // With exit code and a word of each, since one that prints nothing shows nothing either.
    for (args, code, word) in [
        ("watch run", 4, "Failed"),
        ("watch undo", 0, "Succeeded"),
        ("history shop", 0, "undo"),
        ("rbac shop", 0, "kind: Role"),
        ("rbac shop --check", 3, "may not get secrets"),
        (&*rbac_files, 0, "kind: Role"),
        (
            &*check,
            0,
            "1 workflow, 1 plan (1 object of other kinds passed over)",
        ),
        (&*check_json, 0, "\"problems\""),
        ("cancel run --wait", 1, "nothing to cancel"),
        ("resume run --wait", 1, "can be resumed"),
        (
            "revert run --name more --allow-partial --wait",
            4,
            "AlreadyReverted",
        ),
        ("run shop --name again --wait", 4, "Failed"),
        ("run shop --param number=none --name unfit --wait", 4, "Failed"),
        ("watch nowhere", 1, "nowhere"),
    ] {
        let program = tokio::task::spawn_blocking(cli_binary).await??;
        let output = Command::new(program)
            .args(["--kubeconfig".as_ref(), t.control_plane.kubeconfig().as_os_str()])
            .args(["--namespace", &t.name])
            .args(args.split(' '))
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .output()
            .await?;
        let text = String::from_utf8([output.stdout, output.stderr].concat())?;
        let ended = output.status.code();
        ensure!(
            ended == Some(code) && text.contains(word),
            "kubectl drplan {args}: {ended:?}\n{text}"
        );
        shown.push((format!("kubectl drplan {args}"), text));
    }
    Ok(shown)
}
