//! Plain scalars.

use crate::yaml_text;

/// Whether the text, written as it is, is a string to every reader of YAML, in block and flow style.
pub(super) fn is_safe(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    if !(first.is_alphanumeric() || matches!(first, '/' | '_' | '.')) || text.ends_with([' ', ':']) {
        return false;
    }
    // The marker at the end of a document, and anything that might be a number or a date to someone.
    if text.starts_with("...") {
        return false;
    }
    let begins_number = first.is_ascii_digit() || first == '.';
    let only_number =
        |character: char| character.is_ascii_hexdigit() || "xXoO_.:+-eETtZz ".contains(character);
    if begins_number && text.chars().all(only_number) {
        return false;
    }
    let mut before = first;
    for character in text.chars() {
        let plain = character.is_alphanumeric()
            && !matches!(character, '\u{80}'..='\u{9F}' | '\u{2028}' | '\u{FEFF}');
        if !(plain || "_-./+=@$()~^;%:* ".contains(character)) {
            return false;
        }
        if character == ' ' && before == ':' {
            return false;
        }
        before = character;
    }
    yaml_text::resolves_to_string(text)
}
