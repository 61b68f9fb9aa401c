//! Files that `kubectl drplan check` reads, and objects that the controller compiles.

use std::time::{Duration, Instant};

use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow, Time};
use drplan_cli::check::{SourceFile, check};
use drplan_engine::{Observed, Run, Snapshot, advance, snapshot::sha256_hex};
use drplan_operator::{
    context::Settings,
    index::{Index, PlanEntry, WorkflowEntry},
    record::Record,
    workflows::status_of,
};
use serde_json::Value;

use crate::{corpus, damage, rounds, statuses::raw};

/// No file of the examples' size takes longer, not even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn damaged_files_are_checked_to_the_end() {
    rounds(|rng| {
        let file = rng.choice(&*corpus::FILES).unwrap();
        let bytes = damage::text(file, rng);
        // What is no UTF-8 is replaced before it is read.
        let length = String::from_utf8_lossy(&bytes).len();
        let began = Instant::now();
        let found = check(&[SourceFile::new("m.yaml", bytes)], "default").findings;
        assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
        for finding in found {
            let span = finding.span;
            assert!(
                span.start <= span.end && span.end <= length,
                "{span:?} of {length}: {}",
                finding.message
            );
        }
    });
}

#[test]
fn damaged_objects_are_refused_or_run() {
    let (workflows, plans_of) = (corpus::of_kind("DRWorkflow"), corpus::of_kind("DRPlan"));
    let settings = Settings::default();
    let (mut compiled, mut refused) = (0_u64, 0_u64);
    rounds(|rng| {
        let index = Index::default();
        let plan = *rng.choice(&plans_of).unwrap();
        let namespace = plan["metadata"]["namespace"].as_str().unwrap_or("default");
        // Few changes in all, or hardly any plan would be sound.
        let victim = rng.usize(0..workflows.len() + 2);
        for (number, workflow) in workflows.iter().enumerate() {
            let mut workflow = (*workflow).clone();
            let own = workflow["metadata"]["namespace"]
                .as_str()
                .unwrap_or(namespace)
                .to_owned();
            workflow["metadata"]["namespace"] = Value::from(own);
            if number == victim {
                damage::value(&mut workflow["spec"], &workflows, rng);
            }
            let entry = WorkflowEntry::of(raw::<DRWorkflow>(&workflow));
            let _ = status_of(&entry);
            index.put_workflow(entry);
        }
        let mut plan = plan.clone();
        plan["metadata"]["namespace"] = Value::from(namespace);
        if victim >= workflows.len() {
            damage::value(&mut plan["spec"], &plans_of, rng);
        }
        let entry = PlanEntry::of(raw::<DRPlan>(&plan));
        match entry.compiled(&index.sources(&entry), &settings) {
            Ok(found) => {
                compiled += 1;
                runs(found.snapshot);
            }
            Err(problems) => {
                refused += 1;
                assert!(!problems.is_empty(), "refused without a reason");
            }
        }
    });
    assert!(
        compiled > 0 && refused > 0,
        "{compiled} compiled, {refused} refused"
    );
}

#[test]
fn damaged_executions_are_refused_or_read() {
    let executions = corpus::of_kind("DRPlanExecution");
    rounds(|rng| {
        let mut execution = (*rng.choice(&executions).unwrap()).clone();
        damage::value(&mut execution["spec"], &executions, rng);
        let record = Record::of(raw::<DRPlanExecution>(&execution));
        if let Err(problems) = record.request {
            assert!(!problems.is_empty(), "refused without a reason");
        }
    });
}

/// What compiles is stored and read again as the same, and begins.
fn runs(snapshot: Snapshot) {
    let text = snapshot.to_text();
    let again = Snapshot::from_text(&text, &sha256_hex(text.as_bytes())).unwrap();
    assert_eq!(again.to_text(), text);
    let run = Run::new(again);
    let status = run.initial_status();
    assert!(run.fits(&status));
    let seen = Observed {
        execution: "run".to_owned(),
        execution_uid: run.snapshot.execution_uid.clone(),
        http_places: usize::MAX,
        ..Observed::default()
    };
    let _ = advance(Some(&run), &status, &seen, Time::from_millis(1_800_000_000_000)).unwrap();
}
