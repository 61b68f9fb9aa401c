//! The limits, and the fields that must tell them.

use drplan_api::limits;

use super::{source::documented, table::table};

const SOURCE: &str = include_str!("../../../src/limits.rs");

/// A limit.
pub(super) struct Limit {
    /// The constant's name; its end tells the unit.
    name: &'static str,
    value: u64,
    /// The fields whose description must hold the figure.
    pub(super) fields: &'static [&'static str],
}

impl Limit {
    const fn new(name: &'static str, value: usize, fields: &'static [&'static str]) -> Self {
        Self {
            name,
            value: value as u64,
            fields,
        }
    }

    /// The value with its unit.
    pub(super) fn figure(&self) -> String {
        match self.name {
            name if name.ends_with("_SECONDS_MAX") => format!("{}h", self.value / 3600),
            name if name.ends_with("_BYTES_MAX") && self.value >= 1024 => {
                format!("{} KiB", self.value / 1024)
            }
            _ => self.value.to_string(),
        }
    }
}

pub(super) const ALL: [Limit; 17] = [
    Limit::new("ACTIONS_MAX", limits::ACTIONS_MAX, &["DRWorkflow.spec.actions"]),
    Limit::new(
        "WORKFLOWS_IN_STAGE_MAX",
        limits::WORKFLOWS_IN_STAGE_MAX,
        &["DRPlan.spec.stages[].workflows"],
    ),
    Limit::new("STAGES_MAX", limits::STAGES_MAX, &["DRPlan.spec.stages"]),
    Limit::new(
        "PARAMETERS_MAX",
        limits::PARAMETERS_MAX,
        &[
            "DRWorkflow.spec.parameters",
            "DRPlan.spec.globalParams",
            "DRPlan.spec.params",
            "DRPlan.spec.stages[].workflows[].params",
            "DRPlanExecution.spec.params",
        ],
    ),
    Limit::new(
        "MANIFEST_BYTES_MAX",
        limits::MANIFEST_BYTES_MAX,
        &[
            "DRWorkflow.spec.actions[].resource.manifest",
            "DRWorkflow.spec.actions[].localization.overrides[].value",
        ],
    ),
    Limit::new(
        "BODY_BYTES_MAX",
        limits::BODY_BYTES_MAX,
        &["DRWorkflow.spec.actions[].http.body"],
    ),
    Limit::new(
        "VALUE_BYTES_MAX",
        limits::VALUE_BYTES_MAX,
        &[
            "DRWorkflow.spec.parameters[].default",
            "DRPlan.spec.globalParams[].value",
        ],
    ),
    Limit::new(
        "TIMEOUT_SECONDS_MAX",
        limits::TIMEOUT_SECONDS_MAX as usize,
        &[
            "DRWorkflow.spec.actions[].timeout",
            "DRWorkflow.spec.actions[].retryPolicy.interval",
            "DRWorkflow.spec.actions[].retryPolicy.maxInterval",
            "DRPlan.spec.timeout",
        ],
    ),
    Limit::new("RECORD_BYTES_MAX", limits::RECORD_BYTES_MAX, &[]),
    Limit::new("OBJECT_NAME_MAX", limits::OBJECT_NAME_MAX, &[]),
    Limit::new(
        "LABEL_NAME_MAX",
        limits::LABEL_NAME_MAX,
        &["DRWorkflow.spec.actions[].name", "DRPlan.spec.stages[].name"],
    ),
    Limit::new(
        "PARAMETER_NAME_MAX",
        limits::PARAMETER_NAME_MAX,
        &["DRWorkflow.spec.parameters[].name"],
    ),
    Limit::new(
        "RETRIES_MAX",
        limits::RETRIES_MAX as usize,
        &["DRWorkflow.spec.actions[].retryPolicy.limit"],
    ),
    Limit::new("ACTION_MESSAGE_BYTES_MAX", limits::ACTION_MESSAGE_BYTES_MAX, &[]),
    Limit::new("OUTPUT_TEXT_BYTES_MAX", limits::OUTPUT_TEXT_BYTES_MAX, &[]),
    Limit::new("OUTPUT_TEXTS_BYTES_MAX", limits::OUTPUT_TEXTS_BYTES_MAX, &[]),
    Limit::new("REPLACED_BYTES_MAX", limits::REPLACED_BYTES_MAX, &[]),
];

/// The table of all limits.
pub(super) fn rows(page: &mut String) {
    let documented = documented(SOURCE, "pub const ");
    let rows = documented.iter().map(|(doc, item)| {
        let name = item.trim_start_matches("pub const ").split(':').next().unwrap();
        let limit = ALL.iter().find(|limit| limit.name == name);
        let limit = limit.unwrap_or_else(|| panic!("{name} is not among the limits of the reference"));
        vec![doc.clone(), limit.figure()]
    });
    table(page, &["limit of", "is"], rows.collect());
}
