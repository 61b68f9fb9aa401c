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
/// Annotation of executions: the UID under which it was started.
pub const STARTED_UID: &str = "dr.bkbcs.tencent.com/started-uid";
/// Annotation of executions: `true` or `now` asks for its cancellation.
pub const CANCEL: &str = "dr.bkbcs.tencent.com/cancel";
/// Annotation of executions: `true` asks an Unknown one to go on.
pub const RESUME: &str = "dr.bkbcs.tencent.com/resume";
/// Annotation of plans: a command.
pub const TRIGGER: &str = "dr.bkbcs.tencent.com/trigger";
