use crate::buffer::Buffer;
use crate::format;
use crate::val::{Origin, Text, Val};

/// What a run writes: the author's text with either the printed values in it, or holes where values go.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub(crate) bytes: Vec<u8>,
    /// In the order of their place; `None` if values are printed.
    pub(crate) holes: Option<Vec<Hole<'a>>>,
    /// Where each run of the author's bytes came from: place in `bytes`, offset in the source.
    pub(crate) authored: Vec<(usize, usize)>,
    /// Bytes that the holes will at least take.
    pending: usize,
}

/// A place where a value goes. It holds one inert letter, [`Output::INERT`].
#[derive(Debug)]
pub(crate) struct Hole<'a> {
    pub(crate) place: usize,
    /// Of the expression in the source.
    pub(crate) offset: usize,
    pub(crate) value: Val<'a>,
    /// The indentation that `indent` or `nindent` asked for.
    pub(crate) indent: Option<usize>,
}

impl<'a> Output<'a> {
    /// A letter that means nothing in YAML, JSON or a URL.
    pub(crate) const INERT: u8 = b'x';

    /// Values are printed as Go prints them.
    pub(crate) fn text() -> Output<'a> {
        Output {
            bytes: Vec::new(),
            holes: None,
            authored: Vec::new(),
            pending: 0,
        }
    }

    /// Values are kept aside, to be placed when all of the text is known.
    pub(crate) fn with_holes() -> Output<'a> {
        Output {
            holes: Some(Vec::new()),
            ..Output::text()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.pending
    }

    pub(crate) fn author(&mut self, text: &[u8], offset: usize) {
        if self.holes.is_some() {
            self.authored.push((self.bytes.len(), offset));
        }
        self.bytes.extend_from_slice(text);
    }

    pub(crate) fn value(&mut self, value: Val<'a>, offset: usize, limit: usize) {
        let Some(holes) = &mut self.holes else {
            if let Val::Text(text) = &value {
                self.bytes.extend_from_slice(text.bytes.as_slice());
            } else {
                let mut buffer = Buffer::new(limit);
                format::print(&value, &mut buffer);
                self.pending += if buffer.is_full() { limit } else { 0 };
                self.bytes.extend_from_slice(&buffer.into_bytes());
            }
            return;
        };
        let (value, indent) = match value {
            Val::Text(Text {
                bytes,
                origin: Some(origin),
            }) => match origin.as_ref() {
                Origin::Indented { spaces, newline, of } => {
                    if *newline {
                        self.bytes.push(b'\n');
                    }
                    self.bytes.resize(self.bytes.len() + spaces, b' ');
                    (Val::Text(of.clone()), Some(*spaces))
                }
                Origin::Tree(_) | Origin::Quoted(_) | Origin::Escaped => (
                    Val::Text(Text {
                        bytes,
                        origin: Some(origin),
                    }),
                    None,
                ),
            },
            other => (other, None),
        };
        if let Val::Text(text) = &value {
            self.pending += text.bytes.as_slice().len();
        }
        holes.push(Hole {
            place: self.bytes.len(),
            offset,
            value,
            indent,
        });
        self.bytes.push(Output::INERT);
    }

    /// The offset in the source that the byte at `place` stems from.
    pub(crate) fn source_offset(&self, place: usize) -> usize {
        let holes = self.holes.as_deref().unwrap_or_default();
        if let Ok(index) = holes.binary_search_by_key(&place, |hole| hole.place) {
            return holes[index].offset;
        }
        match self.authored.partition_point(|(start, _)| *start <= place) {
            0 => 0,
            index => self.authored[index - 1].1 + (place - self.authored[index - 1].0),
        }
    }
}
