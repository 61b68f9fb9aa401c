//! Go text/template with the deterministic part of sprig: parse, check references, render. No I/O.
//!
//! [`Template::parse`] accepts and refuses what Go's text/template does with our functions, and
//! [`Template::references`] says what a template reads on any of its branches. A template is rendered for the place
//! its text goes to, so that no value changes the structure it lands in: see the `render_…` functions.

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod analysis;
mod arguments;
mod base64_text;
mod buffer;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod builtin;
mod compare;
mod constant;
mod error;
mod escape;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod eval;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod format;
mod functions;
mod help;
mod json;
mod lex;
mod limits;
mod node;
mod number;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod output;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod parse;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod place;
mod position;
mod quote;
mod references;
mod regexp;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod sprig;
mod template;
mod unicode;
mod val;
mod value;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "asks for a few of many kinds; all others are alike"
)]
mod yaml_text;

pub use error::{TemplateError, TemplateErrorKind};
pub use limits::Limits;
pub use position::Position;
pub use references::References;
pub use template::Template;
pub use value::Value;
