use super::class;

/// A pattern of Go's as the regex crate writes it.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// The names of the groups, from the first one on; the pattern itself has none.
    pub(super) names: Vec<Option<String>>,
}

/// Translates a pattern; `None` if Go refuses it.
pub(super) fn translate(pattern: &str) -> Option<Translated> {
    let mut translation = Translation {
        rest: pattern,
        out: String::new(),
        flags: Flags::default(),
        names: Vec::new(),
    };
    translation.alternatives(0)?;
    if !translation.rest.is_empty() {
        return None;
    }
    Some(Translated {
        pattern: translation.out,
        names: translation.names,
    })
}

/// Go allows groups 1000 deep; the regex crate, 250.
const DEPTH: u32 = 200;

/// The largest product of nested counts that Go allows.
const COUNT: u32 = 1000;

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) fold: bool,
    multi_line: bool,
    dot_all: bool,
    swap_greed: bool,
}

struct Translation<'p> {
    rest: &'p str,
    out: String,
    flags: Flags,
    names: Vec<Option<String>>,
}

impl Translation<'_> {
    /// Reads up to the end or the `)` of the group; gives the largest product of counts in it.
    fn alternatives(&mut self, depth: u32) -> Option<u32> {
        if depth > DEPTH {
            return None;
        }
        let flags = self.flags;
        let mut weight = 1;
        // The counts of the last item, if there is one that could be repeated.
        let mut item: Option<u32> = None;
        let mut repeated = false;
        while let Some(next) = self.rest.chars().next() {
            if next == ')' {
                break;
            }
            let repeats = matches!(next, '*' | '+' | '?') || self.count().is_some();
            if repeats {
                let counts = self.repetition(next)?;
                if repeated {
                    return None;
                }
                let inner = item?;
                let product = inner.checked_mul(counts).filter(|product| *product <= COUNT)?;
                item = Some(product);
                weight = weight.max(product);
                repeated = true;
                continue;
            }
            repeated = false;
            match next {
                '|' => {
                    self.take(1);
                    self.out.push('|');
                    item = None;
                }
                '(' => {
                    if let Some(inner) = self.group(depth)? {
                        weight = weight.max(inner);
                        item = Some(inner);
                    }
                }
                _ => {
                    self.atom(next)?;
                    item = Some(1);
                }
            }
        }
        self.flags = flags;
        Some(weight)
    }

    /// Reads `*`, `+`, `?` or a count, and a `?` behind it; gives the number that limits how often.
    fn repetition(&mut self, first: char) -> Option<u32> {
        let counts = match self.count() {
            Some((least, most, length)) => {
                let largest = most.unwrap_or(least);
                if least > COUNT || largest > COUNT || least > largest {
                    return None;
                }
                self.out.push_str(&self.rest[..length]);
                self.take(length);
                if least >= 2 || largest >= 2 { largest } else { 1 }
            }
            None => {
                self.out.push(first);
                self.take(1);
                1
            }
        };
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.take(1);
        }
        if lazy != self.flags.swap_greed {
            self.out.push('?');
        }
        Some(counts)
    }

    /// The `{n}`, `{n,}` or `{n,m}` that is here: its numbers and its length.
    fn count(&self) -> Option<(u32, Option<u32>, usize)> {
        fn number(text: &str) -> Option<(u32, &str)> {
            let length = text.bytes().take_while(u8::is_ascii_digit).count();
            let digits = &text[..length];
            if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
                return None;
            }
            Some((digits.parse().unwrap_or(u32::MAX), &text[length..]))
        }
        let (least, rest) = number(self.rest.strip_prefix('{')?)?;
        let (most, rest) = match rest.strip_prefix(',') {
            None => (Some(least), rest),
            Some(rest) if rest.starts_with('}') => (None, rest),
            Some(rest) => {
                let (most, rest) = number(rest)?;
                (Some(most), rest)
            }
        };
        let rest = rest.strip_prefix('}')?;
        Some((least, most, self.rest.len() - rest.len()))
    }

    /// Reads a group, or flags for what follows, which are no item.
    fn group(&mut self, depth: u32) -> Option<Option<u32>> {
        let flags = self.flags;
        self.take(1);
        if let Some(named) = self
            .rest
            .strip_prefix("?P<")
            .or_else(|| self.rest.strip_prefix("?<"))
        {
            let (name, rest) = named.split_once('>')?;
            let fits = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let known = self.names.iter().flatten().any(|known| known == name);
            if name.is_empty() || !fits || known {
                return None;
            }
            self.names.push(Some(name.to_owned()));
            self.rest = rest;
            self.out.push('(');
        } else if self.rest.starts_with('?') {
            self.take(1);
            if !self.read_flags()? {
                return Some(None);
            }
            self.out.push_str("(?:");
        } else {
            self.names.push(None);
            self.out.push('(');
        }
        let weight = self.alternatives(depth + 1)?;
        self.rest = self.rest.strip_prefix(')')?;
        self.out.push(')');
        self.flags = flags;
        Some(Some(weight))
    }

    /// Reads the flags behind `(?` and their end; `true` if a group follows.
    fn read_flags(&mut self) -> Option<bool> {
        let (mut on, mut seen) = (true, false);
        let mut flags = self.flags;
        loop {
            let letter = self.rest.chars().next()?;
            self.take(letter.len_utf8());
            match letter {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_all = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                ':' | ')' if on || seen => {
                    self.flags = flags;
                    return Some(letter == ':');
                }
                _ => return None,
            }
            seen = true;
        }
    }

    /// Reads anything that stands for one character or place.
    fn atom(&mut self, next: char) -> Option<()> {
        match next {
            '.' => {
                self.take(1);
                self.out
                    .push_str(if self.flags.dot_all { "(?s:.)" } else { "(?-s:.)" });
            }
            '^' => {
                self.take(1);
                self.out
                    .push_str(if self.flags.multi_line { "(?m:^)" } else { "\\A" });
            }
            '$' => {
                self.take(1);
                self.out
                    .push_str(if self.flags.multi_line { "(?m:$)" } else { "\\z" });
            }
            '[' => {
                let (text, rest) = class::bracket(self.rest)?;
                self.rest = rest;
                self.class(&text);
            }
            '\\' => return self.escape(),
            _ => {
                self.take(next.len_utf8());
                self.class(&class::literal(next));
            }
        }
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let place = match self.rest.as_bytes().get(1)? {
            b'A' => "\\A",
            b'b' => "(?-u:\\b)",
            b'B' => "(?-u:\\B)",
            b'z' => "\\z",
            b'Q' => {
                let (text, rest) = self.rest[2..].split_once("\\E").unwrap_or((&self.rest[2..], ""));
                self.rest = rest;
                for character in text.chars() {
                    self.class(&class::literal(character));
                }
                return Some(());
            }
            _ => {
                let (text, rest) = class::group(self.rest).or_else(|| {
                    class::character(self.rest).map(|(found, rest)| (class::literal(found), rest))
                })?;
                self.rest = rest;
                self.class(&text);
                return Some(());
            }
        };
        self.take(2);
        self.out.push_str(place);
        Some(())
    }

    /// Writes what stands for one character.
    fn class(&mut self, text: &str) {
        if self.flags.fold {
            self.out.push_str("(?i:");
            self.out.push_str(text);
            self.out.push(')');
        } else {
            self.out.push_str(text);
        }
    }

    fn take(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }
}
