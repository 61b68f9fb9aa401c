//! Requests, read.

use std::collections::BTreeMap;

use http::{Method, header};

use super::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Replace,
    Patch,
    Delete,
}

/// A request for objects.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) verb: Verb,
    pub(crate) kind: Kind,
    /// Empty: all of them.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Whether it is for the status alone.
    pub(crate) status: bool,
    pub(crate) query: BTreeMap<String, String>,
    /// Whether metadata are enough.
    pub(crate) slim: bool,
    /// Of a patch.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads a request; none for what is no object.
    pub(crate) fn read(head: &http::request::Parts, body: Vec<u8>) -> Option<Self> {
        let path = head.uri.path();
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let api_version = match parts.first()? {
            &"api" => parts.drain(..2).nth(1)?.to_owned(),
            _ if parts.len() < 3 => return None,
            _ => {
                let group: Vec<&str> = parts.drain(..3).collect();
                format!("{}/{}", group[1], group[2])
            }
        };
        let mut namespace = "";
        if parts.len() > 2 && parts[0] == "namespaces" {
            namespace = parts[1];
            parts.drain(..2);
        }
        let kind = Kind::served_at(&api_version, parts.first()?)?;
        let name = parts.get(1).copied().unwrap_or_default();
        let query = query(head.uri.query().unwrap_or_default());
        let watches = query.get("watch").is_some_and(|watch| watch == "true");
        let verb = match head.method {
            Method::GET if watches => Verb::Watch,
            Method::GET if name.is_empty() => Verb::List,
            Method::GET => Verb::Get,
            Method::POST => Verb::Create,
            Method::PUT => Verb::Replace,
            Method::PATCH => Verb::Patch,
            Method::DELETE => Verb::Delete,
            _ => return None,
        };
        let header = |name| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Some(Self {
            verb,
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            status: parts.get(2) == Some(&"status"),
            query,
            slim: header(header::ACCEPT).contains("as=PartialObjectMetadata"),
            content_type: header(header::CONTENT_TYPE),
            body,
        })
    }

    /// In one line.
    pub(crate) fn shown(&self) -> String {
        let verb = format!("{:?}", self.verb).to_lowercase();
        let (_, plural, _) = self.kind.names();
        let status = if self.status { "/status" } else { "" };
        format!("{verb} {plural}/{}{status}", self.name)
    }
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                decoded.push(u8::from_str_radix(digits, 16).unwrap());
            }
            b'+' => decoded.push(b' '),
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).unwrap()
}
