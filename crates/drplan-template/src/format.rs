//! `print`, `printf` and `println`, as Go's fmt has them for the types of templates.

use crate::buffer::Buffer;
use crate::number::format_float;
use crate::quote;
use crate::val::{List, Map, Val};

mod printf;

/// Writes a value as an action prints it.
pub(crate) fn print(value: &Val<'_>, buffer: &mut Buffer) {
    match value {
        Val::Nil | Val::NilAny => buffer.push_str("<no value>"),
        other => Printer::new(buffer).argument(other, 'v'),
    }
}

/// Writes a value as `%v`: a null inside of `print` is `<nil>`.
pub(crate) fn plain(value: &Val<'_>, buffer: &mut Buffer) {
    Printer::new(buffer).argument(value, 'v');
}

/// Go's `Sprint`: a space between two operands of which neither is a string.
pub(crate) fn sprint(values: &[Val<'_>], buffer: &mut Buffer) {
    let mut after_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Val::Text(_));
        if index > 0 && !is_text && !after_text {
            buffer.push_str(" ");
        }
        plain(value, buffer);
        after_text = is_text;
    }
}

/// Go's `Sprintln`.
pub(crate) fn sprintln(values: &[Val<'_>], buffer: &mut Buffer) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            buffer.push_str(" ");
        }
        plain(value, buffer);
    }
    buffer.push_str("\n");
}

/// Go's `Sprintf`.
pub(crate) fn sprintf(format: &[u8], values: &[Val<'_>], buffer: &mut Buffer) {
    printf::Printf::new(format, values).run(buffer);
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    /// `%#v`: as Go would write it.
    go_syntax: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Flags {
    /// With `%v`, `#` and `+` have a meaning of their own.
    fn enter_v(&mut self) {
        self.go_syntax = self.sharp;
        self.sharp = false;
        self.plus = false;
    }
}

struct Printer<'b> {
    buffer: &'b mut Buffer,
    flags: Flags,
}

impl<'b> Printer<'b> {
    fn new(buffer: &'b mut Buffer) -> Printer<'b> {
        Printer {
            buffer,
            flags: Flags::default(),
        }
    }

    fn argument(&mut self, value: &Val<'_>, verb: char) {
        match (verb, value) {
            ('T' | 'v', Val::Nil | Val::NilAny) => self.padded(b"<nil>"),
            (_, Val::Nil | Val::NilAny) => self.bad_verb(verb, value),
            ('T', _) => self.string(value.type_name().as_bytes()),
            // The address of a collection, which is not for templates to see; a fixed one stands for it.
            ('p', Val::List(_) | Val::Map(_)) => self.padded(b"0xc000000000"),
            ('p' | 'w', _) => self.bad_verb(verb, value),
            _ => self.value(value, verb),
        }
    }

    fn value(&mut self, value: &Val<'_>, verb: char) {
        if self.buffer.is_full() {
            return;
        }
        match value {
            Val::Nil | Val::NilAny if self.flags.go_syntax => self.buffer.push_str("interface {}(nil)"),
            Val::Nil | Val::NilAny => self.buffer.push_str("<nil>"),
            Val::Bool(truth) => match verb {
                't' | 'v' => self.padded(if *truth { b"true" } else { b"false" }),
                _ => self.bad_verb(verb, value),
            },
            Val::Int(number) | Val::Int64(number) => {
                self.integer(value, number.unsigned_abs(), *number < 0, verb);
            }
            Val::Byte(number) => {
                if verb == 'v' && self.flags.go_syntax {
                    self.flags.sharp = true;
                    self.digits(u64::from(*number), 16, false, 'v', false);
                    self.flags.sharp = false;
                } else {
                    self.integer(value, u64::from(*number), false, verb);
                }
            }
            Val::Float(number) => self.float(value, *number, verb),
            Val::Complex(real, imaginary) => self.complex(value, *real, *imaginary, verb),
            Val::Text(text) => self.text(value, text.bytes.as_slice(), verb),
            Val::List(list) => self.list(value, list, verb),
            Val::Map(map) => self.map(value, map, verb),
        }
    }

    fn list(&mut self, value: &Val<'_>, list: &List<'_>, verb: char) {
        let separator = self.open(value, "[");
        for (index, element) in list.iter().enumerate() {
            if index > 0 {
                self.buffer.push_str(separator);
            }
            self.value(&element, verb);
        }
        self.buffer.push_str(if self.flags.go_syntax { "}" } else { "]" });
    }

    fn map(&mut self, value: &Val<'_>, map: &Map<'_>, verb: char) {
        let separator = self.open(value, "map[");
        for (index, (key, element)) in map.entries().iter().enumerate() {
            if index > 0 {
                self.buffer.push_str(separator);
            }
            self.value(&key.to_val(), verb);
            self.buffer.push_str(":");
            self.value(element, verb);
        }
        self.buffer.push_str(if self.flags.go_syntax { "}" } else { "]" });
    }

    fn open(&mut self, value: &Val<'_>, plain: &str) -> &'static str {
        if self.flags.go_syntax {
            self.buffer.push_str(value.type_name());
            self.buffer.push_str("{");
            ", "
        } else {
            self.buffer.push_str(plain);
            " "
        }
    }

    fn integer(&mut self, value: &Val<'_>, magnitude: u64, negative: bool, verb: char) {
        match verb {
            'v' | 'd' => self.digits(magnitude, 10, negative, verb, false),
            'b' => self.digits(magnitude, 2, negative, verb, false),
            'o' | 'O' => self.digits(magnitude, 8, negative, verb, false),
            'x' => self.digits(magnitude, 16, negative, verb, false),
            'X' => self.digits(magnitude, 16, negative, verb, true),
            'c' | 'q' | 'U' => {
                // Go takes the number for an unsigned one here, so that a negative one is no character.
                let code = if negative {
                    magnitude.wrapping_neg()
                } else {
                    magnitude
                };
                let character = u32::try_from(code)
                    .ok()
                    .and_then(char::from_u32)
                    .unwrap_or(char::REPLACEMENT_CHARACTER);
                match verb {
                    'c' => self.padded(character.encode_utf8(&mut [0; 4]).as_bytes()),
                    'q' => {
                        let quoted = quote::character(character, self.flags.plus);
                        self.padded(quoted.as_bytes());
                    }
                    _ => self.unicode(code),
                }
            }
            _ => self.bad_verb(verb, value),
        }
    }

    fn digits(&mut self, magnitude: u64, base: u32, negative: bool, verb: char, upper: bool) {
        let flags = self.flags;
        if flags.precision == Some(0) && magnitude == 0 {
            self.pad_with(b' ', flags.width.unwrap_or(0));
            return;
        }
        let signed = negative || flags.plus || flags.space;
        let least = match (flags.precision, flags.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(usize::from(signed)),
            _ => 0,
        };
        let mut digits = match base {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 if upper => format!("{magnitude:X}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        if digits.len() < least {
            digits = "0".repeat(least - digits.len()) + &digits;
        }
        let prefix = match base {
            2 if flags.sharp => "0b",
            8 if flags.sharp && !digits.starts_with('0') => "0",
            16 if flags.sharp && upper => "0X",
            16 if flags.sharp => "0x",
            _ => "",
        };
        let octal = if verb == 'O' { "0o" } else { "" };
        let sign = if negative {
            "-"
        } else if flags.plus {
            "+"
        } else if flags.space {
            " "
        } else {
            ""
        };
        self.padded_by_spaces(format!("{sign}{octal}{prefix}{digits}").as_bytes());
    }

    fn unicode(&mut self, code: u64) {
        let least = self.flags.precision.unwrap_or(4).max(4);
        let digits = format!("{code:X}");
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        let mut text = format!("U+{zeros}{digits}");
        if self.flags.sharp
            && let Some(character) = u32::try_from(code).ok().and_then(char::from_u32)
            && quote::is_printable(character)
        {
            text.push_str(&format!(" '{character}'"));
        }
        self.padded_by_spaces(text.as_bytes());
    }

    fn float(&mut self, value: &Val<'_>, number: f64, verb: char) {
        match verb {
            'v' => self.float_digits(number, b'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => {
                self.float_digits(number, u8::try_from(verb).unwrap_or(b'g'), None)
            }
            'f' | 'e' | 'E' => self.float_digits(number, u8::try_from(verb).unwrap_or(b'f'), Some(6)),
            'F' => self.float_digits(number, b'f', Some(6)),
            _ => self.bad_verb(verb, value),
        }
    }

    fn float_digits(&mut self, number: f64, verb: u8, precision: Option<usize>) {
        let flags = self.flags;
        let precision = flags.precision.or(precision);
        let formatted = format_float(number, verb, precision);
        let (sign, mut digits) = match formatted.as_bytes()[0] {
            b'-' => ('-', formatted[1..].to_owned()),
            b'+' => ('+', formatted[1..].to_owned()),
            _ => ('+', formatted),
        };
        let sign = if flags.space && sign == '+' && !flags.plus {
            ' '
        } else {
            sign
        };
        if number.is_nan() || number.is_infinite() {
            let signed = if number.is_nan() {
                flags.space || flags.plus
            } else {
                flags.plus || sign != '+'
            };
            let text = if signed { format!("{sign}{digits}") } else { digits };
            // Go prints the `+` of an infinity.
            let text = if number.is_infinite() && !text.starts_with(['+', '-', ' ']) {
                format!("+{text}")
            } else {
                text
            };
            self.padded_by_spaces(text.as_bytes());
            return;
        }
        if flags.sharp && verb != b'b' {
            digits = with_point(&digits, verb, precision);
        }
        if !flags.plus && sign == '+' {
            self.padded(digits.as_bytes());
            return;
        }
        match flags.width {
            Some(width) if flags.zero && !flags.minus && width > digits.len() + 1 => {
                self.buffer.push_char(sign);
                self.pad_with(b'0', width - digits.len() - 1);
                self.buffer.push_str(&digits);
            }
            _ => self.padded(format!("{sign}{digits}").as_bytes()),
        }
    }

    fn complex(&mut self, value: &Val<'_>, real: f64, imaginary: f64, verb: char) {
        if !"vbgGxXfFeE".contains(verb) {
            self.bad_verb(verb, value);
            return;
        }
        let plus = self.flags.plus;
        self.buffer.push_str("(");
        self.float(value, real, verb);
        self.flags.plus = true;
        self.float(value, imaginary, verb);
        self.buffer.push_str("i)");
        self.flags.plus = plus;
    }

    fn text(&mut self, value: &Val<'_>, bytes: &[u8], verb: char) {
        match verb {
            'v' if self.flags.go_syntax => self.quoted(bytes),
            'v' | 's' => self.string(bytes),
            'x' | 'X' => self.hex(bytes, verb == 'X'),
            'q' => self.quoted(bytes),
            _ => self.bad_verb(verb, value),
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.padded(self.truncated(bytes));
    }

    fn truncated<'t>(&self, bytes: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else {
            return bytes;
        };
        let mut end = 0;
        for _ in 0..precision {
            if end >= bytes.len() {
                break;
            }
            end += quote::decode(&bytes[end..]).1;
        }
        &bytes[..end]
    }

    fn quoted(&mut self, bytes: &[u8]) {
        let bytes = self.truncated(bytes);
        if self.flags.sharp && quote::can_be_raw(bytes) {
            let raw = [b"`", bytes, b"`"].concat();
            self.padded(&raw);
        } else {
            let quoted = quote::string(bytes, self.flags.plus);
            self.padded(quoted.as_bytes());
        }
    }

    fn hex(&mut self, bytes: &[u8], upper: bool) {
        let flags = self.flags;
        let length = flags
            .precision
            .map_or(bytes.len(), |precision| precision.min(bytes.len()));
        let prefix = match (flags.sharp, upper) {
            (true, true) => "0X",
            (true, false) => "0x",
            (false, _) => "",
        };
        let mut text = String::new();
        for (index, byte) in bytes[..length].iter().enumerate() {
            if index == 0 || flags.space {
                text.push_str(if index > 0 { " " } else { "" });
                text.push_str(prefix);
            }
            text.push_str(&if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            });
        }
        self.padded(text.as_bytes());
    }

    fn bad_verb(&mut self, verb: char, value: &Val<'_>) {
        self.buffer.push_str("%!");
        self.buffer.push_char(verb);
        self.buffer.push_str("(");
        if value.is_nil() {
            self.buffer.push_str("<nil>");
        } else {
            self.buffer.push_str(value.type_name());
            self.buffer.push_str("=");
            self.argument(value, 'v');
        }
        self.buffer.push_str(")");
    }

    fn complaint(&mut self, verb: char, what: &str) {
        self.buffer.push_str("%!");
        self.buffer.push_char(verb);
        self.buffer.push_str(what);
    }

    /// Writes the text, padded with spaces whatever the flags.
    fn padded_by_spaces(&mut self, text: &[u8]) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.padded(text);
        self.flags.zero = zero;
    }

    fn padded(&mut self, text: &[u8]) {
        let characters = quote::count(text);
        let missing = self.flags.width.unwrap_or(0).saturating_sub(characters);
        if self.flags.minus {
            self.buffer.push(text);
            self.pad_with(b' ', missing);
        } else {
            self.pad_with(if self.flags.zero { b'0' } else { b' ' }, missing);
            self.buffer.push(text);
        }
    }

    fn pad_with(&mut self, byte: u8, count: usize) {
        self.buffer.fill(byte, count);
    }
}

/// What `#` adds to a float: a point, and zeros up to the precision.
fn with_point(digits: &str, verb: u8, precision: Option<usize>) -> String {
    let mut missing = match verb {
        b'g' | b'G' | b'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let is_hex = matches!(verb, b'x' | b'X');
    let exponent = digits.find(|character| match character {
        'p' | 'P' => true,
        'e' | 'E' => !is_hex,
        _ => false,
    });
    let (mantissa, tail) = digits.split_at(exponent.unwrap_or(digits.len()));
    let mut seen = false;
    for digit in mantissa.chars().filter(|character| *character != '.') {
        seen |= digit != '0';
        missing = missing.saturating_sub(usize::from(seen));
    }
    let mut text = mantissa.to_owned();
    if !mantissa.contains('.') {
        if mantissa == "0" {
            missing = missing.saturating_sub(1);
        }
        text.push('.');
    }
    text.push_str(&"0".repeat(missing));
    text + tail
}
