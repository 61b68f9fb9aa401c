//! Where values land: what two renderings that differ in nothing but these values differ in.

use drplan_api::canonical::{Http, Resource};
use drplan_template::{Template, Value};
use serde_json::Value as Json;

use super::SealedParameters;
use crate::object_render::render_resource;

/// Two data that differ in the sealed values alone. Neither placeholder is anything but text, base64 least of all.
fn two(params: &SealedParameters, data: &Value) -> [Value; 2] {
    ["", "'"].map(|end| params.with(data, |sealed| Value::String(format!("{}{end}", sealed.source))))
}

/// What is wrong if they land anywhere but in the query.
pub(super) fn in_url(params: &SealedParameters, http: &Http, data: &Value) -> Option<String> {
    let template = Template::parse(&http.url).ok()?;
    let [one, other] =
        two(params, data).map(|data| template.render_url_encoding(&data, &|name| params.has(name)).ok());
    let (one, other) = (one?, other?);
    (around_query(&one) != around_query(&other))
        .then(|| "puts a value that is read when it is sent before the `?` or behind a `#`".to_owned())
}

/// What stands before the query, and behind it.
fn around_query(url: &str) -> (&str, &str) {
    let (before_fragment, fragment) = url.split_once('#').unwrap_or((url, ""));
    let before_query = before_fragment
        .split_once('?')
        .map_or(before_fragment, |(before, _)| before);
    (before_query, fragment)
}

/// What is wrong if they land anywhere but in `data` and `stringData` of a Secret.
pub(super) fn in_manifest(
    params: &SealedParameters,
    resource: &Resource,
    namespace: &str,
    data: &Value,
) -> Option<String> {
    let [one, other] = two(params, data).map(|data| render_resource(resource, namespace, &data).ok());
    let (one, other) = (one?, other?);
    let is_secret = |target: &drplan_api::status::ObjectRef| {
        (target.api_version.as_deref(), target.kind.as_deref()) == (Some("v1"), Some("Secret"))
    };
    if one.target != other.target {
        return Some("names the object by a value that is read when it is sent".to_owned());
    }
    let at = different_outside(&one.body, &other.body, is_secret(&one.target))?;
    Some(format!("puts a value that is read when it is sent at {at}"))
}

/// Where the two differ outside of a Secret's data.
fn different_outside(one: &Json, other: &Json, is_secret: bool) -> Option<String> {
    let (Json::Object(ones), Json::Object(others)) = (one, other) else {
        return (one != other).then(|| "the whole".to_owned());
    };
    if ones.keys().ne(others.keys()) {
        return Some("a key".to_owned());
    }
    for (name, (one, other)) in ones
        .iter()
        .zip(others.values())
        .map(|((name, one), other)| (name, (one, other)))
    {
        if one == other {
            continue;
        }
        let encoded = match name.as_str() {
            "data" => true,
            "stringData" => false,
            _ => return Some(format!("`{name}`")),
        };
        if !is_secret {
            return Some(format!("`{name}` of what is no Secret"));
        }
        if let Some(wrong) = different_data(name, one, other, encoded) {
            return Some(wrong);
        }
    }
    None
}

/// What is wrong with two of a Secret's `data` (`encoded`) or `stringData`.
fn different_data(field: &str, one: &Json, other: &Json, encoded: bool) -> Option<String> {
    let (Json::Object(ones), Json::Object(others)) = (one, other) else {
        return Some(format!("`{field}` as a whole"));
    };
    if ones.keys().ne(others.keys()) {
        return Some(format!("a key of `{field}`"));
    }
    let mut different = ones
        .iter()
        .zip(others.values())
        .filter(|((_, one), other)| one != other);
    different.find_map(|((key, one), other)| {
        let (Json::String(one), Json::String(_)) = (one, other) else {
            return Some(format!("`{field}.{key}` in a list or object"));
        };
        let is_base64 =
            |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte) || byte.is_ascii_whitespace();
        (encoded && !one.bytes().all(is_base64)).then(|| {
            format!(
                "`data.{key}` as it is; data holds base64, so pipe it through b64enc, or write stringData"
            )
        })
    })
}
