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

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written, leaving the buffer empty but as full as it was.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.limit -= self.bytes.len();
        std::mem::take(&mut self.bytes)
    }
}
