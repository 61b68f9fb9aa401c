//! Standard base64, as Go's encoding/base64 has it.

use crate::buffer::Buffer;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes the bytes as base64, padded.
pub(crate) fn encode(bytes: &[u8], buffer: &mut Buffer) {
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| chunk.get(index).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let mut quad = *b"====";
        for (place, letter) in quad.iter_mut().enumerate().take(chunk.len() + 1) {
            let index = bits >> (18 - 6 * place) & 63;
            *letter = ALPHABET[usize::try_from(index).unwrap_or(0)];
        }
        buffer.push(&quad);
    }
}

/// Decodes base64. Line breaks are skipped, and the bits that padding leaves over may be anything. The error is the
/// place that Go names.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<u8>, usize> {
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3);
    let mut at = 0;
    loop {
        let mut bits = 0u32;
        let mut count = 0;
        while count < 4 {
            let Some(byte) = bytes.get(at) else {
                return if count == 0 { Ok(decoded) } else { Err(at - count) };
            };
            at += 1;
            if matches!(byte, b'\n' | b'\r') {
                continue;
            }
            match ALPHABET.iter().position(|letter| letter == byte) {
                Some(value) => bits = bits << 6 | u32::try_from(value).unwrap_or(0),
                None => {
                    if *byte != b'=' || count < 2 {
                        return Err(at - 1);
                    }
                    padding(bytes, &mut at, count)?;
                    let all = bits << (6 * (4 - count));
                    decoded.extend_from_slice(&all.to_be_bytes()[1..count]);
                    return Ok(decoded);
                }
            }
            count += 1;
        }
        decoded.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
}

/// Skips the rest of the padding, of which the first `=` is past; nothing may follow it.
fn padding(bytes: &[u8], at: &mut usize, count: usize) -> Result<(), usize> {
    if count == 2 {
        skip_breaks(bytes, at);
        match bytes.get(*at) {
            None => return Err(bytes.len()),
            Some(b'=') => *at += 1,
            Some(_) => return Err(*at - 1),
        }
    }
    skip_breaks(bytes, at);
    if *at < bytes.len() { Err(*at) } else { Ok(()) }
}

fn skip_breaks(bytes: &[u8], at: &mut usize) {
    while matches!(bytes.get(*at), Some(b'\n' | b'\r')) {
        *at += 1;
    }
}
