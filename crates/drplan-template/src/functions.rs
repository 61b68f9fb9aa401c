//! The functions a template can call: their names and what they take.

/// A function, in the order of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function(usize);

/// The type of a parameter, which decides what Go accepts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// `reflect.Value`: anything, as Go's own functions take it.
    Reflect,
    /// `interface{}`
    Any,
    String,
    Int,
    Bool,
    /// `map[string]interface{}`
    Map,
}

/// What is to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    And,
    Or,
    Not,
    Call,
    Html,
    Index,
    Js,
    Len,
    Slice,
    Print,
    Printf,
    Println,
    UrlQuery,
    PathEscape,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Default,
    Empty,
    Coalesce,
    Ternary,
    Required,
    Fail,
    Quote,
    Squote,
    Trim,
    TrimPrefix,
    TrimSuffix,
    Upper,
    Lower,
    Title,
    Trunc,
    Replace,
    Contains,
    HasPrefix,
    HasSuffix,
    Split,
    SplitList,
    Join,
    Indent,
    Nindent,
    List,
    Dict,
    Get,
    HasKey,
    Keys,
    First,
    Last,
    Int,
    ToString,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Add1,
    Base64Encode,
    Base64Decode,
    Sha256,
    RegexMatch,
    RegexReplaceAll,
    ToJson,
    FromJson,
    ToYaml,
}

struct Signature {
    name: &'static str,
    task: Task,
    fixed: &'static [Parameter],
    /// The type of any number of further arguments.
    variadic: Option<Parameter>,
}

impl Function {
    pub(crate) fn named(name: &str) -> Option<Function> {
        TABLE
            .binary_search_by(|signature| signature.name.cmp(name))
            .ok()
            .map(Function)
    }

    /// All names in alphabetical order.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|signature| signature.name)
    }

    pub(crate) fn name(self) -> &'static str {
        TABLE[self.0].name
    }

    pub(crate) fn task(self) -> Task {
        TABLE[self.0].task
    }

    /// The type of the argument at `index`, if the function takes that many.
    pub(crate) fn parameter(self, index: usize) -> Option<Parameter> {
        let signature = &TABLE[self.0];
        signature.fixed.get(index).copied().or(signature.variadic)
    }

    pub(crate) fn least(self) -> usize {
        TABLE[self.0].fixed.len()
    }

    /// The largest number of arguments, if there is one.
    pub(crate) fn most(self) -> Option<usize> {
        let signature = &TABLE[self.0];
        signature.variadic.is_none().then_some(signature.fixed.len())
    }
}

const fn function(
    name: &'static str,
    task: Task,
    fixed: &'static [Parameter],
    variadic: Option<Parameter>,
) -> Signature {
    Signature {
        name,
        task,
        fixed,
        variadic,
    }
}

use Parameter::{Any, Bool, Int, Map, Reflect, String};

/// In alphabetical order, for the search.
static TABLE: &[Signature] = &[
    function("add", Task::Add, &[], Some(Any)),
    function("add1", Task::Add1, &[Any], None),
    function("and", Task::And, &[Reflect], Some(Reflect)),
    function("b64dec", Task::Base64Decode, &[String], None),
    function("b64enc", Task::Base64Encode, &[String], None),
    function("call", Task::Call, &[Reflect], Some(Reflect)),
    function("coalesce", Task::Coalesce, &[], Some(Any)),
    function("contains", Task::Contains, &[String, String], None),
    function("default", Task::Default, &[Any], Some(Any)),
    function("dict", Task::Dict, &[], Some(Any)),
    function("div", Task::Div, &[Any, Any], None),
    function("empty", Task::Empty, &[Any], None),
    function("eq", Task::Eq, &[Reflect], Some(Reflect)),
    function("fail", Task::Fail, &[String], None),
    function("first", Task::First, &[Any], None),
    function("fromJson", Task::FromJson, &[String], None),
    function("ge", Task::Ge, &[Reflect, Reflect], None),
    function("get", Task::Get, &[Map, String], None),
    function("gt", Task::Gt, &[Reflect, Reflect], None),
    function("hasKey", Task::HasKey, &[Map, String], None),
    function("hasPrefix", Task::HasPrefix, &[String, String], None),
    function("hasSuffix", Task::HasSuffix, &[String, String], None),
    function("html", Task::Html, &[], Some(Any)),
    function("indent", Task::Indent, &[Int, String], None),
    function("index", Task::Index, &[Reflect], Some(Reflect)),
    function("int", Task::Int, &[Any], None),
    function("join", Task::Join, &[String, Any], None),
    function("js", Task::Js, &[], Some(Any)),
    function("keys", Task::Keys, &[], Some(Map)),
    function("last", Task::Last, &[Any], None),
    function("le", Task::Le, &[Reflect, Reflect], None),
    function("len", Task::Len, &[Reflect], None),
    function("list", Task::List, &[], Some(Any)),
    function("lower", Task::Lower, &[String], None),
    function("lt", Task::Lt, &[Reflect, Reflect], None),
    function("mod", Task::Mod, &[Any, Any], None),
    function("mul", Task::Mul, &[Any], Some(Any)),
    function("ne", Task::Ne, &[Reflect, Reflect], None),
    function("nindent", Task::Nindent, &[Int, String], None),
    function("not", Task::Not, &[Reflect], None),
    function("or", Task::Or, &[Reflect], Some(Reflect)),
    function("pathEscape", Task::PathEscape, &[String], None),
    function("print", Task::Print, &[], Some(Any)),
    function("printf", Task::Printf, &[String], Some(Any)),
    function("println", Task::Println, &[], Some(Any)),
    function("quote", Task::Quote, &[], Some(Any)),
    function("regexMatch", Task::RegexMatch, &[String, String], None),
    function(
        "regexReplaceAll",
        Task::RegexReplaceAll,
        &[String, String, String],
        None,
    ),
    function("replace", Task::Replace, &[String, String, String], None),
    function("required", Task::Required, &[String, Any], None),
    function("sha256sum", Task::Sha256, &[String], None),
    function("slice", Task::Slice, &[Reflect], Some(Reflect)),
    function("split", Task::Split, &[String, String], None),
    function("splitList", Task::SplitList, &[String, String], None),
    function("squote", Task::Squote, &[], Some(Any)),
    function("sub", Task::Sub, &[Any, Any], None),
    function("ternary", Task::Ternary, &[Any, Any, Bool], None),
    function("title", Task::Title, &[String], None),
    function("toJson", Task::ToJson, &[Any], None),
    function("toString", Task::ToString, &[Any], None),
    function("toYaml", Task::ToYaml, &[Any], None),
    function("trim", Task::Trim, &[String], None),
    function("trimPrefix", Task::TrimPrefix, &[String, String], None),
    function("trimSuffix", Task::TrimSuffix, &[String, String], None),
    function("trunc", Task::Trunc, &[Int, String], None),
    function("upper", Task::Upper, &[String], None),
    function("urlquery", Task::UrlQuery, &[], Some(Any)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_the_search_needs() {
        assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(Function::named("toYaml").is_some_and(|function| function.task() == Task::ToYaml));
        assert_eq!(Function::named("env"), None);
    }
}
