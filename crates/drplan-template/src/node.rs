use std::collections::BTreeMap;

use crate::functions::Function;

/// A parsed template: its own nodes and the templates it defines, by name. Offsets are bytes of the source.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) main: List,
    pub(crate) defined: BTreeMap<String, List>,
    /// Whether there is no action at all.
    pub(crate) is_literal: bool,
}

pub(crate) type List = Vec<Node>;

#[derive(Debug)]
pub(crate) enum Node {
    Text {
        start: usize,
        end: usize,
        blank: bool,
    },
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        offset: usize,
        name: String,
        pipeline: Option<Pipeline>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipeline: Pipeline,
    pub(crate) list: List,
    pub(crate) otherwise: Option<List>,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) offset: usize,
    /// The variables set to the result, with their `$`.
    pub(crate) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// What stands between two `|`: the first operand, and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) offset: usize,
    pub(crate) kind: OperandKind,
}

#[derive(Debug)]
pub(crate) enum OperandKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String(Vec<u8>),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`, the name with its `$`.
    Variable(String, Vec<String>),
    Function(Function),
    Pipeline(Box<Pipeline>),
    /// `(…).a.b` or `function.a.b`
    Chain(Box<Operand>, Vec<String>),
}

/// A numeric constant under all the types that can hold it, as Go's untyped constants.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
    /// Whether it is written as a float.
    pub(crate) looks_float: bool,
}
