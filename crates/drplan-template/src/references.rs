use std::collections::BTreeMap;

use crate::Position;

/// What a template refers to, on every branch, each with the position of its first use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The parameters read, by name.
    pub params: BTreeMap<String, Position>,
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
