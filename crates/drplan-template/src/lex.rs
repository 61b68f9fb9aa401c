use crate::error::Mistake;
use crate::unicode;

/// One item of a template's source, as bytes `start..end` of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// The source cannot be read on from here; see [`Tokens::mistake`].
    Mistake,
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    /// Another character that is nothing in the language.
    Character,
    Bool,
    CharacterConstant,
    Complex,
    Number,
    QuotedString,
    RawString,
    Dot,
    Field,
    Variable,
    Identifier,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    EndKeyword,
    If,
    Range,
    Template,
    With,
    EndOfInput,
}

/// The tokens of a source, always ended by `EndOfInput` or `Mistake`.
pub(crate) struct Tokens {
    pub(crate) list: Vec<Token>,
    pub(crate) mistake: Option<Mistake>,
}

/// Splits a source into tokens, as Go's text/template/parse does with its default delimiters.
pub(crate) fn lex(source: &str) -> Tokens {
    let mut lexer = Lexer {
        source,
        position: 0,
        start: 0,
        paren_depth: 0,
        tokens: Vec::new(),
    };
    let mistake = lexer.run().err();
    if mistake.is_some() {
        lexer.emit(TokenKind::Mistake);
    }
    lexer.emit(TokenKind::EndOfInput);
    Tokens {
        list: lexer.tokens,
        mistake,
    }
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

struct Lexer<'s> {
    source: &'s str,
    position: usize,
    start: usize,
    paren_depth: u32,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Mistake> {
        while let Some(length) = self.rest().find("{{") {
            self.position += length;
            let trimmed = if trims_left(&self.source[self.position + 2..]) {
                let text = &self.source[self.start..self.position];
                text.len() - text.trim_end_matches(SPACES).len()
            } else {
                0
            };
            let delimiter = self.position;
            self.position -= trimmed;
            if self.position > self.start {
                self.emit(TokenKind::Text);
            }
            self.position = delimiter;
            self.start = delimiter;
            self.action()?;
        }
        self.position = self.source.len();
        if self.position > self.start {
            self.emit(TokenKind::Text);
        }
        Ok(())
    }

    /// Reads `{{ … }}` or a comment.
    fn action(&mut self) -> Result<(), Mistake> {
        self.position += 2;
        let marker = if trims_left(self.rest()) { 2 } else { 0 };
        if self.source[self.position + marker..].starts_with("/*") {
            self.position += marker;
            self.start = self.position;
            return self.comment();
        }
        self.emit(TokenKind::LeftDelimiter);
        self.position += marker;
        self.start = self.position;
        self.paren_depth = 0;
        loop {
            if self.right_delimiter().is_some() {
                if self.paren_depth > 0 {
                    return Err(Mistake::UnclosedParenthesis);
                }
                self.close();
                return Ok(());
            }
            if self.inside()? {
                return Ok(());
            }
        }
    }

    fn comment(&mut self) -> Result<(), Mistake> {
        self.position += 2;
        let Some(length) = self.rest().find("*/") else {
            return Err(Mistake::UnclosedComment);
        };
        self.position += length + 2;
        if self.right_delimiter().is_none() {
            return Err(Mistake::CommentNotAlone);
        }
        self.start = self.position;
        self.skip_right_delimiter();
        self.start = self.position;
        Ok(())
    }

    fn close(&mut self) {
        let trims = self.right_delimiter() == Some(true);
        if trims {
            self.position += 2;
            self.start = self.position;
        }
        self.position += 2;
        self.emit(TokenKind::RightDelimiter);
        if trims {
            self.skip_while(is_space);
            self.start = self.position;
        }
    }

    /// Reads one token inside an action; `true` if it was the end of the action.
    fn inside(&mut self) -> Result<bool, Mistake> {
        let Some(character) = self.next() else {
            return Err(Mistake::UnclosedAction);
        };
        match character {
            ' ' | '\t' | '\r' | '\n' => return Ok(self.space()),
            '=' => self.emit(TokenKind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return Err(Mistake::LoneColon);
                }
                self.emit(TokenKind::Declare);
            }
            '|' => self.emit(TokenKind::Pipe),
            '"' => {
                self.quoted('"', Mistake::UnclosedString)?;
                self.emit(TokenKind::QuotedString);
            }
            '`' => {
                let Some(length) = self.rest().find('`') else {
                    self.position = self.source.len();
                    return Err(Mistake::UnclosedRawString);
                };
                self.position += length + 1;
                self.emit(TokenKind::RawString);
            }
            '\'' => {
                self.quoted('\'', Mistake::UnclosedCharacter)?;
                self.emit(TokenKind::CharacterConstant);
            }
            '$' => self.name(TokenKind::Variable, TokenKind::Variable)?,
            '.' if self.peek().is_some_and(|next| !next.is_ascii_digit()) => {
                self.name(TokenKind::Dot, TokenKind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.position = self.start;
                self.number()?;
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(TokenKind::LeftParen);
            }
            ')' => {
                if self.paren_depth == 0 {
                    return Err(Mistake::StrayParenthesis);
                }
                self.paren_depth -= 1;
                self.emit(TokenKind::RightParen);
            }
            ',' => self.emit(TokenKind::Comma),
            _ if is_alphanumeric(character) => {
                self.position = self.start;
                self.identifier()?;
            }
            _ if character.is_ascii_graphic() => self.emit(TokenKind::Character),
            _ => return Err(Mistake::StrayCharacter(character)),
        }
        Ok(false)
    }

    /// Reads a run of spaces of which the first is past; `true` if the end of the action followed.
    fn space(&mut self) -> bool {
        let mut count = 1;
        while self.peek().is_some_and(is_space) {
            self.next();
            count += 1;
        }
        // The last space may belong to a trimming end, ` -}}`.
        if self.source[self.position - 1..].starts_with([' ', '\t', '\r', '\n'])
            && self.rest().starts_with("-}}")
        {
            self.position -= 1;
            if count == 1 {
                self.close();
                return true;
            }
        }
        self.emit(TokenKind::Space);
        false
    }

    fn quoted(&mut self, end: char, unclosed: Mistake) -> Result<(), Mistake> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(unclosed);
                    }
                }
                None | Some('\n') => return Err(unclosed),
                Some(character) if character == end => return Ok(()),
                Some(_) => {}
            }
        }
    }

    /// Reads `.name` or `$name` of which the first character is past. A field may have `-` between its letters, so
    /// that `.params.a-b` reads the parameter `a-b`; Go has no such names.
    fn name(&mut self, bare: TokenKind, named: TokenKind) -> Result<(), Mistake> {
        if self.at_terminator() {
            self.emit(bare);
            return Ok(());
        }
        loop {
            self.skip_while(is_alphanumeric);
            let dashes = self.rest().len() - self.rest().trim_start_matches('-').len();
            let after = &self.source[self.position + dashes..];
            let joins = named == TokenKind::Field && dashes > 0 && self.position > self.start + 1;
            if !joins || !after.starts_with(is_alphanumeric) {
                break;
            }
            self.position += dashes;
        }
        self.expect_terminator()?;
        self.emit(named);
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), Mistake> {
        self.skip_while(is_alphanumeric);
        self.expect_terminator()?;
        let kind = match &self.source[self.start..self.position] {
            "block" => TokenKind::Block,
            "break" => TokenKind::Break,
            "continue" => TokenKind::Continue,
            "define" => TokenKind::Define,
            "else" => TokenKind::Else,
            "end" => TokenKind::EndKeyword,
            "if" => TokenKind::If,
            "range" => TokenKind::Range,
            "nil" => TokenKind::Nil,
            "template" => TokenKind::Template,
            "with" => TokenKind::With,
            "true" | "false" => TokenKind::Bool,
            _ => TokenKind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Mistake> {
        if !self.scan_number() {
            return Err(Mistake::BadNumber(
                self.source[self.start..self.position].to_owned(),
            ));
        }
        if matches!(self.peek(), Some('+' | '-')) {
            // Complex, 1+2i: no spaces, must end in `i`.
            if !self.scan_number() || !self.source[..self.position].ends_with('i') {
                return Err(Mistake::BadNumber(
                    self.source[self.start..self.position].to_owned(),
                ));
            }
            self.emit(TokenKind::Complex);
        } else {
            self.emit(TokenKind::Number);
        }
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        let run = |character: char| digits.contains(character);
        self.skip_while(run);
        if self.accept(".") {
            self.skip_while(run);
        }
        if (digits.len() == 11 && self.accept("eE")) || (digits.len() == 23 && self.accept("pP")) {
            self.accept("+-");
            self.skip_while(|character| "0123456789_".contains(character));
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    fn rest(&self) -> &str {
        &self.source[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += character.len_utf8();
        Some(character)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.peek().is_some_and(|character| valid.contains(character));
        if accepted {
            self.position += 1;
        }
        accepted
    }

    fn skip_while(&mut self, accepts: impl Fn(char) -> bool) {
        self.position += self.rest().len() - self.rest().trim_start_matches(accepts).len();
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with("}}"),
        }
    }

    fn expect_terminator(&self) -> Result<(), Mistake> {
        match self.peek() {
            Some(character) if !self.at_terminator() => Err(Mistake::CharacterInName(
                self.source[self.start..self.position].to_owned(),
                character,
            )),
            _ => Ok(()),
        }
    }

    /// Whether the end of the action is here, and if so, whether it trims the text behind it.
    fn right_delimiter(&self) -> Option<bool> {
        if trims_right(self.rest()) && self.source[self.position + 2..].starts_with("}}") {
            Some(true)
        } else {
            self.rest().starts_with("}}").then_some(false)
        }
    }

    fn skip_right_delimiter(&mut self) {
        let trims = self.right_delimiter() == Some(true);
        self.position += if trims { 4 } else { 2 };
        if trims {
            self.skip_while(is_space);
        }
    }

    fn emit(&mut self, kind: TokenKind) {
        self.tokens.push(Token {
            kind,
            start: self.start,
            end: self.position,
        });
        self.start = self.position;
    }
}

fn trims_left(after_delimiter: &str) -> bool {
    let mut characters = after_delimiter.chars();
    characters.next() == Some('-') && characters.next().is_some_and(is_space)
}

fn trims_right(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(is_space) && characters.next() == Some('-')
}

fn is_space(character: char) -> bool {
    SPACES.contains(&character)
}

fn is_alphanumeric(character: char) -> bool {
    character == '_' || unicode::is_letter(character) || unicode::is_digit(character)
}
