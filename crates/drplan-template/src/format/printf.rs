use super::{Flags, Printer, plain};
use crate::buffer::Buffer;
use crate::quote;
use crate::val::Val;

/// Widths and precisions beyond this are refused by Go.
const TOO_LARGE: i64 = 1_000_000;

/// A run through a format.
pub(super) struct Printf<'f, 'a> {
    format: &'f [u8],
    at: usize,
    values: &'f [Val<'a>],
    next: usize,
    reordered: bool,
    good_index: bool,
}

impl<'f, 'a> Printf<'f, 'a> {
    pub(super) fn new(format: &'f [u8], values: &'f [Val<'a>]) -> Printf<'f, 'a> {
        Printf {
            format,
            at: 0,
            values,
            next: 0,
            reordered: false,
            good_index: true,
        }
    }

    pub(super) fn run(mut self, buffer: &mut Buffer) {
        let mut after_index = false;
        while self.at < self.format.len() {
            self.good_index = true;
            let rest = &self.format[self.at..];
            let text = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            buffer.push(&rest[..text]);
            self.at += text;
            if self.at >= self.format.len() || buffer.is_full() {
                break;
            }
            self.at += 1;
            let mut printer = Printer::new(buffer);
            if self.flags(&mut printer.flags) {
                continue_simple(&mut self, &mut printer);
                continue;
            }
            after_index = self.index(after_index);
            self.width(&mut printer, &mut after_index);
            self.precision(&mut printer, &mut after_index);
            if !after_index {
                after_index = self.index(false);
            }
            let Some(verb) = self.verb() else {
                printer.buffer.push_str("%!(NOVERB)");
                break;
            };
            if verb == '%' {
                printer.buffer.push_str("%");
            } else if !self.good_index {
                printer.complaint(verb, "(BADINDEX)");
            } else if let Some(value) = self.values.get(self.next) {
                if matches!(verb, 'v' | 'w') {
                    printer.flags.enter_v();
                }
                printer.argument(value, verb);
                self.next += 1;
            } else {
                printer.complaint(verb, "(MISSING)");
            }
        }
        self.extra(buffer);
    }

    /// Reads the flags; `true` if a plain verb follows, for which there is an argument.
    fn flags(&mut self, flags: &mut Flags) -> bool {
        while let Some(byte) = self.format.get(self.at) {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                b'a'..=b'z' => return self.next < self.values.len(),
                _ => return false,
            }
            self.at += 1;
        }
        false
    }

    /// Reads `[n]`, if it is here.
    fn index(&mut self, otherwise: bool) -> bool {
        let _ = otherwise;
        if self.format.get(self.at) != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let close = rest
            .iter()
            .position(|byte| *byte == b']')
            .filter(|_| rest.len() >= 3);
        let Some(close) = close else {
            self.good_index = false;
            self.at += 1;
            return false;
        };
        let number = Self::number(&rest[1..close]).filter(|(_, length)| *length == close - 1);
        self.at += close + 1;
        match number.map(|(number, _)| number - 1) {
            Some(index) => {
                match usize::try_from(index)
                    .ok()
                    .filter(|index| *index < self.values.len())
                {
                    Some(index) => self.next = index,
                    None => self.good_index = false,
                }
                true
            }
            None => {
                self.good_index = false;
                false
            }
        }
    }

    /// The number at the start of the text, and its length.
    fn number(text: &[u8]) -> Option<(i64, usize)> {
        let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = text[..length].iter().try_fold(0i64, |number, digit| {
            (number <= TOO_LARGE).then(|| number * 10 + i64::from(digit - b'0'))
        })?;
        (length > 0).then_some((number, length))
    }

    /// Reads a number in the format; Go gives up on the rest of the format if it is far too large.
    fn figure(&mut self) -> Option<i64> {
        let rest = &self.format[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match Self::number(rest) {
            Some((number, length)) => {
                self.at += length;
                Some(number)
            }
            None => {
                if digits > 0 {
                    self.at = self.format.len();
                }
                None
            }
        }
    }

    /// The integer that `*` asks for.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Val::Int(number) | Val::Int64(number) => *number,
            Val::Byte(number) => i64::from(*number),
            Val::Nil
            | Val::NilAny
            | Val::Bool(_)
            | Val::Float(_)
            | Val::Complex(..)
            | Val::Text(_)
            | Val::List(_)
            | Val::Map(_) => return None,
        };
        (-TOO_LARGE..=TOO_LARGE).contains(&number).then_some(number)
    }

    fn width(&mut self, printer: &mut Printer<'_>, after_index: &mut bool) {
        let flags = &mut printer.flags;
        if self.format.get(self.at) == Some(&b'*') {
            self.at += 1;
            let width = self.star();
            if width.is_none() {
                printer.buffer.push_str("%!(BADWIDTH)");
            }
            if width.is_some_and(|width| width < 0) {
                flags.minus = true;
                flags.zero = false;
            }
            flags.width = width.and_then(|width| usize::try_from(width.abs()).ok());
            *after_index = false;
        } else {
            flags.width = self.figure().and_then(|width| usize::try_from(width).ok());
            if *after_index && flags.width.is_some() {
                self.good_index = false;
            }
        }
    }

    fn precision(&mut self, printer: &mut Printer<'_>, after_index: &mut bool) {
        if self.at + 1 >= self.format.len() || self.format[self.at] != b'.' {
            return;
        }
        self.at += 1;
        if *after_index {
            self.good_index = false;
        }
        *after_index = self.index(false);
        if self.format.get(self.at) == Some(&b'*') {
            self.at += 1;
            let precision = self.star().and_then(|precision| usize::try_from(precision).ok());
            if precision.is_none() {
                printer.buffer.push_str("%!(BADPREC)");
            }
            printer.flags.precision = precision;
            *after_index = false;
        } else {
            let precision = self
                .figure()
                .and_then(|precision| usize::try_from(precision).ok());
            printer.flags.precision = Some(precision.unwrap_or(0));
        }
    }

    fn verb(&mut self) -> Option<char> {
        let rest = self.format.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (verb, length) = quote::decode(rest);
        self.at += length;
        Some(verb.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn extra(&self, buffer: &mut Buffer) {
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        buffer.push_str("%!(EXTRA ");
        for (index, value) in self.values[self.next..].iter().enumerate() {
            if index > 0 {
                buffer.push_str(", ");
            }
            if value.is_nil() {
                buffer.push_str("<nil>");
            } else {
                buffer.push_str(value.type_name());
                buffer.push_str("=");
                plain(value, buffer);
            }
        }
        buffer.push_str(")");
    }
}

/// Prints with a lower case verb that has neither width, precision nor index.
fn continue_simple(format: &mut Printf<'_, '_>, printer: &mut Printer<'_>) {
    let verb = char::from(format.format[format.at]);
    if matches!(verb, 'v' | 'w') {
        printer.flags.enter_v();
    }
    printer.argument(&format.values[format.next], verb);
    format.next += 1;
    format.at += 1;
}
