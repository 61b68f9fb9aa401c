//! The texts of errors: what is wrong and what to write instead.

use std::fmt;

use crate::error::TemplateErrorKind;
use crate::functions::Function;

impl fmt::Display for TemplateErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnclosedAction => write!(f, "`{{{{` is never closed; end the expression with `}}}}`"),
            Self::UnclosedComment => write!(f, "the comment is never closed; end it with `*/}}}}`"),
            Self::CommentNotAlone => write!(
                f,
                "a comment stands alone: `{{{{/* text */}}}}`, or `{{{{- /* text */ -}}}}`"
            ),
            Self::UnclosedString => {
                write!(
                    f,
                    "the string has no closing `\"` on its line; use backquotes for text of several lines"
                )
            }
            Self::UnclosedRawString => write!(f, "the string has no closing backquote"),
            Self::UnclosedCharacter => {
                write!(
                    f,
                    "the character has no closing `'`; strings are written in double quotes, as in \"text\""
                )
            }
            Self::UnclosedParenthesis => write!(f, "`(` is never closed; write `)` before `}}}}`"),
            Self::StrayParenthesis => write!(f, "`)` closes nothing"),
            Self::LoneColon => write!(
                f,
                "`:` alone means nothing; a variable is declared with `:=`, as in `$x := 1`"
            ),
            Self::StrayCharacter(character) => write!(f, "{character:?} cannot stand in an expression"),
            Self::CharacterInName(name, character) => character_in_name(name, *character, f),
            Self::BadNumber(text) => write!(f, "`{text}` is not a number"),
            Self::NumberTooLarge(text) => write!(f, "the number {text} does not fit into 64 bits"),
            Self::BadEscape(text) if text.starts_with('\'') => {
                write!(
                    f,
                    "{text} is not a single character; strings are written in double quotes"
                )
            }
            Self::BadEscape(text) => {
                write!(
                    f,
                    "{text} has an escape that does not exist; write `\\\\` for a backslash, or use backquotes"
                )
            }
            Self::Unexpected { found, within } => unexpected(found, within, f),
            Self::MissingEnd {
                opened: Some((word, position)),
            } => {
                write!(
                    f,
                    "`{{{{ end }}}}` is missing; `{word}` of {position} is still open"
                )
            }
            Self::MissingEnd { opened: None } => write!(f, "`{{{{ end }}}}` is missing"),
            Self::StrayEnd => write!(
                f,
                "`{{{{ end }}}}` ends nothing; there is no open if, with, range, define or block"
            ),
            Self::StrayElse => write!(
                f,
                "`{{{{ else }}}}` belongs to nothing here; if, with and range have one each"
            ),
            Self::MissingValue(within) => missing_value(within, f),
            Self::BadDeclaration("range") => {
                write!(
                    f,
                    "`range` declares one or two variables, as in `range $index, $element := .params.list`"
                )
            }
            Self::BadDeclaration(_) => write!(f, "only `range` declares two variables; write `$x := …`"),
            Self::ValueIntoLiteral => {
                write!(
                    f,
                    "`|` passes a value to a function; what stands behind it is none"
                )
            }
            Self::FieldOfLiteral(field) => write!(f, "there is no field `{field}` in a constant"),
            Self::UnknownFunction(name) => unknown_function(name, f),
            Self::UnknownVariable(name) => {
                write!(
                    f,
                    "the variable `{name}` is not declared here; declare it with `{name} := …` in the same block"
                )
            }
            Self::UnknownTemplate(name) => {
                write!(
                    f,
                    "there is no template {name:?}; define it with `{{{{ define {name:?} }}}}…{{{{ end }}}}`"
                )
            }
            Self::DuplicateTemplate(name) => write!(f, "the template {name:?} is defined twice"),
            Self::OutsideRange(word) => write!(f, "`{word}` stands outside of `range`"),
            Self::NoSuchField { name, of } => no_such_field(name, of, f),
            Self::NoFields {
                name,
                found: "nil" | "interface {}",
            } => {
                write!(
                    f,
                    "there is no field `{name}`: what stands before it has no value; test it with `if` or `with` first"
                )
            }
            Self::NoFields { name, found } => {
                write!(
                    f,
                    "there is no field `{name}`: what stands before it is {}",
                    kind(found)
                )
            }
            Self::ArgumentsToValue => {
                write!(
                    f,
                    "only a function takes arguments, and what stands first here is none; to call a function, \
                    write its name first"
                )
            }
            Self::NilCommand => write!(f, "`nil` can only be an argument"),
            Self::ArgumentCount {
                function,
                least,
                most,
                found,
            } => arguments(function, *least, *most, *found, f),
            Self::ArgumentType {
                function,
                expected,
                found,
            } => argument_type(function, expected, found, f),
            Self::Call { function, reason } => write!(f, "`{function}` failed: {reason}"),
            Self::Failed(Some(message)) => write!(f, "the template refuses to go on: {message}"),
            Self::Failed(None) => {
                write!(
                    f,
                    "the template refuses to go on; the message of `fail` is computed and may hold values, so it \
                    is not shown"
                )
            }
            Self::Required(Some(message)) => write!(f, "a required value is empty: {message}"),
            Self::Required(None) => write!(f, "a required value is empty"),
            Self::CannotRange(found) => {
                write!(
                    f,
                    "`range` takes a list, a map or a whole number, not {}",
                    kind(found)
                )
            }
            Self::RangeNumberVariables => {
                write!(f, "`range` over a number has one variable, as in `range $i := 3`")
            }
            Self::NotUtf8 => write!(f, "the result is not text: it is not UTF-8"),
            Self::TooManySteps(limit) => write!(
                f,
                "the template takes more than {limit} steps; does a loop go too far?"
            ),
            Self::TooDeep(limit) => {
                write!(
                    f,
                    "blocks, parentheses, templates or values are nested more than {limit} deep"
                )
            }
            Self::TooLong(limit) => write!(f, "the template makes more than {limit} bytes of text"),
            Self::UrlCharacter(character) if character.is_control() => {
                write!(
                    f,
                    "the value has the control character {character:?}, which cannot stand in a URL"
                )
            }
            Self::UrlCharacter(character) => {
                write!(
                    f,
                    "the value has `{character}`, which would change which address is called; pipe it through \
                    `pathEscape`, or behind `?` through `urlquery`"
                )
            }
            Self::UrlDots => write!(
                f,
                "the value makes a part of the path `.` or `..`, which would change which path is called"
            ),
            Self::HeaderCharacter(character) => {
                write!(
                    f,
                    "the value has the control character {character:?}, which cannot stand in a header"
                )
            }
            Self::Misplaced(what) => write!(f, "{what}, where a value has no place"),
            Self::NotYaml(what) => write!(f, "the text around the expressions is not YAML: {what}"),
            Self::DuplicateKey => write!(f, "the expression makes a key that the map has already"),
        }
    }
}

fn character_in_name(name: &str, character: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match character {
        '-' => write!(
            f,
            "`-` cannot stand behind `{name}`; put a space before `-}}}}`, and subtract with `sub a b`"
        ),
        '}' => write!(
            f,
            "`{name}` is followed by a single `}}`; an expression ends with `}}}}`"
        ),
        '=' => write!(
            f,
            "`=` cannot stand right behind `{name}`; to compare, write `eq a b`, to declare, `$x := 1`"
        ),
        '+' | '*' | '/' | '<' | '>' | '!' | '&' => {
            write!(
                f,
                "`{character}` cannot stand behind `{name}`; there are no operators, but functions such as \
                `add`, `mul`, `div`, `lt`, `gt`, `and` and `not`"
            )
        }
        '[' => write!(
            f,
            "`[` cannot stand behind `{name}`; an element is read with `index`, as in `index .params.list 0`"
        ),
        '"' | '\'' | '`' => write!(f, "a space is missing between `{name}` and {character}"),
        _ => write!(f, "{character:?} cannot stand in or behind the name `{name}`"),
    }
}

fn unexpected(found: &str, within: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (found, within) {
        ("}}", "template" | "define" | "block") => write!(f, "`{within}` needs a name in double quotes"),
        (_, "template" | "define" | "block") if !found.starts_with(['"', '`']) => {
            write!(f, "`{within}` needs a name in double quotes, not `{found}`")
        }
        (_, "end" | "else" | "break" | "continue") => write!(f, "`{within}` stands alone, without `{found}`"),
        ("}", _) => write!(f, "an expression ends with two, `}}}}`; here is only one `}}`"),
        ("/", "action") => write!(
            f,
            "a comment begins right behind the braces, without a space: `{{{{/* text */}}}}`"
        ),
        ("(", "arguments") => {
            write!(
                f,
                "`(` cannot stand right behind a name; arguments are separated by spaces, as in `add 1 2`"
            )
        }
        ("=" | "!", "arguments") => {
            write!(
                f,
                "`{found}` cannot stand here; to compare, write `eq a b` or `ne a b`, as in `if eq .params.mode \"on\"`"
            )
        }
        ("define", _) => write!(f, "`define` cannot stand in another block"),
        ("=" | ":=", _) => write!(f, "`{found}` needs one variable before it, as in `$x {found} 1`"),
        (",", _) => write!(f, "`,` cannot stand here; arguments are separated by spaces"),
        ("}}", "parentheses") => write!(f, "`(` is never closed; write `)` before `}}}}`"),
        ("<" | ">" | "!" | "&" | "+" | "*" | "/", _) => {
            write!(
                f,
                "`{found}` cannot stand here; there are no operators, but functions such as `add`, `mul`, `lt`, \
                `gt`, `and` and `not`"
            )
        }
        _ => write!(f, "`{found}` cannot stand here"),
    }
}

fn missing_value(within: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match within {
        "if" | "with" | "range" => write!(
            f,
            "`{within}` needs a value, as in `{{{{ {within} .params.name }}}}`"
        ),
        "action" => write!(
            f,
            "the expression is empty; write a value, as in `{{{{ .params.name }}}}`"
        ),
        "parentheses" => write!(f, "the parentheses are empty"),
        "command" => write!(f, "there is nothing before or behind `|`"),
        _ => write!(f, "`{within}` needs a value"),
    }
}

fn unknown_function(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "there is no function `{name}`; ")?;
    match name {
        "toYAML" | "toyaml" => write!(f, "it is written `toYaml`")?,
        "toJSON" | "tojson" => write!(f, "it is written `toJson`")?,
        "now" | "date" => write!(f, "use `.timestamp`, the time at which the action first started")?,
        "env" | "expandenv" => write!(f, "templates do not see the environment; use a parameter")?,
        "params" | "outputs" | "planName" | "executionName" | "timestamp" => {
            write!(f, "a field begins with a dot: `.{name}`")?;
        }
        "elseif" | "elif" => write!(f, "write `else if`")?,
        _ => write!(f, "to read a parameter, write `.params.{name}`")?,
    }
    write!(f, ". These exist:")?;
    for known in Function::names() {
        write!(f, " {known}")?;
    }
    Ok(())
}

fn no_such_field(name: &str, of: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match of {
        ".params" => write!(
            f,
            "there is no parameter `{name}`; declare it in the workflow's `parameters`"
        ),
        ".outputs" => {
            write!(
                f,
                "there are no outputs of an action `{name}`; only an action that ran earlier in the workflow has some"
            )
        }
        "" => write!(
            f,
            "there is no field `.{name}`; parameters are read with `.params.{name}`"
        ),
        _ => write!(f, "`{of}` has no field `{name}`"),
    }
}

fn arguments(
    function: &str,
    least: usize,
    most: Option<usize>,
    found: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    match most {
        Some(most) => write!(
            f,
            "`{function}` takes {most} argument{}, not {found}",
            plural(most)
        )?,
        None => write!(
            f,
            "`{function}` takes at least {least} argument{}, not {found}",
            plural(least)
        )?,
    }
    write!(f, "; what comes through `|` is the last one")
}

fn argument_type(function: &str, expected: &str, found: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "`{function}` takes {} here, not {}",
        kind(expected),
        kind(found)
    )?;
    match (expected, found) {
        ("int", "int64" | "string" | "float64") => write!(f, "; convert it with `int`"),
        ("string", "int" | "int64" | "float64" | "bool" | "number" | "uint8") => {
            write!(f, "; convert it with `toString`")
        }
        ("string", "nil" | "interface {}") => write!(f, "; give it a value with `default \"\"`"),
        ("bool", _) => write!(f, "; compare it, as in `eq .params.mode \"on\"`"),
        _ => Ok(()),
    }
}

/// Go's name for a type, as a person would say it.
fn kind(go: &str) -> &str {
    match go {
        "nil" | "interface {}" => "nothing (nil)",
        "int" => "an int",
        "int64" => "a whole number (int64)",
        "uint8" => "a byte",
        "float64" => "a number with a fraction",
        "number" => "a number",
        "complex128" => "a complex number",
        "string" => "a string",
        "bool" => "true or false",
        "map" | "map[string]interface {}" => "a map",
        "map[string]string" => "the map of `split`",
        "[]string" | "[]interface {}" => "a list",
        other => other,
    }
}
