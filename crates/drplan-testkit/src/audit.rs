//! The API server's audit log: which requests were made, by whom, and what came of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::eventually::{Seen, eventually};

/// The log of one control plane.
///
/// It has one entry for each finished request, watches included when they end, except those of the control plane's own
/// components. An entry may appear a moment after the client has its answer: use [`AuditQuery::wait_for`].
#[derive(Debug, Clone)]
pub struct Audit {
    file: PathBuf,
}

/// One finished request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Unique among requests.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// `ResponseComplete`, or `Panic`.
    pub stage: String,
    /// The path with its query.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; of other paths the method.
    pub verb: String,
    /// Who asked.
    pub user: AuditUser,
    /// As whom, if that is someone else.
    pub impersonated_user: Option<AuditUser>,
    /// What the client calls itself.
    #[serde(default)]
    pub user_agent: String,
    /// What was asked for. `None` of paths that are not objects'.
    pub object_ref: Option<AuditObject>,
    /// What was answered.
    response_status: Option<ResponseStatus>,
    /// The object that was sent; only where the control plane keeps bodies.
    pub request_object: Option<Value>,
    /// The object that was answered; only where the control plane keeps bodies.
    pub response_object: Option<Value>,
    /// What the API server notes on the way.
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// When the request arrived.
    pub request_received_timestamp: Timestamp,
    /// When it was finished.
    pub stage_timestamp: Timestamp,
}

/// Who makes a request.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditUser {
    /// The user's name.
    #[serde(default)]
    pub username: String,
    /// The user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What a request is about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditObject {
    /// The plural, such as `jobs`.
    pub resource: String,
    /// Empty for objects without one.
    pub namespace: String,
    /// Empty for lists, and for objects whose name the server makes.
    pub name: String,
    /// Empty for the core group.
    pub api_group: String,
    /// Such as `v1`.
    pub api_version: String,
    /// Such as `status`. Empty for the object itself.
    pub subresource: String,
}

#[derive(Debug, Clone, Deserialize)]
struct ResponseStatus {
    code: Option<u16>,
}

impl AuditEntry {
    /// The HTTP status, 0 if there was none.
    pub fn code(&self) -> u16 {
        self.response_status
            .as_ref()
            .and_then(|status| status.code)
            .unwrap_or(0)
    }

    /// Whether nobody knows what came of it: the client was gone before it was answered, or the server failed. It may have
    /// been done.
    pub fn is_unanswered(&self) -> bool {
        // The server has 499 for a client that closed the connection.
        matches!(self.code(), 0 | 499..)
    }

    /// Whether the user's rights did not suffice. Refusals for another reason have the code 403 too: a namespace that is
    /// being deleted takes nothing new, whoever asks.
    pub fn lacked_rights(&self) -> bool {
        self.annotations
            .get("authorization.k8s.io/decision")
            .is_some_and(|decision| decision == "forbid")
    }
}

/// Which entries of the log are meant: those that everything said applies to.
#[derive(Debug, Clone)]
pub struct AuditQuery {
    audit: Audit,
    /// Where in the file to begin, and what came before. An entry of an earlier request may still be written behind it.
    since: u64,
    received_from: Option<Timestamp>,
    user: Option<String>,
    impersonated: Option<String>,
    verbs: Vec<String>,
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    code: Option<u16>,
}

impl Audit {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// All entries so far, to be narrowed down.
    pub fn query(&self) -> AuditQuery {
        AuditQuery {
            audit: self.clone(),
            since: 0,
            received_from: None,
            user: None,
            impersonated: None,
            verbs: Vec::new(),
            resource: None,
            subresource: None,
            namespace: None,
            name: None,
            code: None,
        }
    }

    /// The entries of requests that arrive from now on, to be narrowed down.
    pub fn from_now(&self) -> AuditQuery {
        let since = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        AuditQuery {
            since,
            received_from: Some(Timestamp::now()),
            ..self.query()
        }
    }

    /// Parses only the lines that contain the text: thousands of others may be there.
    fn read(&self, since: u64, containing: &str) -> anyhow::Result<Vec<AuditEntry>> {
        let mut file = File::open(&self.file).context("failed to open the audit log")?;
        // From the byte before, to know whether a line begins there: it may have been half written.
        file.seek(SeekFrom::Start(since.saturating_sub(1)))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let begin = match since {
            0 => 0,
            _ => text.find('\n').map_or(text.len(), |end| end + 1),
        };
        // What follows the last line break is still being written.
        let complete = text[begin..]
            .rfind('\n')
            .map_or("", |end| &text[begin..begin + end]);
        let parse =
            |line| serde_json::from_str(line).with_context(|| format!("unreadable audit entry: {line}"));
        complete
            .lines()
            .filter(|line| line.contains(containing))
            .map(parse)
            .collect()
    }
}

impl AuditQuery {
    /// Made by this user, whoever it acts as.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Made as this user by another one.
    #[must_use]
    pub fn impersonated(mut self, user: &str) -> Self {
        self.impersonated = Some(user.into());
        self
    }

    /// With this verb; said several times, with any of them.
    #[must_use]
    pub fn verb(mut self, verb: &str) -> Self {
        self.verbs.push(verb.into());
        self
    }

    /// About this resource, the plural.
    #[must_use]
    pub fn resource(mut self, plural: &str) -> Self {
        self.resource = Some(plural.into());
        self
    }

    /// About this subresource; empty: about the object itself.
    #[must_use]
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.into());
        self
    }

    /// About objects in this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// About the object of this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Answered with this HTTP status.
    #[must_use]
    pub fn code(mut self, code: u16) -> Self {
        self.code = Some(code);
        self
    }

    /// The entries, in the order in which the requests were finished.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn entries(&self) -> anyhow::Result<Vec<AuditEntry>> {
        let mut entries = self
            .audit
            .read(self.since, self.namespace.as_deref().unwrap_or_default())?;
        entries.retain(|entry| self.covers(entry));
        Ok(entries)
    }

    /// Waits until there are at least `count` entries, and returns them.
    ///
    /// # Errors
    ///
    /// At the deadline.
    pub async fn wait_for(&self, count: usize) -> anyhow::Result<Vec<AuditEntry>> {
        eventually(&format!("{count} audit entries of {self:?}"), async || {
            let entries = self.entries()?;
            let seen = entries.len();
            Ok(Seen::when((seen >= count).then_some(entries), || {
                format!("{seen} entries")
            }))
        })
        .await
    }

    /// Waits until such requests were answered `code` as often as `count`, and checks that it were no more. The log does
    /// not tell how a request was answered whose client died: each of these may stand for one.
    ///
    /// # Errors
    ///
    /// At the deadline, or when there are more.
    pub async fn happened(&self, code: u16, count: usize) -> anyhow::Result<()> {
        let what = format!("{count} answers {code} to {self:?}");
        let answered = eventually(&what, async || {
            let entries = self.entries()?;
            let answered = entries.iter().filter(|entry| entry.code() == code).count();
            let unanswered = entries.iter().filter(|entry| entry.is_unanswered()).count();
            Ok(Seen::when(
                (answered + unanswered >= count).then_some(answered),
                || format!("{answered} of them, {unanswered} without an answer"),
            ))
        })
        .await?;
        anyhow::ensure!(answered <= count, "{answered} instead of {what}");
        Ok(())
    }

    fn covers(&self, entry: &AuditEntry) -> bool {
        let is = |wanted: &Option<String>, seen: &str| wanted.as_deref().is_none_or(|wanted| wanted == seen);
        let none = AuditObject::default();
        let object = entry.object_ref.as_ref().unwrap_or(&none);
        let impersonated = entry.impersonated_user.as_ref().map_or("", |user| &user.username);
        self.received_from
            .is_none_or(|from| entry.request_received_timestamp >= from)
            && is(&self.user, &entry.user.username)
            && is(&self.impersonated, impersonated)
            && (self.verbs.is_empty() || self.verbs.contains(&entry.verb))
            && is(&self.resource, &object.resource)
            && is(&self.subresource, &object.subresource)
            && is(&self.namespace, &object.namespace)
            && is(&self.name, &object.name)
            && self.code.is_none_or(|code| code == entry.code())
    }
}
