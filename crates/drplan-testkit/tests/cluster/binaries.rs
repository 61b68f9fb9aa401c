use std::process::{Command, Output};

fn build() -> Command {
    let mut build = Command::new(env!("CARGO_BIN_EXE_drplan-controlplane"));
    build.arg("build").env_remove("DRPLAN_CONTROLPLANE_BIN");
    build
}

fn failure(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_go_it_says_what_to_install() -> anyhow::Result<()> {
    let error = failure(&build().env("PATH", "").output()?);
    assert!(
        error.contains("Go 1.26") && error.contains("DRPLAN_CONTROLPLANE_BIN"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_directory_of_ones_own_must_be_complete() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let error = failure(&build().env("DRPLAN_CONTROLPLANE_BIN", dir.path()).output()?);
    assert!(error.contains("has no `etcd`"), "{error}");

    let built = build().output()?;
    let built = String::from_utf8_lossy(&built.stdout).into_owned();
    let named = build()
        .env("DRPLAN_CONTROLPLANE_BIN", built.trim())
        .env("PATH", "")
        .output()?;
    assert_eq!(String::from_utf8_lossy(&named.stdout), built);
    Ok(())
}
