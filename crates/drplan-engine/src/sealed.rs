//! Values that are read when they are sent: which work needs them, where they may go, and how they get there.
//!
//! Everything that is decided and recorded is rendered with `secret:<name>/<key>` in place of such a value. What is
//! sent is rendered once more, by [`HttpCall::opened`] and [`ObjectWrite::opened`] with the values in it, by whoever
//! sends it, and goes nowhere else. So that both renderings differ in nothing but values, no template may decide
//! anything by such a value, and it may land only where it is data.

mod host;
mod landing;

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::{
    Source,
    canonical::{Doing, Http, Parameter, Resource, Work},
    limits::{BODY_BYTES_MAX, VALUE_BYTES_MAX},
    status::ObjectRef,
};
use drplan_template::{References, Template, Value};

use crate::{
    effect::HttpCall,
    object::{ObjectWrite, WriteHow},
    object_render::render_resource,
    parameters::convert,
    render::{RenderError, http_call},
    snapshot::{SnapshotUse, SnapshotWorkflow},
    texts::{Text, texts},
};

/// What was read, by where it stands.
pub type Values = BTreeMap<Source, String>;

/// The parameters of one use of a workflow whose values are read when they are sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SealedParameters(BTreeMap<String, SealedParameter>);

#[derive(Clone, Debug, PartialEq)]
struct SealedParameter {
    declared: Parameter,
    source: Source,
}

impl SealedParameters {
    /// Those of `used`.
    pub(crate) fn of(used: &SnapshotUse, workflow: &SnapshotWorkflow) -> Self {
        Self::from(&workflow.spec.parameters, |name| used.sources.get(name))
    }

    /// Those that `parameters` declare to be, whatever a plan supplies.
    pub(crate) fn declared(parameters: &[Parameter]) -> Self {
        let own = |name: &str| {
            let declared = parameters
                .iter()
                .find(|parameter| parameter.name.as_str() == name);
            declared?.value_from.as_ref()
        };
        Self::from(parameters, own)
    }

    fn from<'a>(parameters: &[Parameter], source: impl Fn(&str) -> Option<&'a Source>) -> Self {
        let sealed = parameters.iter().filter_map(|declared| {
            let name = declared.name.as_str();
            let source = source(name)?.clone();
            let declared = declared.clone();
            Some((name.to_owned(), SealedParameter { declared, source }))
        });
        Self(sealed.collect())
    }

    /// Whether the parameter is one of them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Those that a text with these references reads.
    fn read_by(&self, references: &References) -> impl Iterator<Item = (&str, &Source)> {
        let everything = references.params_dynamic.is_some() || references.root_dynamic.is_some();
        let read = self
            .0
            .iter()
            .filter(move |(name, _)| everything || references.params.contains_key(*name));
        read.map(|(name, sealed)| (name.as_str(), &sealed.source))
    }

    /// What is read for `doing` before it is sent.
    pub(crate) fn sources(&self, doing: &Doing) -> BTreeSet<Source> {
        let mut sources = BTreeSet::new();
        if !self.0.is_empty() {
            for text in texts(doing) {
                let template = Template::parse(&text.source).ok();
                let references = template.as_ref().map(Template::references);
                let read = references
                    .into_iter()
                    .flat_map(|references| self.read_by(references));
                sources.extend(read.map(|(_, source)| source.clone()));
            }
        }
        if let Work::Http(http) = &doing.work {
            sources.extend(http.headers_from.iter().map(|header| header.value_from.clone()));
            sources.extend(http.body_from.clone());
        }
        sources
    }

    /// What is wrong with what the texts of `doing` do with such values, as far as the texts alone tell: the field and
    /// what to do.
    pub(crate) fn misused(&self, doing: &Doing) -> Vec<(String, String)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        texts(doing)
            .iter()
            .filter_map(|text| self.misused_in(text))
            .collect()
    }

    fn misused_in(&self, text: &Text) -> Option<(String, String)> {
        let template = Template::parse(&text.source).ok()?;
        let references = template.references();
        let (name, source) = self.read_by(references).next()?;
        let field = text.field.clone();
        if let Some(position) = references.params_dynamic.or(references.root_dynamic) {
            let message = format!(
                "reads all parameters at once (line {}, column {}), and `{name}` is {source}, which is read when it is \
                 sent; name the parameters that are meant",
                position.line, position.column
            );
            return Some((field, message));
        }
        if !may_hold_values(&field) {
            return Some((
                field,
                format!(
                    "reads parameter `{name}`, which is {source}; {PLACES}; {}",
                    instead(text)
                ),
            ));
        }
        let (name, position) = references.involved.iter().find(|(name, _)| self.has(name))?;
        let wrappers = References::WRAPPERS.join(", ");
        let message = format!(
            "parameter `{name}` is read when it is sent, so nothing can be decided or computed from it (line {}, column \
             {}); write {{{{ .params.{name} }}}} by itself, if need be piped through {wrappers}",
            position.line, position.column
        );
        Some((field, message))
    }

    /// What is wrong with where such values land in `doing`, rendered with `data`; none where it does not render.
    pub(crate) fn mislanded(&self, doing: &Doing, namespace: &str, data: &Value) -> Option<(String, String)> {
        let reads = |source: &str| {
            let template = Template::parse(source).ok();
            template.is_some_and(|template| self.read_by(template.references()).next().is_some())
        };
        let (field, wrong) = match &doing.work {
            Work::Http(http) if reads(&http.url) => ("http.url", landing::in_url(self, http, data)?),
            Work::KubernetesResource(resource) if reads(&resource.manifest) => (
                "resource.manifest",
                landing::in_manifest(self, resource, namespace, data)?,
            ),
            Work::Http(_)
            | Work::Job(_)
            | Work::Localization(_)
            | Work::Subscription(_)
            | Work::KubernetesResource(_) => return None,
        };
        Some((field.to_owned(), format!("{wrong}; {PLACES}")))
    }

    /// `data` with such values replaced by what `value` gives for each.
    fn with(&self, data: &Value, value: impl Fn(&SealedParameter) -> Value) -> Value {
        let Value::Map(members) = data else {
            return data.clone();
        };
        let mut members = members.clone();
        if let Some(Value::Map(params)) = members.get_mut("params") {
            for (name, sealed) in &self.0 {
                params.insert(name.clone(), value(sealed));
            }
        }
        Value::Map(members)
    }
}

/// Where values that are read when they are sent may go.
const PLACES: &str = "such a value may go into the query of http.url, http.headers, http.body, and data or stringData of \
                      a Secret's manifest only";

fn may_hold_values(field: &str) -> bool {
    matches!(field, "http.url" | "http.body" | "resource.manifest") || field.starts_with("http.headers.")
}

/// What to write instead.
fn instead(text: &Text) -> &'static str {
    match text.field.split('.').next() {
        Some("job") => "let the container read it: env with valueFrom, or a volume",
        Some("localization" | "subscription") => "distribute a Secret instead",
        _ => "give this field a plain value",
    }
}

/// What must be read before something is sent, and how it gets into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// The plan's, where everything is read.
    pub namespace: String,
    /// What is read, each once.
    pub sources: BTreeSet<Source>,
    params: SealedParameters,
    /// With placeholders.
    data: Value,
    work: SealedWork,
}

#[derive(Clone, Debug, PartialEq)]
enum SealedWork {
    Http(Http),
    Resource(Resource),
}

impl Sealed {
    /// What `doing` needs, if anything, rendered with `data`.
    ///
    /// # Errors
    /// [`RenderError`] if a value would land where it must not.
    pub(crate) fn of(
        params: SealedParameters,
        doing: &Doing,
        namespace: &str,
        data: &Value,
    ) -> Result<Option<Box<Self>>, RenderError> {
        let reads = matches!(&doing.work, Work::Http(http) if !http.headers_from.is_empty() || http.body_from.is_some());
        if params.0.is_empty() && !reads {
            return Ok(None);
        }
        let wrong = params.misused(doing).into_iter().next();
        if let Some((field, message)) = wrong.or_else(|| params.mislanded(doing, namespace, data)) {
            return Err(RenderError { field, message });
        }
        let sources = params.sources(doing);
        let work = match &doing.work {
            Work::Http(http) => SealedWork::Http(http.clone()),
            Work::KubernetesResource(resource) => SealedWork::Resource(resource.clone()),
            Work::Job(_) | Work::Localization(_) | Work::Subscription(_) => return Ok(None),
        };
        if sources.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self {
            namespace: namespace.to_owned(),
            sources,
            params,
            data: data.clone(),
            work,
        })))
    }

    /// Whether the header `name` of the request holds such a value.
    pub fn is_in_header(&self, name: &str) -> bool {
        let SealedWork::Http(http) = &self.work else {
            return false;
        };
        let read = http
            .headers_from
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case(name));
        let mut written = http
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        read || written.any(|(_, source)| self.reads(source))
    }

    /// Whether the body of the request holds such a value.
    pub fn is_in_body(&self) -> bool {
        match &self.work {
            SealedWork::Http(http) => {
                http.body_from.is_some() || http.body.as_ref().is_some_and(|source| self.reads(source))
            }
            SealedWork::Resource(_) => false,
        }
    }

    fn reads(&self, source: &str) -> bool {
        let template = Template::parse(source).ok();
        template.is_some_and(|template| self.params.read_by(template.references()).next().is_some())
    }

    /// The bound of the value at `source`, in bytes.
    pub fn bytes_max(&self, source: &Source) -> usize {
        let is_body = matches!(&self.work, SealedWork::Http(http) if http.body_from.as_ref() == Some(source));
        if is_body { BODY_BYTES_MAX } else { VALUE_BYTES_MAX }
    }

    /// The data with `values` in it.
    fn data(&self, values: &Values) -> Result<Value, RenderError> {
        for (name, sealed) in &self.params.0 {
            let Some(value) = values.get(&sealed.source) else {
                continue;
            };
            if convert(&sealed.declared, &value.clone().into()).is_err() {
                let field = format!("parameter `{name}`");
                let message = format!("{} does not hold a value of its type", sealed.source);
                return Err(RenderError { field, message });
            }
        }
        Ok(self
            .params
            .with(&self.data, |sealed| match values.get(&sealed.source) {
                Some(value) => {
                    convert(&sealed.declared, &value.clone().into()).map_or(Value::Null, Value::from)
                }
                // Nothing that is sent reads it.
                None => Value::String(sealed.source.to_string()),
            }))
    }
}

impl HttpCall {
    /// The call with `values` in it, each encoded for the place it stands in; itself, if it needs none.
    ///
    /// # Errors
    /// [`RenderError`], without any value, if one cannot stand where it should.
    pub fn opened(&self, values: &Values) -> Result<Self, RenderError> {
        let Some(sealed) = &self.sealed else {
            return Ok(self.clone());
        };
        let SealedWork::Http(http) = &sealed.work else {
            return Ok(self.clone());
        };
        let data = sealed.data(values)?;
        let mut call = http_call(http, &data, self.timeout, self.keep_body, &sealed.params)?;
        for header in &http.headers_from {
            let value = value_of(values, &header.value_from)?;
            if value.chars().any(char::is_control) {
                let field = format!("http.headersFrom: {}", header.name);
                let message = format!(
                    "{} holds a line break or another control character, which no header may have",
                    header.value_from
                );
                return Err(RenderError { field, message });
            }
            call.headers.insert(header.name.clone(), value.to_owned());
        }
        if let Some(source) = &http.body_from {
            call.body = Some(value_of(values, source)?.to_owned());
        }
        call.sealed = Some(sealed.clone());
        Ok(call)
    }
}

impl ObjectWrite {
    /// The same with `values` in the object that is sent; itself, if it needs none.
    ///
    /// # Errors
    /// As [`HttpCall::opened`].
    pub fn opened(&self, values: &Values) -> Result<Self, RenderError> {
        let Some(sealed) = &self.sealed else {
            return Ok(self.clone());
        };
        let SealedWork::Resource(resource) = &sealed.work else {
            return Ok(self.clone());
        };
        let rendered = render_resource(resource, &sealed.namespace, &sealed.data(values)?)?;
        let here = ObjectRef {
            uid: None,
            ..self.target.clone()
        };
        if rendered.target != here {
            let field = "resource.manifest".to_owned();
            let message = "names another object with these values than without".to_owned();
            return Err(RenderError { field, message });
        }
        let how = match &self.how {
            WriteHow::Create(_) => WriteHow::Create(rendered.body),
            WriteHow::Apply { force, .. } => WriteHow::Apply {
                object: rendered.body,
                force: *force,
            },
            WriteHow::Patch { kind, .. } => WriteHow::Patch {
                patch: rendered.body,
                kind: *kind,
            },
        };
        Ok(Self { how, ..self.clone() })
    }
}

fn value_of<'a>(values: &'a Values, source: &Source) -> Result<&'a str, RenderError> {
    let value = values.get(source).map(String::as_str);
    value.ok_or_else(|| RenderError {
        field: source.to_string(),
        message: "was not read".to_owned(),
    })
}
