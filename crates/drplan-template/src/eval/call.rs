use super::{Eval, Evaluated, Failure};
use crate::arguments::{constant_for, fits};
use crate::buffer::Buffer;
use crate::builtin;
use crate::error::Mistake;
use crate::functions::{Function, Parameter, Task};
use crate::node::{Operand, OperandKind};
use crate::val::Val;

/// Calls of functions.
impl<'a> Eval<'a> {
    pub(super) fn call(
        &mut self,
        function: Function,
        offset: usize,
        operands: &'a [Operand],
        dot: &Val<'a>,
        last: Option<Val<'a>>,
    ) -> Evaluated<Val<'a>> {
        self.step(offset)?;
        let count = operands.len() + usize::from(last.is_some());
        if count < function.least() || function.most().is_some_and(|most| count > most) {
            let kind = Mistake::ArgumentCount {
                function: function.name(),
                least: function.least(),
                most: function.most(),
                found: count,
            };
            return Err(Failure { offset, kind });
        }
        if matches!(function.task(), Task::And | Task::Or) {
            return self.short_circuit(function, operands, dot, last);
        }
        let mut arguments = Vec::with_capacity(count);
        for (index, operand) in operands.iter().enumerate() {
            arguments.push(self.argument(function, index, operand, dot)?);
        }
        if let Some(last) = last {
            let kind = function.parameter(operands.len()).unwrap_or(Parameter::Any);
            arguments.push(fits(function, kind, last).map_err(|kind| Failure { offset, kind })?);
        }
        self.steps += cost(&arguments);
        self.step(offset)?;
        let literal = matches!(
            operands.first(),
            Some(Operand {
                kind: OperandKind::String(_),
                ..
            })
        );
        let compiled = self.patterns.len();
        let mut buffer = Buffer::new(self.limits.output.saturating_sub(self.made));
        let value = builtin::call(function, arguments, literal, &mut self.patterns, &mut buffer);
        self.steps += REGEX * u64::try_from(self.patterns.len() - compiled).unwrap_or(0);
        if buffer.is_full() {
            return Err(Failure {
                offset,
                kind: Mistake::TooLong(self.limits.output),
            });
        }
        let value = value.map_err(|kind| Failure { offset, kind })?;
        if let Val::Text(text) = &value {
            self.made = self.made.saturating_add(text.bytes.as_slice().len());
        }
        if value.depth() > self.limits.depth {
            return Err(Failure {
                offset,
                kind: Mistake::TooDeep(self.limits.depth),
            });
        }
        Ok(value)
    }

    fn short_circuit(
        &mut self,
        function: Function,
        operands: &'a [Operand],
        dot: &Val<'a>,
        last: Option<Val<'a>>,
    ) -> Evaluated<Val<'a>> {
        let mut value = Val::Nil;
        for operand in operands {
            value = self.argument(function, 0, operand, dot)?;
            if value.is_true() == (function.task() == Task::Or) {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(
        &mut self,
        function: Function,
        index: usize,
        operand: &'a Operand,
        dot: &Val<'a>,
    ) -> Evaluated<Val<'a>> {
        let offset = operand.offset;
        let kind = function.parameter(index).unwrap_or(Parameter::Any);
        let constant = constant_for(function, kind, &operand.kind);
        if let Some(constant) = constant {
            self.step(offset)?;
            return constant.map_err(|kind| Failure { offset, kind });
        }
        let value = self.operand(operand, dot)?;
        fits(function, kind, value).map_err(|kind| Failure { offset, kind })
    }
}

/// A regular expression is compiled in the time of so many steps.
const REGEX: u64 = 20_000;

/// The steps that the work on long texts counts for.
fn cost(arguments: &[Val<'_>]) -> u64 {
    /// Bytes that a function goes through in about the time of a step.
    const BYTES: usize = 64;
    let bytes = arguments.iter().map(|argument| match argument {
        Val::Text(text) => text.bytes.as_slice().len(),
        _ => 0,
    });
    u64::try_from(bytes.sum::<usize>() / BYTES).unwrap_or(u64::MAX)
}
