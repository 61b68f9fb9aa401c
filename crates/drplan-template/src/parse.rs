use std::collections::BTreeMap;

use crate::Position;
use crate::constant;
use crate::error::{Mistake, TemplateError};
use crate::lex::{Token, TokenKind, Tokens, lex};
use crate::limits::Limits;
use crate::node::{Branch, List, Node, Program};

mod expression;

/// Parses a source, accepting and refusing what Go's text/template/parse does with our functions.
pub(crate) fn parse(source: &str) -> Result<Program, TemplateError> {
    let tokens = lex(source);
    let mut parser = Parser {
        source,
        tokens,
        next: 0,
        variables: vec!["$".to_owned()],
        range_depth: 0,
        depth: 0,
        opened: Vec::new(),
        defined: BTreeMap::new(),
    };
    let main = parser.program()?;
    let mut defined = parser.defined;
    let is_literal = match main.as_slice() {
        [] => source.is_empty(),
        [Node::Text { start: 0, end, .. }] => *end == source.len(),
        _ => false,
    };
    // The main template has the empty name, and `define ""` replaces it if it is empty itself.
    match defined.remove("") {
        Some(definition) if !is_empty(&definition) => {
            if !is_empty(&main) {
                return Err(parser_error(
                    source,
                    source.len(),
                    Mistake::DuplicateTemplate(String::new()),
                ));
            }
            Ok(Program {
                main: definition,
                defined,
                is_literal,
            })
        }
        _ => Ok(Program {
            main,
            defined,
            is_literal,
        }),
    }
}

fn parser_error(source: &str, offset: usize, kind: Mistake) -> TemplateError {
    TemplateError {
        position: Position::of(source, offset),
        kind,
    }
}

/// Whether there is nothing but space.
fn is_empty(list: &List) -> bool {
    list.iter()
        .all(|node| matches!(node, Node::Text { blank: true, .. }))
}

struct Parser<'s> {
    source: &'s str,
    tokens: Tokens,
    next: usize,
    /// The variables declared so far in this template.
    variables: Vec<String>,
    range_depth: u32,
    depth: u32,
    /// The blocks that are open, with the offset of their first word.
    opened: Vec<(&'static str, usize)>,
    defined: BTreeMap<String, List>,
}

/// How a list of nodes ended: the offset, and for `else if` and `else with` that the word is yet to be read.
enum ListEnd {
    End,
    Else,
    ElseChain,
}

type Parsed<T> = Result<T, TemplateError>;

impl Parser<'_> {
    fn program(&mut self) -> Parsed<List> {
        let mut list = List::new();
        loop {
            match self.peek().kind {
                TokenKind::EndOfInput => return Ok(list),
                TokenKind::LeftDelimiter => {
                    let mark = self.next;
                    self.take();
                    if self.take_past_space().kind == TokenKind::Define {
                        self.definition()?;
                        continue;
                    }
                    self.next = mark;
                }
                _ => {}
            }
            let offset = self.peek().start;
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::End => return Err(self.error(offset, Mistake::StrayEnd)),
                Item::Else(_) => return Err(self.error(offset, Mistake::StrayElse)),
            }
        }
    }

    /// Reads `define` from its name on.
    fn definition(&mut self) -> Parsed<()> {
        let keyword = self.tokens.list[self.next - 1].start;
        let token = self.take_past_space();
        let name = self.template_name(token, "define")?;
        self.expect_right_delimiter("define")?;
        let list = self.separate_list("define", keyword)?;
        self.add(name, list, token.start)
    }

    /// Reads the body of a template of its own: it sees no variable of the one around it.
    fn separate_list(&mut self, word: &'static str, keyword: usize) -> Parsed<List> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let range_depth = std::mem::replace(&mut self.range_depth, 0);
        self.opened.push((word, keyword));
        let (list, end, offset) = self.list()?;
        self.opened.pop();
        if !matches!(end, ListEnd::End) {
            return Err(self.error(offset, Mistake::StrayElse));
        }
        self.variables = variables;
        self.range_depth = range_depth;
        Ok(list)
    }

    fn add(&mut self, name: String, list: List, offset: usize) -> Parsed<()> {
        match self.defined.get(&name) {
            Some(existing) if !is_empty(existing) => {
                if is_empty(&list) {
                    return Ok(());
                }
                Err(self.error(offset, Mistake::DuplicateTemplate(name)))
            }
            _ => {
                self.defined.insert(name, list);
                Ok(())
            }
        }
    }

    /// Reads up to `end` or `else`, and says where that is.
    fn list(&mut self) -> Parsed<(List, ListEnd, usize)> {
        let mut list = List::new();
        loop {
            let token = self.peek_past_space();
            if token.kind == TokenKind::EndOfInput {
                let opened = self
                    .opened
                    .last()
                    .map(|(word, offset)| (*word, Position::of(self.source, *offset)));
                return Err(self.error(token.start, Mistake::MissingEnd { opened }));
            }
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::End => return Ok((list, ListEnd::End, token.start)),
                Item::Else(chain) => {
                    let end = if chain { ListEnd::ElseChain } else { ListEnd::Else };
                    return Ok((list, end, token.start));
                }
            }
        }
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.take_past_space();
        match token.kind {
            TokenKind::Text => {
                // Go trims what Unicode calls space; text that is blank by that does not make a template.
                let blank = self.source[token.start..token.end].trim().is_empty();
                Ok(Item::Node(Node::Text {
                    start: token.start,
                    end: token.end,
                    blank,
                }))
            }
            TokenKind::LeftDelimiter => self.action(),
            _ => Err(self.unexpected(token, "text")),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.peek_past_space();
        let node = match token.kind {
            TokenKind::Block => self.after_keyword(Self::block)?,
            TokenKind::Break => self.after_keyword(|parser, offset| parser.leave(offset, "break"))?,
            TokenKind::Continue => self.after_keyword(|parser, offset| parser.leave(offset, "continue"))?,
            TokenKind::Else => {
                self.take();
                let following = self.peek_past_space();
                if matches!(following.kind, TokenKind::If | TokenKind::With) {
                    return Ok(Item::Else(true));
                }
                self.expect_right_delimiter("else")?;
                return Ok(Item::Else(false));
            }
            TokenKind::EndKeyword => {
                self.take();
                self.expect_right_delimiter("end")?;
                return Ok(Item::End);
            }
            TokenKind::If => Node::If(self.after_keyword(|parser, offset| parser.branch("if", offset))?),
            TokenKind::Range => {
                Node::Range(self.after_keyword(|parser, offset| parser.branch("range", offset))?)
            }
            TokenKind::With => {
                Node::With(self.after_keyword(|parser, offset| parser.branch("with", offset))?)
            }
            TokenKind::Template => self.after_keyword(Self::template)?,
            _ => Node::Action(self.pipeline("action", TokenKind::RightDelimiter)?),
        };
        Ok(Item::Node(node))
    }

    fn after_keyword<T>(&mut self, parse: impl FnOnce(&mut Self, usize) -> Parsed<T>) -> Parsed<T> {
        let keyword = self.take();
        parse(self, keyword.start)
    }

    fn leave(&mut self, offset: usize, word: &'static str) -> Parsed<Node> {
        self.expect_right_delimiter(word)?;
        if self.range_depth == 0 {
            return Err(self.error(offset, Mistake::OutsideRange(word)));
        }
        Ok(if word == "break" {
            Node::Break
        } else {
            Node::Continue
        })
    }

    /// Reads `if`, `range` or `with` from its pipeline to its `end`.
    fn branch(&mut self, word: &'static str, keyword: usize) -> Parsed<Branch> {
        self.nest(keyword)?;
        let variables = self.variables.len();
        let pipeline = self.pipeline(word, TokenKind::RightDelimiter)?;
        self.opened.push((word, keyword));
        let in_range = u32::from(word == "range");
        self.range_depth += in_range;
        let (list, end, _) = self.list()?;
        self.range_depth -= in_range;
        let otherwise = match end {
            ListEnd::End => None,
            ListEnd::ElseChain if self.peek_past_space().kind == keyword_of(word) && word != "range" => {
                let following = self.take_past_space();
                let chained = self.branch(word, following.start)?;
                Some(vec![if word == "if" {
                    Node::If(chained)
                } else {
                    Node::With(chained)
                }])
            }
            ListEnd::Else | ListEnd::ElseChain => {
                let (list, end, offset) = self.list()?;
                if !matches!(end, ListEnd::End) {
                    return Err(self.error(offset, Mistake::StrayElse));
                }
                Some(list)
            }
        };
        self.opened.pop();
        self.variables.truncate(variables);
        self.depth -= 1;
        Ok(Branch {
            pipeline,
            list,
            otherwise,
        })
    }

    fn block(&mut self, keyword: usize) -> Parsed<Node> {
        self.nest(keyword)?;
        let token = self.take_past_space();
        let name = self.template_name(token, "block")?;
        let pipeline = self.pipeline("block", TokenKind::RightDelimiter)?;
        let list = self.separate_list("block", keyword)?;
        self.add(name.clone(), list, token.start)?;
        self.depth -= 1;
        Ok(Node::Template {
            offset: token.start,
            name,
            pipeline: Some(pipeline),
        })
    }

    fn template(&mut self, _keyword: usize) -> Parsed<Node> {
        let token = self.take_past_space();
        let name = self.template_name(token, "template")?;
        let pipeline = if self.peek_past_space().kind == TokenKind::RightDelimiter {
            self.take_past_space();
            None
        } else {
            Some(self.pipeline("template", TokenKind::RightDelimiter)?)
        };
        Ok(Node::Template {
            offset: token.start,
            name,
            pipeline,
        })
    }

    fn template_name(&self, token: Token, within: &'static str) -> Parsed<String> {
        match token.kind {
            TokenKind::QuotedString | TokenKind::RawString => {
                let name = self.string(token)?;
                Ok(String::from_utf8_lossy(&name).into_owned())
            }
            _ => Err(self.unexpected(token, within)),
        }
    }

    fn string(&self, token: Token) -> Parsed<Vec<u8>> {
        constant::string(self.text(token)).map_err(|kind| self.error(token.start, kind))
    }

    /// Goes one level deeper. Go's parser has a growing stack and allows 10 000 parentheses; ours has not.
    fn nest(&mut self, offset: usize) -> Parsed<()> {
        self.depth += 1;
        if self.depth > Limits::DEPTH {
            return Err(self.error(offset, Mistake::TooDeep(Limits::DEPTH)));
        }
        Ok(())
    }

    fn expect_right_delimiter(&mut self, within: &'static str) -> Parsed<()> {
        let token = self.take_past_space();
        if token.kind == TokenKind::RightDelimiter {
            Ok(())
        } else {
            Err(self.unexpected(token, within))
        }
    }

    fn unexpected(&self, token: Token, within: &'static str) -> TemplateError {
        let kind = match token.kind {
            TokenKind::Mistake => self.tokens.mistake.clone().unwrap_or(Mistake::UnclosedAction),
            _ => Mistake::Unexpected {
                found: self.text(token).to_owned(),
                within,
            },
        };
        self.error(token.start, kind)
    }

    fn error(&self, offset: usize, kind: Mistake) -> TemplateError {
        parser_error(self.source, offset, kind)
    }

    fn text(&self, token: Token) -> &str {
        &self.source[token.start..token.end]
    }

    fn peek(&self) -> Token {
        let last = self.tokens.list.len() - 1;
        self.tokens.list[self.next.min(last)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    /// The next token that is no space; the spaces before it are taken, the token is not.
    fn peek_past_space(&mut self) -> Token {
        while self.peek().kind == TokenKind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take_past_space(&mut self) -> Token {
        self.peek_past_space();
        self.take()
    }
}

/// What stands between two texts.
enum Item {
    Node(Node),
    End,
    /// `else`; `true` if `if` or `with` follows and is yet to be read.
    Else(bool),
}

fn keyword_of(word: &str) -> TokenKind {
    match word {
        "if" => TokenKind::If,
        "with" => TokenKind::With,
        _ => TokenKind::Range,
    }
}
