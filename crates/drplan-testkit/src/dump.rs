//! What a failed test leaves behind to read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client};

/// What is shown of a namespace, in this order: group, version, kind, plural.
const SHOWN: [(&str, &str, &str, &str); 7] = [
    ("dr.bkbcs.tencent.com", "v1alpha1", "DRWorkflow", "drworkflows"),
    ("dr.bkbcs.tencent.com", "v1alpha1", "DRPlan", "drplans"),
    (
        "dr.bkbcs.tencent.com",
        "v1alpha1",
        "DRPlanExecution",
        "drplanexecutions",
    ),
    ("apps", "v1", "ControllerRevision", "controllerrevisions"),
    ("batch", "v1", "Job", "jobs"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Event", "events"),
];

/// The API of every kind that a test's namespace shows, ours first.
pub(crate) fn shown_apis(client: &Client, namespace: &str) -> Vec<(&'static str, Api<DynamicObject>)> {
    let of = |&(group, version, kind, plural): &(&str, &str, &str, &'static str)| {
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        (plural, Api::namespaced_with(client.clone(), namespace, &resource))
    };
    SHOWN.iter().map(of).collect()
}

/// Returns the namespace's objects as text. Kinds that are not installed are left out.
pub(crate) async fn objects(client: &Client, namespace: &str) -> String {
    let mut text = String::new();
    for (plural, api) in shown_apis(client, namespace) {
        match api.list(&ListParams::default()).await {
            Ok(found) if plural == "events" => {
                for event in found {
                    text.push_str(&event_line(&event));
                }
            }
            Ok(found) => {
                for mut object in found {
                    object.metadata.managed_fields = None;
                    let name = object.metadata.name.clone().unwrap_or_default();
                    let shown =
                        serde_json::to_string_pretty(&object).unwrap_or_else(|error| error.to_string());
                    text.push_str(&format!("--- {plural} {name}\n{shown}\n"));
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => text.push_str(&format!("--- {plural}: {:#}\n", anyhow::Error::from(error))),
        }
    }
    text
}

fn event_line(event: &DynamicObject) -> String {
    let of = |path: &str| {
        event
            .data
            .pointer(path)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    format!(
        "--- event {} {} on {} {}: {}\n",
        of("/type"),
        of("/reason"),
        of("/involvedObject/kind"),
        of("/involvedObject/name"),
        of("/message"),
    )
}

/// Returns the last lines of a file, or why it cannot be read.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    /// Enough for a hundred long lines.
    const READ: u64 = 64 * 1024;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(file)?;
        let begin = file.metadata()?.len().saturating_sub(READ);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => {
            let all: Vec<&str> = text.lines().collect();
            all.iter()
                .skip(all.len().saturating_sub(lines))
                .map(|line| format!("{line}\n"))
                .collect()
        }
        Err(error) => format!("`{}`: {error}\n", file.display()),
    }
}
