/// Bytes that are written up to a limit; what goes beyond is dropped and remembered.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Buffer {
    pub(crate) fn new(limit: usize) -> Buffer {
        Buffer {
            bytes: Vec::new(),
            limit,
            full: false,
        }
    }

    /// Whether something was dropped. Whoever walks a value to write it stops then.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// How much there may be in all.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Notes that more was to be written than there may be.
    pub(crate) fn overflow(&mut self) {
        self.full = true;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.full || bytes.len() > self.limit - self.bytes.len() {
            self.full = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        self.push(text.as_bytes());
    }

    pub(crate) fn push_char(&mut self, character: char) {
        self.push(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Writes `byte` so many times.
    pub(crate) fn fill(&mut self, byte: u8, count: usize) {
        if self.full || count > self.limit - self.bytes.len() {
            self.full = true;
        } else {
            self.bytes.resize(self.bytes.len() + count, byte);
        }
    }

    /// The number of characters on the last line.
    pub(crate) fn column(&self) -> usize {
        let line = self
            .bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        self.bytes[line..]
            .iter()
            .filter(|byte| **byte & 0xC0 != 0x80)
            .count()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written, leaving the buffer empty but as full as it was.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.limit -= self.bytes.len();
        std::mem::take(&mut self.bytes)
    }
}
