/// Decodes standard base64 as Go does: line breaks are skipped. The error is the place that Go names.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<u8>, usize> {
    use base64::Engine as _;
    let kept: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(kept)
        .map_err(|_| 0)
}
