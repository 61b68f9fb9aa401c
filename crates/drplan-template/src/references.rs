use std::collections::BTreeMap;

use crate::Position;

/// What a template refers to, on every branch, each with the position of its first use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The parameters read, by name.
    pub params: BTreeMap<String, Position>,
    /// Those of `params` that are read otherwise than as an expression of their own: `{{ .params.x }}`, also with
    /// [`References::WRAPPERS`] around it, writes a value and decides nothing; a condition, a loop, a variable or the
    /// argument of any other function may.
    pub involved: BTreeMap<String, Position>,
    /// The expressions that are a parameter of their own: the offset in the source, and the parameter.
    pub(crate) alone: BTreeMap<usize, String>,
    /// The outputs read: action and field. `None`: the outputs of an action as a whole.
    pub outputs: BTreeMap<(String, Option<String>), Position>,
    /// Other top-level fields such as `planName`.
    pub fields: BTreeMap<String, Position>,
    /// The functions called.
    pub functions: BTreeMap<String, Position>,
    /// Where `.params` is used as a whole or with a computed name: any parameter may be read.
    pub params_dynamic: Option<Position>,
    /// Where `.outputs` is used as a whole or with a computed name: any output may be read.
    pub outputs_dynamic: Option<Position>,
    /// Where all of the data (`.` or `$`) is used as a whole: everything may be read.
    pub root_dynamic: Option<Position>,
}

impl References {
    /// The functions that an expression may pipe a parameter through and still be of its own.
    pub const WRAPPERS: [&'static str; 6] = ["b64enc", "quote", "squote", "toJson", "trim", "urlquery"];
}
