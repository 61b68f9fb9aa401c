//! Every accepted spelling, from the rows that the tests of `normalise` run.

use std::collections::BTreeSet;

use drplan_api::spellings::{self, Row};
use serde_json::Value;

use super::table::table;

/// The table of all spellings.
pub(super) fn rows(page: &mut String) {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in spellings::rows() {
        match groups.iter_mut().find(|group| group[0].name == row.name) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let mut seen = BTreeSet::new();
    let rows = groups.iter().map(|group| {
        let manifests: Vec<&Value> = group.iter().flat_map(|row| &row.same).collect();
        let mut spelled = spellings_of(&manifests, &mut seen);
        let also = if group.len() > 1 {
            // Not the same, but of the same right.
            spelled = vec![spelled.join("<br>")];
            "each is kept as it is until it is converted".to_owned()
        } else {
            spelled.split_off(1).join("<br>")
        };
        let is_of_job = spelled[0].starts_with("`job.") && !group[0].name.contains("Job");
        let of = format!("{}{}", group[0].name, if is_of_job { " of Job" } else { "" });
        vec![of, spelled.concat(), also]
    });
    let rows = rows.collect();
    table(page, &["of", "canonical", "also"], rows);
}

/// What tells `manifests` apart, one text for each spelling; one that only joins others is left out.
fn spellings_of(manifests: &[&Value], seen: &mut BTreeSet<String>) -> Vec<String> {
    let mut lines = vec![Vec::new(); manifests.len()];
    let places: Vec<Option<&Value>> = manifests.iter().map(|manifest| manifest.get("spec")).collect();
    differences("", &places, &mut lines);
    for lines in &mut lines {
        // How a Job template differs from a Pod template is told once.
        lines.retain(|line| !line.starts_with("job.template.") || !seen.contains(line));
    }
    seen.extend(lines.iter().flatten().cloned());
    let joins_others = |one: &Vec<String>| {
        let is_part =
            |other: &&Vec<String>| other.len() < one.len() && other.iter().all(|line| one.contains(line));
        lines.iter().any(|other| is_part(&other))
    };
    let mut spelled: Vec<String> = Vec::new();
    for one in lines.iter().filter(|one| !joins_others(one)) {
        let text = one
            .iter()
            .map(|line| format!("`{line}`"))
            .collect::<Vec<_>>()
            .join(", ");
        if !spelled.contains(&text) {
            spelled.push(text);
        }
    }
    spelled
}

/// Adds to the lines of each of `places` what is not the same in all.
fn differences(path: &str, places: &[Option<&Value>], lines: &mut [Vec<String>]) {
    if places.iter().all(|place| *place == places[0]) {
        return;
    }
    let objects: Option<Vec<_>> = places
        .iter()
        .map(|place| place.and_then(Value::as_object))
        .collect();
    if let Some(objects) = objects {
        let names: BTreeSet<&String> = objects.iter().flat_map(|object| object.keys()).collect();
        for name in names {
            let below: Vec<Option<&Value>> = objects.iter().map(|object| object.get(name)).collect();
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            differences(&path, &below, lines);
        }
        return;
    }
    let lists: Option<Vec<_>> = places
        .iter()
        .map(|place| place.and_then(Value::as_array))
        .collect();
    if let Some(lists) = lists.filter(|lists| lists.iter().all(|list| list.len() == 1)) {
        let below: Vec<Option<&Value>> = lists.iter().map(|list| list.first()).collect();
        // Of the only action its field says enough.
        let path = if path == "actions" {
            String::new()
        } else {
            format!("{path}[]")
        };
        differences(&path, &below, lines);
        return;
    }
    for (place, lines) in places.iter().zip(lines) {
        lines.extend(place.map(|value| format!("{path}: {}", short(value))));
    }
}

/// A value, or that there is one.
fn short(value: &Value) -> String {
    match value {
        Value::Object(object) if object.len() > 2 || object.values().any(|value| !value.is_string()) => {
            "{…}".to_owned()
        }
        Value::Array(list) if list.iter().any(|value| !value.is_number()) => "[…]".to_owned(),
        Value::String(text) if text.contains('\n') => "text".to_owned(),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => value.to_string(),
    }
}
