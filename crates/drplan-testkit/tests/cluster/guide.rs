//! The user guide as text: what a reader could put into a file, taken out of its copy in `examples/guide`.

use anyhow::{Context, bail};

/// The copy.
pub(crate) const TEXT: &str = include_str!("../../../../examples/guide/user-guide.md");

/// One block of YAML in the guide.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The line of the guide with its first line.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) is: Is,
    /// Itself.
    pub(crate) text: String,
}

/// What a block of YAML is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Is {
    /// A complete manifest.
    Manifest {
        /// Its kind.
        kind: String,
        /// Its name as it stands there.
        name: String,
        /// Of an execution: what it asks for.
        operation: Option<String>,
    },
    /// A list of actions, to be put into a workflow.
    Actions,
    /// The shape of a manifest, with `<…>` for what the reader fills in.
    Skeleton,
    /// A part of what `kubectl get` shows.
    Status,
}

impl Block {
    /// Line, and what it is.
    pub(crate) fn title(&self) -> String {
        let what = match &self.is {
            Is::Manifest {
                kind,
                name,
                operation,
            } => {
                let operation = operation.iter().map(|operation| format!(" {operation}"));
                format!("{kind} {name}{}", operation.collect::<String>())
            }
            Is::Actions => "actions".into(),
            Is::Skeleton => "skeleton".into(),
            Is::Status => "status".into(),
        };
        format!("{:04} {what}", self.line)
    }

    fn read(line: usize, text: String) -> anyhow::Result<Self> {
        let is = what(&text).with_context(|| format!("line {line} of the guide: {text}"))?;
        Ok(Self { line, is, text })
    }
}

/// Every block of YAML: fenced as such, or fed to `kubectl apply -f -` in a block of shell.
pub(crate) fn blocks() -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (number, line) in TEXT.lines().enumerate() {
        let ended = match &open {
            Some((_, end, _)) => line == *end,
            None => false,
        };
        if ended {
            if let Some((first, _, text)) = open.take() {
                blocks.push(Block::read(first, text)?);
            }
        } else if let Some((_, _, text)) = &mut open {
            text.push_str(line);
            text.push('\n');
        } else if line == "```yaml" {
            open = Some((number + 2, "```", String::new()));
        } else if line.contains("kubectl") && line.ends_with("<<EOF") {
            open = Some((number + 2, "EOF", String::new()));
        }
    }
    match open {
        Some((first, _, _)) => bail!("the block at line {first} has no end"),
        None => Ok(blocks),
    }
}

fn what(text: &str) -> anyhow::Result<Is> {
    let of = |field: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))
            .map(|value| value.split(" #").next().unwrap_or(value).trim().to_owned())
    };
    match text.lines().next().unwrap_or_default() {
        "actions:" => Ok(Is::Actions),
        "status:" => Ok(Is::Status),
        "apiVersion: dr.bkbcs.tencent.com/v1alpha1" if has_blanks(text) => Ok(Is::Skeleton),
        "apiVersion: dr.bkbcs.tencent.com/v1alpha1" => Ok(Is::Manifest {
            kind: of("kind").context("it has no kind")?,
            name: of("  name").context("it has no name")?,
            operation: of("  operation"),
        }),
        other => bail!("it begins with `{other}`: nobody knows what it is"),
    }
}

/// Whether there is something like `<plan-name>` in it.
fn has_blanks(text: &str) -> bool {
    text.split('<').skip(1).any(|rest| {
        let (inside, _) = rest.split_once('>').unwrap_or_default();
        !inside.is_empty() && inside.bytes().all(|c| c.is_ascii_lowercase() || c == b'-')
    })
}

/// Every host of an `https` URL in it, once.
pub(crate) fn hosts(text: &str) -> Vec<String> {
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let mut hosts: Vec<String> = text
        .split("https://")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| is_host(*c)).collect())
        .filter(|host: &String| !host.is_empty())
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
