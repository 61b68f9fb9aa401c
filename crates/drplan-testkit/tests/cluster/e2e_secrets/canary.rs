//! A value that is easily found again, and the places where it must not be.

use base64::{Engine, engine::general_purpose::STANDARD};
use drplan_testkit::{Kubectl, OperatorProcess, TestNamespace};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;

use crate::fixtures::our_api;

/// What every canary holds, and no encoding but base64 changes.
pub(super) const CORE: &str = "cnryQ7f3A9zK4q";
/// A canary that is a number.
pub(super) const NUMBER: i64 = 7_310_442_993_188;

/// A canary that every place has to encode.
pub(super) fn value() -> String {
    format!("a\"/\u{e9}+&=% {CORE}<b>\\")
}

/// One that a header may hold.
pub(super) fn header_value() -> String {
    format!("h\"/+&=% {CORE}<b>\\")
}

pub(super) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// As forms and queries have it.
pub(super) fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// What a careless or malicious server answers: these values in every form.
pub(super) fn echoes(values: &[String]) -> String {
    let mut echoes = String::new();
    for value in values {
        let json = serde_json::Value::from(value.as_str()).to_string();
        let twice = serde_json::Value::from(json.as_str()).to_string();
        for (name, form) in [
            ("plain", value.clone()),
            ("json", json.clone()),
            ("slashes", json.replace('/', "\\/")),
            ("twice", twice),
            ("percent", percent(value)),
            (
                "lower",
                percent(value).to_lowercase().replace(&CORE.to_lowercase(), CORE),
            ),
            ("base64", base64(value)),
            ("url-base64", base64(value).replace('+', "-").replace('/', "_")),
            ("percent-base64", percent(&base64(value))),
            ("basic", base64(&format!("user:{value}"))),
            ("basics", base64(&format!("users:{value}:"))),
            ("inner", base64(&format!("u:{value}"))),
        ] {
            echoes += &format!("{name}={form}\n");
        }
    }
    echoes
}

/// Everything that may be read of a run, each text with its place.
pub(super) struct Shown(Vec<(String, String)>);

impl Shown {
    pub(super) async fn of(t: &TestNamespace, operator: &OperatorProcess) -> anyhow::Result<Self> {
        let mut shown = Vec::new();
        let all = ListParams::default();
        for kind in ["DRWorkflow", "DRPlan", "DRPlanExecution"] {
            for object in our_api(t, kind).list(&all).await?.items {
                let name = object.metadata.name.clone().unwrap_or_default();
                shown.push((format!("{kind} {name}"), serde_json::to_string_pretty(&object)?));
            }
        }
        for event in t.api::<Event>().list(&all).await?.items {
            shown.push(("event".to_owned(), serde_json::to_string(&event)?));
        }
        let revisions = t.api::<ControllerRevision>().list(&all).await?.items;
        anyhow::ensure!(!revisions.is_empty(), "there are no snapshots to look at");
        for revision in revisions {
            let name = revision.metadata.name.clone().unwrap_or_default();
            shown.push((
                format!("ControllerRevision {name}"),
                serde_json::to_string(&revision)?,
            ));
        }
        let log = std::fs::read_to_string(operator.log_file())?;
        anyhow::ensure!(log.contains("\"level\":\"TRACE\""), "the log tells little");
        shown.extend(log.lines().map(|line| ("log".to_owned(), line.to_owned())));
        for path in ["/healthz", "/readyz"] {
            let answer = reqwest::get(operator.health_url(path)).await?.text().await?;
            shown.push((path.to_owned(), answer));
        }
        let metrics = operator.metrics().await?;
        anyhow::ensure!(metrics.contains("drplan_"), "the metrics tell nothing: {metrics}");
        shown.push(("/metrics".to_owned(), metrics));
        let kubectl = Kubectl::new(&t.control_plane, &t.name);
        for args in [["describe", "drpe"], ["describe", "drp"], ["get", "events"]] {
            shown.push((format!("kubectl {args:?}"), kubectl.run(&args).await?));
        }
        // What the API server was sent and answered, but for Secrets themselves.
        let mut bodies = 0;
        for entry in t.audit().entries()? {
            let about = entry.object_ref.clone().unwrap_or_default();
            if about.resource == "secrets" {
                continue;
            }
            for body in [&entry.request_object, &entry.response_object]
                .into_iter()
                .flatten()
            {
                bodies += 1;
                shown.push((
                    format!("audit: {} {}", entry.verb, entry.request_uri),
                    body.to_string(),
                ));
            }
            shown.push(("audit".to_owned(), entry.request_uri.clone()));
        }
        anyhow::ensure!(bodies > 20, "the audit log holds {bodies} bodies");
        Ok(Self(shown))
    }

    /// With these texts and their places.
    #[must_use]
    pub(super) fn and(mut self, more: Vec<(String, String)>) -> Self {
        self.0.extend(more);
        self
    }

    /// Where a canary is.
    pub(super) fn canaries(&self) -> Vec<String> {
        let mut needles = vec![CORE.to_owned(), NUMBER.to_string(), base64(&NUMBER.to_string())];
        for before in 0..3 {
            let encoded = base64(&format!("{}{CORE}", "-".repeat(before)));
            // The first and last letters depend on what stands around.
            let whole = &encoded[(before * 8_usize).div_ceil(6)..(before + CORE.len()) * 8 / 6];
            needles.push(whole.to_owned());
        }
        let mut found = Vec::new();
        for (place, text) in &self.0 {
            for needle in &needles {
                if let Some(at) = text.find(needle.as_str()) {
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    let to = text.ceil_char_boundary(at + 60);
                    found.push(format!("{place}: {}", &text[from..to]));
                }
            }
        }
        found.truncate(20);
        found
    }
}
