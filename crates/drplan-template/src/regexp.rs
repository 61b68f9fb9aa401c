//! Regular expressions in Go's syntax.

use crate::buffer::Buffer;

/// Whether the pattern matches somewhere; not, if it is none, as sprig has it.
pub(crate) fn is_match(pattern: &[u8], text: &[u8]) -> Result<bool, String> {
    let (Ok(pattern), Ok(text)) = (std::str::from_utf8(pattern), std::str::from_utf8(text)) else {
        return Ok(false);
    };
    Ok(regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)))
}

/// Writes the text with every match replaced; `$1` and `${name}` stand for groups.
pub(crate) fn replace_all(
    pattern: &[u8],
    text: &[u8],
    replacement: &[u8],
    buffer: &mut Buffer,
) -> Result<(), String> {
    let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| "an argument is not UTF-8".to_owned());
    let regex =
        regex::Regex::new(utf8(pattern)?).map_err(|_| "the pattern is no regular expression".to_owned())?;
    buffer.push_str(&regex.replace_all(utf8(text)?, utf8(replacement)?));
    Ok(())
}
