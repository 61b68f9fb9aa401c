//! Runs a parsed template over data, as Go's text/template/exec.go does with `missingkey=error`.

use crate::Position;
use crate::error::{Mistake, TemplateError};
use crate::limits::Limits;
use crate::node::{Branch, Command, List as Nodes, Node, Number, Operand, OperandKind, Pipeline, Program};
use crate::output::Output;
use crate::regexp::Patterns;
use crate::val::{Text, Val};
use crate::value::Value;

mod call;

/// Runs the program and gives what it wrote.
pub(crate) fn run<'a>(
    program: &'a Program,
    source: &'a str,
    data: &'a Value,
    limits: Limits,
    output: Output<'a>,
) -> Result<Output<'a>, TemplateError> {
    let mut eval = Eval::new(program, source, limits, output);
    let root = eval.root(data);
    match eval.nodes(&program.main, &root) {
        Ok(_) => Ok(eval.output),
        Err(failure) => Err(failure.at(source)),
    }
}

/// Runs one pipeline of the program and gives its value.
pub(crate) fn value<'a>(
    program: &'a Program,
    pipeline: &'a Pipeline,
    source: &'a str,
    data: &'a Value,
    limits: Limits,
) -> Result<Val<'a>, TemplateError> {
    let mut eval = Eval::new(program, source, limits, Output::text());
    let root = eval.root(data);
    eval.pipeline(pipeline, &root)
        .map_err(|failure| failure.at(source))
}

/// An error whose place is still a byte of the source.
#[derive(Debug)]
pub(crate) struct Failure {
    offset: usize,
    kind: Mistake,
}

impl Failure {
    fn at(self, source: &str) -> TemplateError {
        TemplateError {
            position: Position::of(source, self.offset),
            kind: self.kind,
        }
    }
}

type Evaluated<T> = Result<T, Failure>;

struct Eval<'a> {
    program: &'a Program,
    source: &'a str,
    output: Output<'a>,
    variables: Vec<(&'a str, Val<'a>)>,
    limits: Limits,
    steps: u64,
    depth: u32,
    /// Bytes that functions have made so far.
    made: usize,
    patterns: Patterns,
}

/// How a list of nodes was left.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'a> Eval<'a> {
    fn new(program: &'a Program, source: &'a str, limits: Limits, output: Output<'a>) -> Eval<'a> {
        Eval {
            program,
            source,
            output,
            variables: Vec::new(),
            limits,
            steps: 0,
            depth: 0,
            made: 0,
            patterns: Patterns::default(),
        }
    }

    fn root(&mut self, data: &'a Value) -> Val<'a> {
        let root = match Val::of(data) {
            Val::NilAny => Val::Nil,
            other => other,
        };
        self.variables.push(("$", root.clone()));
        root
    }

    fn nodes(&mut self, nodes: &'a Nodes, dot: &Val<'a>) -> Evaluated<Flow> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &'a Node, dot: &Val<'a>) -> Evaluated<Flow> {
        match node {
            Node::Text { start, end, .. } => {
                self.output.author(&self.source.as_bytes()[*start..*end], *start);
                self.check_output(*start)?;
            }
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.output.value(value, pipeline.offset, self.limits.output);
                    self.check_output(pipeline.offset)?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template {
                offset,
                name,
                pipeline,
            } => {
                self.call_template(*offset, name, pipeline.as_ref(), dot)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, branch: &'a Branch, dot: &Val<'a>, sets_dot: bool) -> Evaluated<Flow> {
        self.enter(branch.pipeline.offset)?;
        let mark = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if value.is_true() {
            self.nodes(&branch.list, if sets_dot { &value } else { dot })?
        } else if let Some(otherwise) = &branch.otherwise {
            self.nodes(otherwise, dot)?
        } else {
            Flow::Next
        };
        self.variables.truncate(mark);
        self.depth -= 1;
        Ok(flow)
    }

    fn range(&mut self, branch: &'a Branch, dot: &Val<'a>) -> Evaluated<Flow> {
        let offset = branch.pipeline.offset;
        self.enter(offset)?;
        let mark = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let mut rounds = 0u64;
        match value {
            Val::Nil | Val::NilAny => {}
            Val::Int(_) | Val::Int64(_) | Val::Byte(_) => {
                if branch.pipeline.variables.len() > 1 {
                    return Err(Failure {
                        offset,
                        kind: Mistake::RangeNumberVariables,
                    });
                }
                let (count, make): (i64, fn(i64) -> Val<'a>) = match value {
                    Val::Int(count) => (count, Val::Int),
                    Val::Byte(count) => (count.into(), |round| {
                        Val::Byte(u8::try_from(round).unwrap_or(u8::MAX))
                    }),
                    Val::Int64(count) => (count, Val::Int64),
                    _ => (0, Val::Int),
                };
                for round in 0..count {
                    rounds += 1;
                    if !self.round(branch, Val::Nil, make(round))? {
                        break;
                    }
                }
            }
            Val::List(list) => {
                for (index, element) in list.iter().enumerate() {
                    rounds += 1;
                    let index = Val::Int(i64::try_from(index).unwrap_or(i64::MAX));
                    if !self.round(branch, index, element)? {
                        break;
                    }
                }
            }
            Val::Map(map) => {
                for (key, element) in map.entries() {
                    rounds += 1;
                    if !self.round(branch, key.to_val(), element)? {
                        break;
                    }
                }
            }
            Val::Bool(_) | Val::Float(_) | Val::Complex(..) | Val::Text(_) => {
                return Err(Failure {
                    offset,
                    kind: Mistake::CannotRange(value.type_name()),
                });
            }
        }
        let flow = match &branch.otherwise {
            Some(otherwise) if rounds == 0 => self.nodes(otherwise, dot)?,
            _ => Flow::Next,
        };
        self.variables.truncate(mark);
        self.depth -= 1;
        Ok(flow)
    }

    /// Runs the body of a loop once; `false` if it was left by `break`.
    fn round(&mut self, branch: &'a Branch, index: Val<'a>, element: Val<'a>) -> Evaluated<bool> {
        self.step(branch.pipeline.offset)?;
        let names = &branch.pipeline.variables;
        let last = self.variables.len();
        if branch.pipeline.assigns {
            if let [first, second] = names.as_slice() {
                self.assign(first, index, branch.pipeline.offset)?;
                self.assign(second, element.clone(), branch.pipeline.offset)?;
            } else if let [only] = names.as_slice() {
                self.assign(only, element.clone(), branch.pipeline.offset)?;
            }
        } else if !names.is_empty() {
            self.variables[last - 1].1 = element.clone();
            if names.len() > 1 {
                self.variables[last - 2].1 = index;
            }
        }
        let flow = self.nodes(&branch.list, &element)?;
        self.variables.truncate(last);
        Ok(flow != Flow::Break)
    }

    fn call_template(
        &mut self,
        offset: usize,
        name: &str,
        pipeline: Option<&'a Pipeline>,
        dot: &Val<'a>,
    ) -> Evaluated<()> {
        let program = self.program;
        let body = match program.defined.get(name) {
            Some(body) => body,
            None if name.is_empty() => &program.main,
            None => {
                return Err(Failure {
                    offset,
                    kind: Mistake::UnknownTemplate(name.to_owned()),
                });
            }
        };
        self.enter(offset)?;
        let dot = match pipeline {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Val::Nil,
        };
        // A template sees no variable of its caller.
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        self.nodes(body, &dot)?;
        self.variables = variables;
        self.depth -= 1;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &'a Pipeline, dot: &Val<'a>) -> Evaluated<Val<'a>> {
        self.enter(pipeline.offset)?;
        let mut value: Option<Val<'a>> = None;
        for command in &pipeline.commands {
            value = Some(match self.command(command, dot, value)? {
                Val::NilAny => Val::Nil,
                value => value,
            });
        }
        let value = value.unwrap_or(Val::Nil);
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone(), pipeline.offset)?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Val<'a>, offset: usize) -> Evaluated<()> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(existing, _)| *existing == name)
        {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => Err(Failure {
                offset,
                kind: Mistake::UnknownVariable(name.to_owned()),
            }),
        }
    }

    fn command(&mut self, command: &'a Command, dot: &Val<'a>, last: Option<Val<'a>>) -> Evaluated<Val<'a>> {
        let [first, arguments @ ..] = command.operands.as_slice() else {
            return Ok(Val::Nil);
        };
        if let OperandKind::Function(function) = &first.kind {
            return self.call(*function, first.offset, arguments, dot, last);
        }
        let given = !arguments.is_empty() || last.is_some();
        if let OperandKind::Nil = first.kind
            && !given
        {
            return Err(Failure {
                offset: first.offset,
                kind: Mistake::NilCommand,
            });
        }
        if given {
            // Go looks a field up before it complains about its arguments; either way it is an error.
            return Err(Failure {
                offset: first.offset,
                kind: Mistake::ArgumentsToValue,
            });
        }
        self.operand(first, dot)
    }

    /// The value of an operand that stands alone.
    fn operand(&mut self, operand: &'a Operand, dot: &Val<'a>) -> Evaluated<Val<'a>> {
        self.step(operand.offset)?;
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Val::Nil),
            OperandKind::Bool(truth) => Ok(Val::Bool(*truth)),
            OperandKind::Number(number) => untyped(number, operand.offset),
            OperandKind::String(bytes) => Ok(Val::Text(Text::borrowed(bytes))),
            OperandKind::Field(names) => self.fields(dot.clone(), names, operand.offset),
            OperandKind::Variable(name, fields) => {
                let known = self.variables.iter().rev().find(|(existing, _)| existing == name);
                let Some((_, value)) = known else {
                    let kind = Mistake::UnknownVariable(name.clone());
                    return Err(Failure {
                        offset: operand.offset,
                        kind,
                    });
                };
                self.fields(value.clone(), fields, operand.offset)
            }
            OperandKind::Function(function) => self.call(*function, operand.offset, &[], dot, None),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            OperandKind::Chain(of, fields) => {
                let value = self.operand(of, dot)?;
                self.fields(value, fields, operand.offset)
            }
        }
    }

    fn fields(&self, value: Val<'a>, names: &'a [String], offset: usize) -> Evaluated<Val<'a>> {
        let mut value = value;
        for (depth, name) in names.iter().enumerate() {
            let failure = |kind| Failure { offset, kind };
            value = match &value {
                Val::Map(map) => map.get(name.as_bytes()).ok_or_else(|| {
                    let of = names[..depth].iter().map(|name| format!(".{name}")).collect();
                    failure(Mistake::NoSuchField {
                        name: name.clone(),
                        of,
                    })
                })?,
                other => {
                    let found = other.type_name();
                    return Err(failure(Mistake::NoFields {
                        name: name.clone(),
                        found,
                    }));
                }
            };
        }
        Ok(value)
    }

    fn step(&mut self, offset: usize) -> Evaluated<()> {
        self.steps += 1;
        if self.steps > self.limits.steps {
            return Err(Failure {
                offset,
                kind: Mistake::TooManySteps(self.limits.steps),
            });
        }
        Ok(())
    }

    fn enter(&mut self, offset: usize) -> Evaluated<()> {
        self.step(offset)?;
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(Failure {
                offset,
                kind: Mistake::TooDeep(self.limits.depth),
            });
        }
        Ok(())
    }

    fn check_output(&self, offset: usize) -> Evaluated<()> {
        if self.output.len() > self.limits.output {
            return Err(Failure {
                offset,
                kind: Mistake::TooLong(self.limits.output),
            });
        }
        Ok(())
    }
}

/// What Go makes of a number where it does not know the type.
fn untyped<'a>(number: &Number, offset: usize) -> Evaluated<Val<'a>> {
    crate::arguments::untyped(number).map_err(|kind| Failure { offset, kind })
}
