//! Labels and annotations that the product reads and writes.

/// Label of whatever an action made: the name of its execution.
pub const EXECUTION: &str = "dr.bkbcs.tencent.com/execution";
/// Label of executions and of whatever an action made: the name of the plan.
pub const PLAN: &str = "dr.bkbcs.tencent.com/plan";
/// Label of whatever an action made: the namespace of the plan.
pub const PLAN_NAMESPACE: &str = "dr.bkbcs.tencent.com/plan-namespace";
/// Label of executions: `Execute` or `Revert`.
pub const OPERATION: &str = "dr.bkbcs.tencent.com/operation";
/// Label of executions: the name of the plan, in the spelling of the user guide.
pub const DRPLAN: &str = "drplan";

/// Annotation of whatever an action made: the UID of its execution.
pub const EXECUTION_UID: &str = "dr.bkbcs.tencent.com/execution-uid";
/// Annotation of whatever an action made: the path of the action.
pub const ACTION_PATH: &str = "dr.bkbcs.tencent.com/action-path";
/// Annotation of whatever an action made: the attempt, from 1.
pub const ATTEMPT: &str = "dr.bkbcs.tencent.com/attempt";
/// Annotation of executions: the UID under which it was started. A copy carries a foreign one and never runs.
pub const STARTED_UID: &str = "dr.bkbcs.tencent.com/started-uid";
/// Annotation of executions: `true` asks for its cancellation and lets what runs end; `now` waits for nothing. Taken off
/// once it is recorded.
pub const CANCEL: &str = "dr.bkbcs.tencent.com/cancel";
/// Annotation of executions: `true` asks an Unknown one to go on. Taken off once it is recorded.
pub const RESUME: &str = "dr.bkbcs.tencent.com/resume";
/// Annotation of executions: the user who created it, stamped by admission. Never changes.
pub const CREATED_BY: &str = "dr.bkbcs.tencent.com/created-by";
/// Annotation of executions: the user who wrote the annotation `cancel`, stamped by admission. Comes and goes with it.
pub const CANCELLED_BY: &str = "dr.bkbcs.tencent.com/cancelled-by";
/// Annotation of executions: the user who wrote the annotation `resume`, stamped by admission. Comes and goes with it.
pub const RESUMED_BY: &str = "dr.bkbcs.tencent.com/resumed-by";
/// Annotation of plans: the user who wrote the annotation `trigger`, stamped by admission. Comes and goes with it.
pub const TRIGGERED_BY_USER: &str = "dr.bkbcs.tencent.com/triggered-by-user";
/// Annotation of plans: who wrote the trigger that is being carried out. Comes and goes with `trigger-accepted`.
pub const TRIGGER_ACCEPTED_FOR: &str = "dr.bkbcs.tencent.com/trigger-accepted-for";
/// Annotation of executions that a trigger made: the UID of the plan that carried it.
pub const TRIGGERED_BY: &str = "dr.bkbcs.tencent.com/triggered-by";
/// Annotation of plans: `cancel` cancels the execution that runs. `execute` and `revert` create an execution where the
/// operator runs with `--trigger-annotations`, else an event shows the manifest to create. Taken off once it is answered.
pub const TRIGGER: &str = "dr.bkbcs.tencent.com/trigger";
/// Annotation of plans: a trigger that is being carried out, `Execute/<execution>` or `Revert/<execution>/<target>`.
pub const TRIGGER_ACCEPTED: &str = "dr.bkbcs.tencent.com/trigger-accepted";
