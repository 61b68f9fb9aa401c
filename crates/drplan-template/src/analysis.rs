//! Finds what a template refers to, on every branch.

use std::collections::BTreeSet;

use crate::functions::{Function, Task};
use crate::node::{Branch, Command, List, Node, Operand, OperandKind, Pipeline, Program};
use crate::position::Lines;
use crate::references::References;

/// What the program refers to.
pub(crate) fn references<'p>(program: &'p Program, source: &'p str) -> References {
    let mut analysis = Analysis {
        program,
        lines: Lines::of(source),
        found: References::default(),
        variables: vec![("$", Meaning::from([Part::Root]))],
        walked: BTreeSet::new(),
        in_alone: false,
    };
    analysis.nodes(&program.main, &Meaning::from([Part::Root]));
    // What is defined but never called reads nothing, but its functions are named all the same.
    for (name, body) in &program.defined {
        if !analysis.walked.iter().any(|(walked, _)| walked == name) {
            analysis.template(name, body, &Meaning::new());
        }
    }
    analysis.found
}

/// A part of the data that an expression may stand for. What is further down is of no interest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Root,
    Params,
    Outputs,
    Action(String),
}

/// All parts an expression may stand for; none: something else.
type Meaning = BTreeSet<Part>;

struct Analysis<'p> {
    program: &'p Program,
    lines: Lines<'p>,
    found: References,
    variables: Vec<(&'p str, Meaning)>,
    /// The templates walked so far, with the meaning that `.` had.
    walked: BTreeSet<(String, Meaning)>,
    /// Whether the expression at hand is a parameter of its own.
    in_alone: bool,
}

impl<'p> Analysis<'p> {
    fn nodes(&mut self, nodes: &'p List, dot: &Meaning) {
        for node in nodes {
            match node {
                Node::Text { .. } | Node::Break | Node::Continue => {}
                Node::Action(pipeline) => {
                    let alone = self.parameter_alone(pipeline, dot);
                    self.in_alone = alone.is_some();
                    let meaning = self.pipeline(pipeline, dot);
                    self.in_alone = false;
                    if let Some(name) = alone {
                        self.found.alone.insert(pipeline.offset, name.to_owned());
                    }
                    if pipeline.variables.is_empty() {
                        self.used(&meaning, pipeline.offset);
                    }
                }
                Node::If(branch) => self.branch(branch, dot, |_, _, dot, _| dot.clone()),
                Node::With(branch) => self.branch(branch, dot, |_, value, _, _| value.clone()),
                Node::Range(branch) => self.branch(branch, dot, |analysis, value, _, offset| {
                    analysis.used(value, offset);
                    Meaning::new()
                }),
                Node::Template { name, pipeline, .. } => {
                    let dot = pipeline
                        .as_ref()
                        .map(|pipeline| self.pipeline(pipeline, dot))
                        .unwrap_or_default();
                    let body = self.program.defined.get(name);
                    let body = body.or_else(|| name.is_empty().then_some(&self.program.main));
                    if let Some(body) = body {
                        self.template(name, body, &dot);
                    }
                }
            }
        }
    }

    /// The parameter that the expression is, but for functions around it that only write it in another way.
    fn parameter_alone(&self, pipeline: &'p Pipeline, dot: &Meaning) -> Option<&'p str> {
        let is_wrapper = |operand: &Operand| match &operand.kind {
            OperandKind::Function(function) => References::WRAPPERS.contains(&function.name()),
            _ => false,
        };
        let [first, wrappers @ ..] = pipeline.commands.as_slice() else {
            return None;
        };
        let read = match first.operands.as_slice() {
            [read] => read,
            [wrapper, read] if is_wrapper(wrapper) => read,
            _ => return None,
        };
        let wrapped = wrappers
            .iter()
            .all(|command| matches!(command.operands.as_slice(), [one] if is_wrapper(one)));
        let (of, names) = match &read.kind {
            OperandKind::Field(names) => (Some(dot), names),
            OperandKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(existing, _)| existing == name);
                (known.map(|(_, meaning)| meaning), names)
            }
            _ => return None,
        };
        match names.as_slice() {
            [params, name] if params == "params" => {
                let reads =
                    wrapped && pipeline.variables.is_empty() && of == Some(&Meaning::from([Part::Root]));
                reads.then_some(name.as_str())
            }
            _ => None,
        }
    }

    fn template(&mut self, name: &str, body: &'p List, dot: &Meaning) {
        if self.walked.insert((name.to_owned(), dot.clone())) {
            let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
            self.nodes(body, dot);
            self.variables = variables;
        }
    }

    fn branch(
        &mut self,
        branch: &'p Branch,
        dot: &Meaning,
        inner: fn(&mut Self, &Meaning, &Meaning, usize) -> Meaning,
    ) {
        let mark = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot);
        let inner = inner(self, &value, dot, branch.pipeline.offset);
        self.nodes(&branch.list, &inner);
        if let Some(otherwise) = &branch.otherwise {
            self.nodes(otherwise, dot);
        }
        self.variables.truncate(mark);
    }

    fn pipeline(&mut self, pipeline: &'p Pipeline, dot: &Meaning) -> Meaning {
        let mut meaning = Meaning::new();
        for (index, command) in pipeline.commands.iter().enumerate() {
            if index > 0 {
                self.used(&meaning, pipeline.offset);
            }
            meaning = self.command(command, dot);
        }
        for name in &pipeline.variables {
            let existing = self
                .variables
                .iter_mut()
                .rev()
                .find(|(existing, _)| existing == name);
            match existing {
                // An assignment may or may not have happened when the variable is read.
                Some((_, known)) if pipeline.assigns => known.extend(meaning.iter().cloned()),
                _ => self.variables.push((name, meaning.clone())),
            }
        }
        meaning
    }

    fn command(&mut self, command: &'p Command, dot: &Meaning) -> Meaning {
        let [first, arguments @ ..] = command.operands.as_slice() else {
            return Meaning::new();
        };
        let OperandKind::Function(function) = &first.kind else {
            return self.operand(first, dot);
        };
        self.call(*function, first.offset, arguments, dot)
    }

    fn call(
        &mut self,
        function: Function,
        offset: usize,
        arguments: &'p [Operand],
        dot: &Meaning,
    ) -> Meaning {
        let position = self.lines.position(offset);
        self.found
            .functions
            .entry(function.name().to_owned())
            .or_insert(position);
        // `index .params "a"` reads the parameter as `.params.a` does.
        if let Task::Index | Task::Get | Task::HasKey = function.task()
            && let [of, keys @ ..] = arguments
        {
            let mut meaning = self.operand(of, dot);
            for key in keys {
                match &key.kind {
                    OperandKind::String(name) => {
                        meaning = self.field(&meaning, &String::from_utf8_lossy(name), key.offset);
                    }
                    _ => {
                        self.used(&meaning, of.offset);
                        let key = self.operand(key, dot);
                        self.used(&key, of.offset);
                        meaning = Meaning::new();
                    }
                }
            }
            return meaning;
        }
        for argument in arguments {
            let meaning = self.operand(argument, dot);
            self.used(&meaning, argument.offset);
        }
        Meaning::new()
    }

    fn operand(&mut self, operand: &'p Operand, dot: &Meaning) -> Meaning {
        match &operand.kind {
            OperandKind::Nil | OperandKind::Bool(_) | OperandKind::Number(_) | OperandKind::String(_) => {
                Meaning::new()
            }
            OperandKind::Dot => dot.clone(),
            OperandKind::Field(names) => self.fields(dot.clone(), names, operand.offset),
            OperandKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(existing, _)| existing == name);
                let meaning = known.map(|(_, meaning)| meaning.clone()).unwrap_or_default();
                self.fields(meaning, names, operand.offset)
            }
            OperandKind::Function(function) => self.call(*function, operand.offset, &[], dot),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            OperandKind::Chain(of, names) => {
                let meaning = self.operand(of, dot);
                self.fields(meaning, names, operand.offset)
            }
        }
    }

    fn fields(&mut self, of: Meaning, names: &[String], offset: usize) -> Meaning {
        names
            .iter()
            .fold(of, |meaning, name| self.field(&meaning, name, offset))
    }

    fn field(&mut self, of: &Meaning, name: &str, offset: usize) -> Meaning {
        let position = self.lines.position(offset);
        let mut meaning = Meaning::new();
        for part in of {
            match part {
                Part::Root if name == "params" => {
                    meaning.insert(Part::Params);
                }
                Part::Root if name == "outputs" => {
                    meaning.insert(Part::Outputs);
                }
                Part::Root => {
                    self.found.fields.entry(name.to_owned()).or_insert(position);
                }
                Part::Params => {
                    self.found.params.entry(name.to_owned()).or_insert(position);
                    if !self.in_alone {
                        self.found.involved.entry(name.to_owned()).or_insert(position);
                    }
                }
                Part::Outputs => {
                    meaning.insert(Part::Action(name.to_owned()));
                }
                Part::Action(action) => {
                    let output = (action.clone(), Some(name.to_owned()));
                    self.found.outputs.entry(output).or_insert(position);
                }
            }
        }
        meaning
    }

    /// Notes that a part of the data is used as a whole.
    fn used(&mut self, meaning: &Meaning, offset: usize) {
        let position = self.lines.position(offset);
        for part in meaning {
            match part {
                Part::Root => _ = self.found.root_dynamic.get_or_insert(position),
                Part::Params => _ = self.found.params_dynamic.get_or_insert(position),
                Part::Outputs => _ = self.found.outputs_dynamic.get_or_insert(position),
                Part::Action(action) => {
                    self.found
                        .outputs
                        .entry((action.clone(), None))
                        .or_insert(position);
                }
            }
        }
    }
}
