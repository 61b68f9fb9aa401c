//! The log: one JSON object for each line on standard output.
//!
//! Every line has `timestamp`, `level`, `message` and `target`, and beside them the fields of the event and of the
//! spans around it: whoever looks for `execution_uid` finds all lines of a run, wherever they were logged.

mod mask;

use std::{error::Error, fmt, io::Write};

use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::{SubscriberInitExt, TryInitError},
};

use crate::clock;

/// The least important lines that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// It did not work, for good.
    Error,
    /// Something to look at.
    Warn,
    /// The course of things: executions, stages, workflows and actions begin and end.
    Info,
    /// What is needed to find out why: values, requests, decisions.
    Debug,
    /// Everything.
    Trace,
}

/// Logs to standard output from now on, panics too.
///
/// # Errors
/// When the process logs already.
pub fn init(level: LogLevel) -> Result<(), TryInitError> {
    let lines = JsonLines {
        writer: std::io::stdout,
    }
    .with_filter(filter(level));
    tracing_subscriber::registry().with(lines).try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("a value that is no text");
        tracing::error!(location, "panic: {what}");
    }));
    Ok(())
}

/// Which events are logged.
fn filter(level: LogLevel) -> Targets {
    let (own, foreign) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::DEBUG),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    let mut filter = Targets::new().with_default(foreign).with_target("drplan", own);
    if own < LevelFilter::DEBUG {
        // Its warnings hold whole objects that could not be read, with all their values.
        filter = filter.with_target("kube_client::client", LevelFilter::ERROR);
    }
    filter
}

/// Writes each event as a line.
struct JsonLines<W> {
    writer: W,
}

/// The fields of a span.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Collect { fields: &mut fields });
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(SpanFields(fields)) = extensions.get_mut() {
            values.record(&mut Collect { fields });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        // From the outermost: what is nearer to the event wins.
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(SpanFields(of_span)) = span.extensions().get() {
                fields.extend(of_span.clone());
            }
        }
        event.record(&mut Collect { fields: &mut fields });
        let Ok(mut line) = line(event.metadata(), fields) else {
            return;
        };
        line.push(b'\n');
        // In one piece, so that lines do not mix. There is nowhere to complain about a log that cannot be written.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(&line);
    }
}

/// The line without its end. A field that has the name of a fixed one stands with an underscore after it.
fn line(metadata: &Metadata<'_>, mut fields: Map<String, Value>) -> serde_json::Result<Vec<u8>> {
    // Libraries that log by the crate `log` put where it was into fields.
    let target = fields.remove("log.target");
    fields.retain(|name, _| !name.starts_with("log."));
    let message = fields.remove("message").unwrap_or_default();
    let mut line = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &clock::now())?;
    map.serialize_entry("level", metadata.level().as_str())?;
    map.serialize_entry("message", message.as_str().unwrap_or_default())?;
    map.serialize_entry(
        "target",
        target
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or(metadata.target()),
    )?;
    for (name, value) in &fields {
        match name.as_str() {
            "timestamp" | "level" | "target" => map.serialize_entry(&format!("{name}_"), value)?,
            name => map.serialize_entry(name, value)?,
        }
    }
    map.end()?;
    Ok(line)
}

/// Collects fields, masked.
struct Collect<'a> {
    fields: &'a mut Map<String, Value>,
}

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let value = match value {
            _ if mask::is_sensitive(field.name()) => Value::from(mask::MASK),
            Value::String(text) => Value::from(mask::mask(&text).into_owned()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value,
        };
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    /// The error and all its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| (**error).source());
        let chain: Vec<String> = causes.map(ToString::to_string).collect();
        self.put(field, Value::from(chain.join(": ")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, error, info, info_span, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(level: LogLevel, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines = JsonLines {
            writer: move || writer.clone(),
        }
        .with_filter(filter(level));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    fn logged(level: LogLevel, log: impl FnOnce()) -> Vec<Value> {
        written(level, log)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Covers SC-006.
    #[test]
    fn a_line_has_the_fixed_fields_first_and_those_of_event_and_spans_flat() {
        let text = written(LogLevel::Info, || {
            let run = info_span!("run", plan = "shop", execution = "shop-001", execution_uid = "u1");
            let _run = run.enter();
            let action = info_span!(
                "action",
                path = "db/promote[0]/call",
                attempt = 1,
                late = tracing::field::Empty
            );
            let _action = action.enter();
            action.record("late", true);
            info!(attempt = 2, status_code = 200_u16, "action {} succeeded", "call");
        });
        assert!(text.starts_with(r#"{"timestamp":"2"#), "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        timestamp.as_str().unwrap().parse::<drplan_api::Time>().unwrap();
        let expected = serde_json::json!({
            "level": "INFO", "message": "action call succeeded", "target": "drplan_operator::logging::tests",
            "plan": "shop", "execution": "shop-001", "execution_uid": "u1",
            "path": "db/promote[0]/call", "attempt": 2, "late": true, "status_code": 200
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn values_keep_their_type_and_errors_tell_their_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to save status of `shop`")]
        struct SaveStatus(#[source] std::fmt::Error);

        let lines = logged(LogLevel::Info, || {
            let error: &dyn Error = &SaveStatus(std::fmt::Error);
            error!(error, count = -3, ratio = 0.5, on = false, many = ?["a"], none = None::<&str>, "line\nbreak");
        });
        let line = &lines[0];
        let cause = std::fmt::Error.to_string();
        assert_eq!(line["error"], format!("failed to save status of `shop`: {cause}"));
        assert_eq!(
            (&line["count"], &line["ratio"], &line["on"]),
            (&(-3).into(), &0.5.into(), &false.into())
        );
        assert_eq!(
            (&line["many"], &line["message"]),
            (&r#"["a"]"#.into(), &"line\nbreak".into())
        );
        assert_eq!(line.get("none"), None);
    }

    #[test]
    fn a_field_never_takes_the_place_of_a_fixed_one() {
        let lines = logged(LogLevel::Info, || info!(level = 3, timestamp = "then", "hello"));
        assert_eq!(
            (&lines[0]["level"], &lines[0]["level_"]),
            (&"INFO".into(), &3.into())
        );
        assert_eq!(lines[0]["timestamp_"], "then");
    }

    #[test]
    fn secrets_are_masked_in_fields_and_in_texts_at_every_level() {
        for level in [LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            let text = written(level, || {
                let span = info_span!("call", x_api_key = "hidden1", set_cookie = 7);
                let _span = span.enter();
                let headers =
                    std::collections::BTreeMap::from([("Authorization", "hidden2"), ("Accept", "json")]);
                warn!(
                    ?headers,
                    db_password = "hidden3",
                    "sent with X-Auth-Token: hidden4"
                );
                debug!(client_secret = 7, body = r#"{"password": "hidden5"}"#, "body");
            });
            assert!(!text.contains("hidden"), "{text}");
            assert!(
                text.contains(r#"\"Accept\": \"json\""#) && text.contains("sent with X-Auth-Token: ***"),
                "{text}"
            );
        }
    }

    #[test]
    fn libraries_are_heard_from_warn_on_unless_debug_is_asked_for() {
        let log = || {
            debug!("own");
            info!(target: "kube_runtime::watcher", "library");
            warn!(target: "hyper::client", "library warning");
            warn!(target: "kube_client::client", "object that could not be read");
            error!(target: "kube_client::client::builder", "library error");
        };
        let messages = |level| {
            let lines = logged(level, log).into_iter();
            lines
                .map(|line| line["message"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(LogLevel::Error), ["library error"]);
        assert_eq!(messages(LogLevel::Info), ["library warning", "library error"]);
        assert_eq!(messages(LogLevel::Debug).len(), 5);
    }
}
