//! `check` as a user runs it, and on whatever may be in a file.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use drplan_api::Severity;
use drplan_cli::check::{Checked, SourceFile, check, json, text};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The manifests of the guide and of the first plan.
fn manifests() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for directory in ["crates/drplan-api/tests/guide", "examples/first-plan"] {
        let mut paths: Vec<PathBuf> = fs::read_dir(repository().join(directory))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
            .collect();
        paths.sort();
        files.extend(
            paths
                .iter()
                .map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())),
        );
    }
    files
}

fn checked(manifest: &str) -> (Vec<SourceFile>, Checked) {
    let files = vec![SourceFile::new("m.yaml", manifest.as_bytes().to_vec())];
    let checked = check(&files, "default");
    (files, checked)
}

/// Line, column and message of everything found in `manifest`.
fn told(manifest: &str) -> Vec<String> {
    let (files, checked) = checked(manifest);
    let problems = json(&files, &checked);
    let problems = problems["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|problem| {
            let of = |field: &str| problem[field].as_str().unwrap_or_default();
            format!(
                "{}:{} {} {} {}",
                problem["line"],
                problem["column"],
                of("severity"),
                of("path"),
                of("message")
            )
        })
        .collect()
}

#[test]
fn every_kind_of_problem_of_a_file_is_told_at_once_with_its_place() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/bad.yaml")).unwrap();
    let (files, checked) = checked(&manifest);
    let shown = text(&files, &checked, false, 100);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/bad.txt");
    if fs::read_to_string(&path).unwrap_or_default() != shown {
        fs::write(&path, &shown).unwrap();
        panic!(
            "{} was stale and has been rewritten; look at it:\n{shown}",
            path.display()
        );
    }
}

#[test]
fn the_guide_has_no_errors_but_the_revert_that_names_no_target() {
    for (name, manifest) in manifests() {
        let (files, checked) = checked(&manifest);
        let expected = usize::from(name.contains("0943"));
        let shown = text(&files, &checked, false, 100);
        assert_eq!(checked.count(Severity::Error), expected, "{name}\n{shown}");
    }
}

#[test]
fn in_the_examples_there_is_nothing_to_tell() {
    let mut directories = 0;
    for directory in fs::read_dir(repository().join("examples")).unwrap() {
        let directory = directory.unwrap().path();
        let listed = fs::read_dir(&directory).into_iter().flatten();
        let mut paths: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
        if paths.is_empty() {
            continue;
        }
        directories += 1;
        paths.push(directory.join("run/execution.yaml"));
        let files: Vec<SourceFile> = paths
            .iter()
            .map(|path| SourceFile::new(path.display().to_string(), fs::read(path).unwrap()))
            .collect();
        let checked = check(&files, "default");
        let shown = text(&files, &checked, false, 100);
        for severity in [Severity::Error, Severity::Warning] {
            assert_eq!(checked.count(severity), 0, "{shown}");
        }
    }
    assert!(directories >= 7, "{directories}");
}

#[test]
fn plans_are_checked_with_the_workflows_of_the_same_files_and_only_with_them() {
    let plan = "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRPlan\nmetadata: {name: p}\nspec:\n  \
                workflowRef: {name: w}\n  params: [{name: size, value: x}]\n";
    let workflow = "---\napiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRWorkflow\nmetadata: {name: w}\nspec:\n  \
                    parameters: [{name: size, type: int}]\n  \
                    actions: [{name: a, type: HTTP, http: {url: 'http://x'}}]\n";
    let alone = told(plan);
    assert!(
        matches!(&alone[..], [one] if one.starts_with("5:3 warning") && one.contains("is not among these files")),
        "{alone:?}"
    );
    let together = told(&format!("{plan}{workflow}"));
    assert!(
        matches!(&together[..], [one] if one.starts_with("6:32 error") && one.contains("write a whole number")),
        "{together:?}"
    );
}

#[test]
fn one_bad_document_hides_no_other() {
    let good =
        "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRPlan\nmetadata: {name: p}\nspec: {stages: []}\n";
    let found = told(&format!("a: [\n---\n{good}---\nb: }}\n"));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[1].contains("spec.stages"), "{found:?}");
}

/// A generator of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // The multiplier and increment of PCG's generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// Shows what is found, as both reports do: neither may panic on any place or message.
fn survive(name: &str, bytes: Vec<u8>) {
    let files = vec![SourceFile::new(name, bytes)];
    let checked = check(&files, "default");
    let _ = text(&files, &checked, true, 80);
    let _ = json(&files, &checked);
}

#[test]
fn a_value_of_a_secret_where_it_must_not_be_is_told_without_a_cluster() {
    let manifest = |url: &str| {
        format!(
            "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRWorkflow\nmetadata:\n  name: flow\nspec:\n  parameters:\n  \
             - name: token\n  actions:\n  - name: call\n    type: HTTP\n    http:\n      url: {url}\n---\n\
             apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRPlan\nmetadata:\n  name: shop\nspec:\n  workflowRef:\n    \
             name: flow\n  params:\n  - name: token\n    valueFrom:\n      secretKeyRef:\n        name: dns\n        key: token\n"
        )
    };
    assert_eq!(
        told(&manifest("https://dns.example.com/?token={{ .params.token }}")),
        Vec::<String>::new()
    );
    let said = told(&manifest("https://dns.example.com/{{ .params.token }}"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("12:12 error ")
            && said[0].contains("before the `?` or behind a `#`; such a value may go"),
        "{said:?}"
    );
}

#[test]
fn no_input_breaks_it() {
    let pieces: [&[u8]; 24] = [
        b"{{",
        b"}}",
        b"'",
        b"\"",
        b": ",
        b"- ",
        b"\n",
        b"\t",
        b"---\n",
        b"|",
        b">",
        b"&a ",
        b"*a",
        b"!!binary ",
        b"<<: ",
        b"[",
        b"}",
        b"~",
        b"0644",
        b".nan",
        b"\xff",
        b"\x1b[2J",
        "灾备".as_bytes(),
        b"99999999999999999999",
    ];
    let mut dice = Dice(20_261_121);
    for (name, manifest) in manifests() {
        let bytes = manifest.as_bytes();
        for _ in 0..12 {
            survive(&name, bytes[..dice.below(bytes.len())].to_vec());
        }
        for _ in 0..25 {
            let mut mutated = bytes.to_vec();
            for _ in 0..=dice.below(4) {
                let at = dice.below(mutated.len());
                match dice.below(3) {
                    0 => drop(mutated.splice(at..at, pieces[dice.below(pieces.len())].iter().copied())),
                    1 => drop(mutated.drain(at..(at + 1 + dice.below(20)).min(mutated.len()))),
                    _ => {
                        // A line takes the place of another.
                        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                        mutated.splice(at..at, lines[dice.below(lines.len())].iter().copied());
                    }
                }
            }
            survive(&name, mutated);
        }
    }
    for odd in [
        "",
        "\u{feff}",
        "---",
        "...",
        "- a",
        "a",
        "null",
        "{}",
        "[]",
        "%YAML 1.2",
        "? [a]\n: b",
        "{apiVersion: 5}",
        "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRPlan\nspec: 5",
        "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRWorkflow\nspec: {actions: [[], 1, {http: 5}, null]}\nmetadata: []",
        "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRPlanExecution\nspec: {planRef: [], params: {a: b}}",
        "apiVersion: v1\nkind: List\nitems: 5",
        "a: &a [*a]",
        "a: &a {b: *a}",
    ] {
        survive("odd", odd.as_bytes().to_vec());
    }
    survive("deep", "[".repeat(100_000).into_bytes());
    survive("deep", "{a: ".repeat(5_000).into_bytes());
    let bomb: String = (1..20)
        .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1))
        .collect();
    survive("bomb", format!("a0: &a0 x\n{bomb}").into_bytes());
}

fn run(args: &[&str], input: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-drplan"));
    command.args(args).current_dir(repository()).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.unwrap_or_default().as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let code = |args: &[&str], input| run(args, input).status.code();
    assert_eq!(code(&["check", "examples/first-plan"], None), Some(0));
    assert_eq!(code(&["check", "-"], Some("a: [")), Some(3));
    assert_eq!(code(&["check", "no-such-file.yaml"], None), Some(1));
    assert_eq!(code(&["check"], None), Some(2));
    assert_eq!(
        code(&["watch", "x", "--kubeconfig", "no-such-file"], None),
        Some(1)
    );
    assert_eq!(code(&["run", "x", "--param", "novalue"], None), Some(2));
}

#[test]
fn results_go_to_standard_output_and_failures_to_standard_error() {
    let found = run(&["check", "-o", "json", "-"], Some("kind: DRPlan\n"));
    let read: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert!(
        read["errors"].as_u64().unwrap() > 0 && found.stderr.is_empty(),
        "{read}"
    );
    let found = run(&["check", "no-such-file.yaml"], None);
    let said = String::from_utf8(found.stderr).unwrap();
    assert!(
        said.starts_with("error: failed to read `no-such-file.yaml`") && found.stdout.is_empty(),
        "{said}"
    );
}
