//! Stages, workflows and actions as one graph. A sequence is a chain, so a DAG costs nothing extra.

use drplan_api::{
    ActionPath,
    canonical::{PlanFailurePolicy, WorkflowFailurePolicy},
};

use crate::snapshot::Snapshot;

/// The place of an action: indices of its stage, of the workflow in the stage, of the action in the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionIndex {
    /// Index into the plan's stages.
    pub stage: usize,
    /// Index into the stage's workflows.
    pub workflow: usize,
    /// Index into the workflow's actions.
    pub action: usize,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A stage: ended when its workflows have.
    Stage(usize),
    /// A use of a workflow: ended when its actions have. Stage and index in it.
    Workflow(usize, usize),
    /// An action.
    Action(ActionIndex),
}

/// An index into [`Graph::nodes`].
pub type NodeId = usize;

/// What the end of a predecessor must have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Succeeded; any other end means that the successor is skipped.
    Success,
    /// Any end.
    End,
}

/// One stage, workflow or action, and what it waits for.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub step: Step,
    /// The stage of a workflow, the workflow of an action. A node begins only when its parent may.
    pub parent: Option<NodeId>,
    /// Predecessors.
    pub after: Vec<(NodeId, Needs)>,
    /// Workflows of a stage, actions of a workflow.
    pub children: Vec<NodeId>,
}

/// The whole run as one graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Every node comes after its parent and its predecessors, so one pass in this order decides everything.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The graph of `snapshot`, whose stages have no cycle (compile saw to that; a stage in one is left out).
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut graph = Self { nodes: Vec::new() };
        let mut stage_nodes = vec![None; snapshot.stages.len()];
        let after: Vec<&[usize]> = snapshot
            .stages
            .iter()
            .map(|stage| stage.after.as_slice())
            .collect();
        for stage in topological(&after).unwrap_or_else(|sorted_part| sorted_part.sorted) {
            let needs = match snapshot.failure_policy {
                PlanFailurePolicy::Stop => Needs::Success,
                PlanFailurePolicy::Continue => Needs::End,
            };
            let edges = after[stage]
                .iter()
                .filter_map(|before| Some((stage_nodes[*before]?, needs)))
                .collect();
            stage_nodes[stage] = Some(graph.add_stage(snapshot, stage, edges));
        }
        graph
    }

    /// The graph of a Revert: stages, workflows and actions of `snapshot` in reverse order, each behind the success of
    /// those that came after it.
    pub fn reversed(snapshot: &Snapshot) -> Self {
        let mut graph = Self { nodes: Vec::new() };
        let stages = &snapshot.stages;
        let mut stage_nodes = vec![None; stages.len()];
        let after: Vec<&[usize]> = stages.iter().map(|stage| stage.after.as_slice()).collect();
        let order = topological(&after).unwrap_or_else(|sorted_part| sorted_part.sorted);
        for stage in order.into_iter().rev() {
            let followers = (0..stages.len()).filter(|other| stages[*other].after.contains(&stage));
            let edges = followers
                .filter_map(|follower| Some((stage_nodes[follower]?, Needs::Success)))
                .collect();
            stage_nodes[stage] = Some(graph.add_stage_reversed(snapshot, stage, edges));
        }
        graph
    }

    fn add_stage_reversed(
        &mut self,
        snapshot: &Snapshot,
        stage: usize,
        after: Vec<(NodeId, Needs)>,
    ) -> NodeId {
        let id = self.add(Step::Stage(stage), None, after);
        let written = &snapshot.stages[stage];
        let mut previous = None;
        for (index, used) in written.uses.iter().enumerate().rev() {
            let edges = previous.filter(|_| !written.parallel).into_iter().collect();
            let workflow = self.add(Step::Workflow(stage, index), Some(id), edges);
            previous = Some((workflow, Needs::Success));
            let mut before = None;
            for action in (0..snapshot.workflows[used.workflow].spec.actions.len()).rev() {
                let at = ActionIndex {
                    stage,
                    workflow: index,
                    action,
                };
                let node = self.add(Step::Action(at), Some(workflow), before.into_iter().collect());
                before = Some((node, Needs::Success));
            }
        }
        id
    }

    fn add_stage(&mut self, snapshot: &Snapshot, stage: usize, after: Vec<(NodeId, Needs)>) -> NodeId {
        let id = self.add(Step::Stage(stage), None, after);
        let mut previous = None;
        for (index, used) in snapshot.stages[stage].uses.iter().enumerate() {
            let edges = if snapshot.stages[stage].parallel {
                Vec::new()
            } else {
                previous.into_iter().collect()
            };
            let workflow = self.add(Step::Workflow(stage, index), Some(id), edges);
            previous = Some((workflow, Needs::Success));
            let spec = &snapshot.workflows[used.workflow].spec;
            let needs = match spec.failure_policy {
                WorkflowFailurePolicy::FailFast => Needs::Success,
                WorkflowFailurePolicy::Continue => Needs::End,
            };
            let mut before = None;
            for action in 0..spec.actions.len() {
                let at = ActionIndex {
                    stage,
                    workflow: index,
                    action,
                };
                let node = self.add(Step::Action(at), Some(workflow), before.into_iter().collect());
                before = Some((node, needs));
            }
        }
        id
    }

    fn add(&mut self, step: Step, parent: Option<NodeId>, after: Vec<(NodeId, Needs)>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node {
            step,
            parent,
            after,
            children: Vec::new(),
        });
        if let Some(parent) = parent {
            self.nodes[parent].children.push(id);
        }
        id
    }

    /// The places of all actions, in graph order.
    pub fn actions(&self) -> impl Iterator<Item = ActionIndex> + '_ {
        self.nodes.iter().filter_map(|node| match node.step {
            Step::Action(at) => Some(at),
            Step::Stage(_) | Step::Workflow(..) => None,
        })
    }
}

/// Why there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// The items outside any circle and not behind one, in order.
    pub sorted: Vec<usize>,
    /// One circle, the first item again at the end.
    pub circle: Vec<usize>,
}

/// The items `0..after.len()` so that each comes behind all of `after[item]`, the earliest index first among
/// those that may come next.
///
/// # Errors
/// [`Circle`] if some wait for each other.
pub fn topological(after: &[&[usize]]) -> Result<Vec<usize>, Circle> {
    let mut sorted = Vec::with_capacity(after.len());
    let mut done = vec![false; after.len()];
    while let Some(next) =
        (0..after.len()).find(|item| !done[*item] && after[*item].iter().all(|before| done[*before]))
    {
        done[next] = true;
        sorted.push(next);
    }
    let Some(start) = done.iter().position(|done| !done) else {
        return Ok(sorted);
    };
    // Everything left waits for something left, so walking backwards must meet itself.
    let mut walk = vec![start];
    loop {
        let last = walk[walk.len() - 1];
        let before = after[last]
            .iter()
            .copied()
            .find(|before| !done[*before])
            .unwrap_or(last);
        if let Some(met) = walk.iter().position(|item| *item == before) {
            let mut circle: Vec<usize> = walk[met..].to_vec();
            circle.reverse();
            circle.push(circle[0]);
            return Err(Circle { sorted, circle });
        }
        walk.push(before);
    }
}

/// The path of the action at `at`.
pub fn path_of(snapshot: &Snapshot, at: ActionIndex) -> ActionPath {
    let stage = &snapshot.stages[at.stage];
    let workflow = &snapshot.workflows[stage.uses[at.workflow].workflow];
    ActionPath::new(
        &stage.name,
        &workflow.name,
        at.workflow,
        &workflow.spec.actions[at.action].name,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers FR-023d.
    #[test]
    fn topological_order_keeps_the_listed_order_where_it_may() {
        assert_eq!(topological(&[&[], &[0], &[0], &[1, 2]]), Ok(vec![0, 1, 2, 3]));
        assert_eq!(topological(&[&[2], &[], &[1]]), Ok(vec![1, 2, 0]));
    }

    /// Covers FR-023c.
    #[test]
    fn a_circle_is_named_in_its_order() {
        let circle = topological(&[&[], &[3], &[1], &[2, 0]]).unwrap_err();
        assert_eq!((circle.sorted, circle.circle), (vec![0], vec![2, 3, 1, 2]));
        assert_eq!(topological(&[&[0]]).unwrap_err().circle, vec![0, 0]);
    }
}
