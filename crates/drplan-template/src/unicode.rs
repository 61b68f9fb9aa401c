use crate::buffer::Buffer;
use crate::quote;

/// Whether Go's `unicode.IsLetter` says so.
pub(crate) fn is_letter(character: char) -> bool {
    character.is_alphabetic()
}

/// Whether Go's `unicode.IsDigit` says so.
pub(crate) fn is_digit(character: char) -> bool {
    character.is_numeric()
}

/// Whether Go's `strconv.IsPrint` says so.
pub(crate) fn is_print(character: char) -> bool {
    character == ' ' || !(character.is_control() || character.is_whitespace())
}

/// Go's `unicode.ToUpper`.
pub(crate) fn to_upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    upper
        .next()
        .filter(|_| upper.next().is_none())
        .unwrap_or(character)
}

/// Go's `unicode.ToLower`.
pub(crate) fn to_lower(character: char) -> char {
    let mut lower = character.to_lowercase();
    lower
        .next()
        .filter(|_| lower.next().is_none())
        .unwrap_or(character)
}

/// Writes the text with every character changed; a byte that is none becomes U+FFFD.
pub(crate) fn map(bytes: &[u8], change: fn(char) -> char, buffer: &mut Buffer) {
    for character in quote::characters(bytes) {
        buffer.push_char(character.map_or(char::REPLACEMENT_CHARACTER, change));
    }
}

/// Writes the text with the first letter of every word in title case.
pub(crate) fn title(bytes: &[u8], buffer: &mut Buffer) {
    let mut before = ' ';
    for character in quote::characters(bytes) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        buffer.push_char(if is_separator(before) {
            to_upper(character)
        } else {
            character
        });
        before = character;
    }
}

/// Go's rule for the end of a word in `strings.Title`.
fn is_separator(character: char) -> bool {
    match character {
        '0'..='9' | 'a'..='z' | 'A'..='Z' | '_' => false,
        '\0'..='\u{7F}' => true,
        _ => !is_letter(character) && !is_digit(character) && character.is_whitespace(),
    }
}
