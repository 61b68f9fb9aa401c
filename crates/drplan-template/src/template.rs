use std::sync::Arc;

use crate::analysis;
use crate::error::{Mistake, TemplateError};
use crate::eval;
use crate::limits::Limits;
use crate::node::{Node, Pipeline, Program};
use crate::output::Output;
use crate::place;
use crate::val::Val;
use crate::{Position, References, Value};

/// A parsed template.
///
/// Immutable and cheap to clone. What it accepts, refuses and renders is what Go's text/template does with
/// `missingkey=error` and our functions; one extension: a field may have `-` in its name, as in `.params.a-b`.
#[derive(Clone, Debug)]
pub struct Template {
    inner: Arc<Inner>,
    limits: Limits,
}

#[derive(Debug)]
struct Inner {
    source: String,
    program: Program,
    references: References,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// What Go's parser refuses, and a function that does not exist; the error lists those that do.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let program = crate::parse::parse(text)?;
        let references = analysis::references(&program, text);
        let inner = Inner {
            source: text.to_owned(),
            program,
            references,
        };
        Ok(Template {
            inner: Arc::new(inner),
            limits: Limits::default(),
        })
    }

    /// The same template with other limits on what a rendering may use.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Template {
        Template {
            inner: Arc::clone(&self.inner),
            limits,
        }
    }

    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// Whether there is no action at all, so that every rendering is the source.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.inner.program.is_literal
    }

    /// What the template refers to on any of its branches.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.inner.references
    }

    /// The text as Go renders it.
    ///
    /// # Errors
    /// What Go refuses; text that is not UTF-8; more than the limits allow.
    pub fn render_text(&self, data: &Value) -> Result<String, TemplateError> {
        if self.is_literal() {
            return Ok(self.inner.source.clone());
        }
        let output = self.run(data, Output::text())?;
        String::from_utf8(output.bytes).map_err(|_| self.error(0, Mistake::NotUtf8))
    }

    /// The value, with its type, of a template that is nothing but one expression; else the text.
    ///
    /// # Errors
    /// As [`Template::render_text`].
    pub fn render_value(&self, data: &Value) -> Result<Value, TemplateError> {
        let Some(pipeline) = self.only_expression() else {
            return self.render_text(data).map(Value::String);
        };
        let inner = &self.inner;
        let value = eval::value(&inner.program, pipeline, &inner.source, data, self.limits)?;
        place::value(&value, self.limits).map_err(|kind| self.error(pipeline.offset, kind))
    }

    /// A URL. A value at the very start may be any prefix of one; elsewhere a value cannot change which host, path or
    /// query is called, unless it is piped through `urlquery` or `pathEscape`.
    ///
    /// # Errors
    /// As [`Template::render_text`]; a character that has a meaning in URLs in a value.
    pub fn render_url(&self, data: &Value) -> Result<String, TemplateError> {
        let output = self.run(data, Output::with_holes())?;
        place::url(&output, self.limits, &|_| false).map_err(|(offset, kind)| self.error(offset, kind))
    }

    /// The same, where the values of these `params` are percent-encoded wherever they stand, unless they are already.
    ///
    /// # Errors
    /// As [`Template::render_url`].
    pub fn render_url_encoding(
        &self,
        data: &Value,
        params: &dyn Fn(&str) -> bool,
    ) -> Result<String, TemplateError> {
        let output = self.run(data, Output::with_holes())?;
        let alone = &self.inner.references.alone;
        let encoded = |offset| alone.get(&offset).is_some_and(|name| params(name));
        place::url(&output, self.limits, &encoded).map_err(|(offset, kind)| self.error(offset, kind))
    }

    /// The value of a header.
    ///
    /// # Errors
    /// As [`Template::render_text`]; a control character in the text.
    pub fn render_header(&self, data: &Value) -> Result<String, TemplateError> {
        let output = self.run(data, Output::with_holes())?;
        place::header(&output, self.limits).map_err(|(offset, kind)| self.error(offset, kind))
    }

    /// A YAML or JSON text of the author's shape, in which every value is encoded for the place it stands in.
    ///
    /// # Errors
    /// As [`Template::render_text`]; a value where none can stand.
    pub fn render_yaml(&self, data: &Value) -> Result<String, TemplateError> {
        if self.is_literal() {
            return Ok(self.inner.source.clone());
        }
        let output = self.run(data, Output::with_holes())?;
        place::yaml(&output, self.limits).map_err(|(offset, kind)| self.error(offset, kind))
    }

    /// The body of a request: as [`Template::render_yaml`] if it is JSON once expressions are taken as scalars, else
    /// as [`Template::render_text`].
    ///
    /// # Errors
    /// As either.
    pub fn render_body(&self, data: &Value) -> Result<String, TemplateError> {
        if self.is_literal() {
            return Ok(self.inner.source.clone());
        }
        let output = self.run(data, Output::with_holes())?;
        place::body(&output, self.limits).map_err(|(offset, kind)| self.error(offset, kind))
    }

    /// The expression, if there is nothing else.
    fn only_expression(&self) -> Option<&Pipeline> {
        match self.inner.program.main.as_slice() {
            [Node::Action(pipeline)] if pipeline.variables.is_empty() => Some(pipeline),
            _ => None,
        }
    }

    fn run<'a>(&'a self, data: &'a Value, output: Output<'a>) -> Result<Output<'a>, TemplateError> {
        eval::run(&self.inner.program, &self.inner.source, data, self.limits, output)
    }

    fn error(&self, offset: usize, kind: Mistake) -> TemplateError {
        TemplateError {
            position: Position::of(&self.inner.source, offset),
            kind,
        }
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Template>();
    let _ = size_of::<Val<'static>>();
};
