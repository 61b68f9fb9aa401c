//! Pictures of runs, kept as text beside this file. A stale one is rewritten, and the test fails once.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod parts;
mod reverts;
mod runs;

use std::{fs, path::Path};

use drplan_api::Time;
use drplan_cli::{
    tree::{Look, render},
    view::RunView,
};
use serde_json::json;

use crate::{
    parts::at,
    runs::{all_at_once, cancelled, cancelling, chinese, failed, five_stages, two_hundred, unknown},
};

fn check(name: &str, run: &RunView, now: Time, look: &Look) {
    let lines = render(run, now, look);
    let shown: String = lines.iter().map(|line| format!("{}\n", line.plain())).collect();
    for line in &lines {
        let is_command = line.plain().contains("kubectl drplan");
        assert!(
            line.width() <= look.width || is_command,
            "{name}: {}",
            line.plain()
        );
    }
    if let Some(height) = look.height {
        assert!(lines.len() <= height, "{name}: {} lines", lines.len());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/tree/{name}.txt"));
    if fs::read_to_string(&path).unwrap_or_default() != shown {
        fs::write(&path, &shown).unwrap();
        panic!(
            "{} was stale and has been rewritten; look at it:\n{shown}",
            path.display()
        );
    }
}

fn look(width: usize, height: Option<usize>) -> Look {
    Look {
        height,
        flags: " -n shop".to_owned(),
        live: height.is_some(),
        ..Look::wide(width)
    }
}

#[test]
fn five_stages_with_a_retry_narrow_and_wide() {
    check("five-stages-80", &five_stages(), at(70.0), &look(80, None));
    check("five-stages-200", &five_stages(), at(70.0), &look(200, None));
    check("five-stages-40", &five_stages(), at(70.0), &look(40, None));
    check(
        "five-stages-attempt-under-way",
        &five_stages(),
        at(80.0),
        &look(80, None),
    );
}

#[test]
fn a_small_screen_folds_what_has_ended_then_what_has_not_begun() {
    check("five-stages-80x20", &five_stages(), at(70.0), &look(80, Some(20)));
    check("five-stages-80x12", &five_stages(), at(70.0), &look(80, Some(12)));
    check("five-stages-80x5", &five_stages(), at(70.0), &look(80, Some(5)));
}

#[test]
fn a_failure_has_its_cause_below_and_the_next_commands_at_the_end() {
    check("failed-80", &failed(), at(500.0), &look(80, None));
    check("failed-200", &failed(), at(500.0), &look(200, None));
}

#[test]
fn cancelled_cancelling_and_unknown_say_what_can_be_done() {
    check("cancelled", &cancelled(), at(500.0), &look(80, None));
    check("cancelling", &cancelling(), at(5.0), &look(80, Some(24)));
    check("unknown", &unknown(), at(500.0), &look(80, None));
}

#[test]
fn chinese_is_aligned() {
    check("chinese-80", &chinese(), at(5.0), &look(80, None));
    check("chinese-40", &chinese(), at(5.0), &look(40, None));
}

#[test]
fn two_hundred_actions_fit_on_a_screen_of_24_rows() {
    check(
        "two-hundred-80x24",
        &two_hundred(),
        at(125.0),
        &look(80, Some(24)),
    );
    check(
        "all-at-once-80x24",
        &all_at_once(),
        at(125.0),
        &look(80, Some(24)),
    );
}

#[test]
fn a_terminal_of_ascii_is_served_too() {
    let ascii = Look {
        unicode: false,
        ..look(80, None)
    };
    check("five-stages-ascii", &five_stages(), at(70.0), &ascii);
}

#[test]
fn a_run_that_has_not_begun_says_what_it_waits_for() {
    let run = RunView::read(&json!({
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": {"planRef": "shop-failover", "operationType": "Execute"},
        "status": {"phase": "Pending", "message": "waiting for a place: 500 executions are running (--max-running)"},
    }));
    check("pending", &run, at(0.0), &look(80, Some(24)));
}

#[test]
fn no_size_of_a_screen_breaks_it() {
    for run in [five_stages(), failed(), chinese(), two_hundred(), all_at_once()] {
        for width in [1, 2, 5, 10, 17, 33, 79, 300] {
            for height in [1, 2, 3, 7, 9, 11, 50] {
                let lines = render(&run, at(130.0), &look(width, Some(height)));
                assert!(lines.len() <= height);
            }
        }
    }
}

#[test]
fn colours_are_names_of_the_terminal_and_never_backgrounds() {
    for line in render(&failed(), at(500.0), &look(80, None)) {
        for code in line.coloured().split("\x1b[").skip(1) {
            let code = code.split('m').next().unwrap();
            assert!(
                ["0", "1", "2", "32", "35", "36", "1;31"].contains(&code),
                "{code}"
            );
        }
    }
}
