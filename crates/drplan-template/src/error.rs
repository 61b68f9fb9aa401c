use std::fmt;

use crate::Position;

/// Why a template was refused or could not be rendered. Its text is help for the user and never shows a value.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateError {
    /// Where in the template's source.
    pub position: Position,
    /// What is wrong.
    pub kind: TemplateErrorKind,
}

impl std::error::Error for TemplateError {}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.kind)
    }
}

/// What is wrong with a template or its data. Texts in it are the author's, never a value's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TemplateErrorKind {
    /// `{{` without `}}`.
    UnclosedAction,
    /// `{{/*` without `*/`.
    UnclosedComment,
    /// Something between `*/` and `}}`.
    CommentNotAlone,
    /// `"` without a second one on the same line.
    UnclosedString,
    /// A backquote without a second one.
    UnclosedRawString,
    /// `'` without a second one on the same line.
    UnclosedCharacter,
    /// `(` without `)`.
    UnclosedParenthesis,
    /// `)` without `(`.
    StrayParenthesis,
    /// `:` that is not `:=`.
    LoneColon,
    /// A character that means nothing here.
    StrayCharacter(char),
    /// A name, and the character in or behind it that cannot be there.
    CharacterInName(String, char),
    /// A number as it is written.
    BadNumber(String),
    /// A whole number beyond 64 bits.
    NumberTooLarge(String),
    /// A string or character constant with an escape that Go does not know.
    BadEscape(String),
    /// Something that cannot stand here: what it is, and what it stands in.
    Unexpected {
        /// As written.
        found: String,
        /// For instance `range`.
        within: &'static str,
    },
    /// A block that is never ended.
    MissingEnd {
        /// The word that opened it, and where.
        opened: Option<(&'static str, Position)>,
    },
    /// `{{ end }}` that ends nothing.
    StrayEnd,
    /// `{{ else }}` that belongs to nothing, or a second one.
    StrayElse,
    /// An action, or an argument, that is empty: what it is for.
    MissingValue(&'static str),
    /// Too many or other than variables before `:=`.
    BadDeclaration(&'static str),
    /// A literal that gets a value by `|`.
    ValueIntoLiteral,
    /// `.field` behind a literal.
    FieldOfLiteral(String),
    /// A function that does not exist.
    UnknownFunction(String),
    /// A variable that was not declared.
    UnknownVariable(String),
    /// `{{ template }}` with a name that nothing defines.
    UnknownTemplate(String),
    /// Two definitions of one template.
    DuplicateTemplate(String),
    /// `{{ break }}` or `{{ continue }}` outside of `{{ range }}`.
    OutsideRange(&'static str),

    /// The data has no such field.
    NoSuchField {
        /// The field.
        name: String,
        /// What was read before it, as written; empty for the data itself.
        of: String,
    },
    /// A field of something that has none.
    NoFields {
        /// The field.
        name: String,
        /// Go's name for the type.
        found: &'static str,
    },
    /// A field, a literal or a variable that is given arguments.
    ArgumentsToValue,
    /// `nil` alone.
    NilCommand,
    /// A function called with the wrong number of arguments.
    ArgumentCount {
        /// The function.
        function: &'static str,
        /// The least number it takes.
        least: usize,
        /// The largest number it takes, if there is one.
        most: Option<usize>,
        /// The number given.
        found: usize,
    },
    /// A function called with an argument of the wrong type.
    ArgumentType {
        /// The function.
        function: &'static str,
        /// What it takes.
        expected: &'static str,
        /// Go's name for the type given.
        found: &'static str,
    },
    /// A function that cannot work with what it was given.
    Call {
        /// The function.
        function: &'static str,
        /// Why.
        reason: String,
    },
    /// `fail` was called; its message, if it is written in the template.
    Failed(Option<String>),
    /// `required` found nothing; its message, if it is written in the template.
    Required(Option<String>),
    /// `range` over something that cannot be ranged over.
    CannotRange(&'static str),
    /// `range` with two variables over a number.
    RangeNumberVariables,

    /// The text is not UTF-8.
    NotUtf8,
    /// More than [`Limits::steps`](crate::Limits::steps).
    TooManySteps(u64),
    /// More than [`Limits::depth`](crate::Limits::depth).
    TooDeep(u32),
    /// More than [`Limits::output`](crate::Limits::output).
    TooLong(usize),

    /// A value in a URL that would change which host or path is called.
    UrlCharacter(char),
    /// A value that makes a segment `.` or `..` of a URL's path.
    UrlDots,
    /// A value in a header that would end it.
    HeaderCharacter(char),
    /// A value in a YAML or JSON text where it cannot stand.
    Misplaced(&'static str),
    /// The text around the expressions is not YAML.
    NotYaml(&'static str),
    /// Two equal keys in one map, at least one of them made by an expression.
    DuplicateKey,
}

pub(crate) use TemplateErrorKind as Mistake;
