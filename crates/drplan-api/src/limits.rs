//! The sizes that the product refuses to exceed, each with its reason.

/// Actions in one workflow.
pub const ACTIONS_MAX: usize = 200;
/// Workflow references in one stage.
pub const WORKFLOWS_IN_STAGE_MAX: usize = 50;
/// Stages in one plan.
pub const STAGES_MAX: usize = 50;
/// Parameters of one workflow, and values in one list.
pub const PARAMETERS_MAX: usize = 100;
/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 128 * 1024;
/// Bytes of an HTTP body as written.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one parameter value.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Seconds of any timeout, and of any wait between attempts.
pub const TIMEOUT_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Bytes of a snapshot, and of a status with every message and output at its largest. etcd refuses objects
/// above 1.5 MiB; a third of it leaves room for metadata and for the managed fields of the API server.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;
/// Characters of a plan's or an execution's name: they become label values, which Kubernetes bounds at 63.
pub const OBJECT_NAME_MAX: usize = 63;
/// Characters of a stage's or action's name (DNS-1123 label).
pub const LABEL_NAME_MAX: usize = 63;
/// Characters of a parameter's name.
pub const PARAMETER_NAME_MAX: usize = 63;
/// Attempts of one action after the first (`retryPolicy.limit`), so that a record stays finite.
pub const RETRIES_MAX: u32 = 100;
/// Bytes of a message of one action.
pub const ACTION_MESSAGE_BYTES_MAX: usize = 256;
/// Bytes of one stored HTTP response body, and of the end of a failed container's log.
pub const OUTPUT_TEXT_BYTES_MAX: usize = 4 * 1024;
/// Bytes, as JSON, of all stored bodies and log ends in one status; the rest goes into objects of their own.
pub const OUTPUT_TEXTS_BYTES_MAX: usize = 64 * 1024;
/// Bytes, as JSON, of the lists that one Patch replaces and that are kept; larger ones are not kept.
pub const REPLACED_BYTES_MAX: usize = 64 * 1024;
