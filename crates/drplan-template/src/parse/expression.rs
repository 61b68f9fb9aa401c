use super::{Parsed, Parser};
use crate::constant;
use crate::error::Mistake;
use crate::functions::Function;
use crate::lex::TokenKind;
use crate::node::{Command, Operand, OperandKind, Pipeline};

/// Expressions: what stands between the braces.
impl Parser<'_> {
    /// Reads `declarations? command ('|' command)*` and its end.
    pub(super) fn pipeline(&mut self, within: &'static str, end: TokenKind) -> Parsed<Pipeline> {
        let offset = self.peek_past_space().start;
        let mut pipeline = Pipeline {
            offset,
            variables: Vec::new(),
            assigns: false,
            commands: Vec::new(),
        };
        self.declarations(&mut pipeline, within)?;
        loop {
            let token = self.peek_past_space();
            if token.kind == end {
                self.take_past_space();
                break;
            }
            if !starts_operand(token.kind) {
                self.take_past_space();
                return Err(self.unexpected(token, within));
            }
            let command = self.command()?;
            let literal = matches!(
                command.operands[0].kind,
                OperandKind::Bool(_)
                    | OperandKind::Dot
                    | OperandKind::Nil
                    | OperandKind::Number(_)
                    | OperandKind::String(_)
            );
            if literal && !pipeline.commands.is_empty() {
                return Err(self.error(command.operands[0].offset, Mistake::ValueIntoLiteral));
            }
            pipeline.commands.push(command);
        }
        if pipeline.commands.is_empty() {
            return Err(self.error(offset, Mistake::MissingValue(within)));
        }
        Ok(pipeline)
    }

    fn declarations(&mut self, pipeline: &mut Pipeline, within: &'static str) -> Parsed<()> {
        loop {
            let variable = self.peek_past_space();
            if variable.kind != TokenKind::Variable {
                return Ok(());
            }
            let mark = self.next;
            self.take_past_space();
            let following = self.peek_past_space();
            let declares = match following.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    pipeline.assigns = following.kind == TokenKind::Assign;
                    true
                }
                TokenKind::Comma => false,
                _ => {
                    self.next = mark;
                    return Ok(());
                }
            };
            self.take_past_space();
            let name = self.text(variable).to_owned();
            pipeline.variables.push(name.clone());
            self.variables.push(name);
            if declares {
                return Ok(());
            }
            let another = matches!(
                self.peek_past_space().kind,
                TokenKind::Variable | TokenKind::RightDelimiter | TokenKind::RightParen
            );
            if within != "range" || pipeline.variables.len() > 1 || !another {
                return Err(self.error(variable.start, Mistake::BadDeclaration(within)));
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let start = self.peek_past_space().start;
        let mut operands = Vec::new();
        loop {
            self.peek_past_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.take();
            match token.kind {
                TokenKind::Space => {}
                TokenKind::RightDelimiter | TokenKind::RightParen => {
                    self.next -= 1;
                    break;
                }
                TokenKind::Pipe => break,
                _ => return Err(self.unexpected(token, "arguments")),
            }
        }
        if operands.is_empty() {
            return Err(self.error(start, Mistake::MissingValue("command")));
        }
        Ok(Command { operands })
    }

    /// Reads a term and the fields behind it, if one is here.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(Operand { offset, kind }) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while self.peek().kind == TokenKind::Field {
            let field = self.take();
            fields.push(self.text(field)[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(Operand { offset, kind }));
        }
        let kind = match kind {
            OperandKind::Field(mut names) => {
                names.append(&mut fields);
                OperandKind::Field(names)
            }
            OperandKind::Variable(name, _) => OperandKind::Variable(name, fields),
            OperandKind::Bool(_)
            | OperandKind::String(_)
            | OperandKind::Number(_)
            | OperandKind::Nil
            | OperandKind::Dot => {
                return Err(self.error(offset, Mistake::FieldOfLiteral(fields.remove(0))));
            }
            OperandKind::Function(_) | OperandKind::Pipeline(_) | OperandKind::Chain(..) => {
                OperandKind::Chain(Box::new(Operand { offset, kind }), fields)
            }
        };
        Ok(Some(Operand { offset, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek_past_space();
        let text = self.text(token);
        let kind = match token.kind {
            TokenKind::Identifier => match Function::named(text) {
                Some(function) => OperandKind::Function(function),
                None => return Err(self.error(token.start, Mistake::UnknownFunction(text.to_owned()))),
            },
            TokenKind::Dot => OperandKind::Dot,
            TokenKind::Nil => OperandKind::Nil,
            TokenKind::Variable => {
                if !self.variables.iter().any(|name| name == text) {
                    return Err(self.error(token.start, Mistake::UnknownVariable(text.to_owned())));
                }
                OperandKind::Variable(text.to_owned(), Vec::new())
            }
            TokenKind::Field => OperandKind::Field(vec![text[1..].to_owned()]),
            TokenKind::Bool => OperandKind::Bool(text == "true"),
            TokenKind::CharacterConstant => {
                OperandKind::Number(constant::character(text).map_err(|kind| self.error(token.start, kind))?)
            }
            TokenKind::Complex => {
                OperandKind::Number(constant::complex(text).map_err(|kind| self.error(token.start, kind))?)
            }
            TokenKind::Number => {
                OperandKind::Number(constant::number(text).map_err(|kind| self.error(token.start, kind))?)
            }
            TokenKind::QuotedString | TokenKind::RawString => OperandKind::String(self.string(token)?),
            TokenKind::LeftParen => {
                self.nest(token.start)?;
                self.take_past_space();
                let pipeline = self.pipeline("parentheses", TokenKind::RightParen)?;
                self.depth -= 1;
                return Ok(Some(Operand {
                    offset: token.start,
                    kind: OperandKind::Pipeline(Box::new(pipeline)),
                }));
            }
            _ => return Ok(None),
        };
        self.take_past_space();
        Ok(Some(Operand {
            offset: token.start,
            kind,
        }))
    }
}

fn starts_operand(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Bool
            | TokenKind::CharacterConstant
            | TokenKind::Complex
            | TokenKind::Dot
            | TokenKind::Field
            | TokenKind::Identifier
            | TokenKind::Number
            | TokenKind::Nil
            | TokenKind::RawString
            | TokenKind::QuotedString
            | TokenKind::Variable
            | TokenKind::LeftParen
    )
}
