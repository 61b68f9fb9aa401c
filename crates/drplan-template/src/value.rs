use std::collections::BTreeMap;

/// A value a template can see or produce.
///
/// Map keys are ordered, since Go prints and ranges over maps in sorted key order. An integer is Go's `int64`, a
/// float Go's `float64`, a list `[]interface{}` and a map `map[string]interface{}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// JSON's null, Go's nil.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or beyond the range of `Int`.
    Float(f64),
    /// Text.
    String(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name, in the order of the names.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// An empty map, to be filled with [`Value::with`].
    #[must_use]
    pub fn map() -> Value {
        Value::Map(BTreeMap::new())
    }

    /// The map with one more entry; any other value becomes a map with that entry alone.
    #[must_use]
    pub fn with(self, key: impl Into<String>, value: impl Into<Value>) -> Value {
        let mut map = match self {
            Value::Map(map) => map,
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::List(_) => BTreeMap::new(),
        };
        map.insert(key.into(), value.into());
        Value::Map(map)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Value {
        Value::List(list)
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(map: BTreeMap<String, Value>) -> Value {
        Value::Map(map)
    }
}

/// Integers that fit stay `Int`; other numbers become `Float`.
impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(truth),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Value::Int(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::String(text),
            serde_json::Value::Array(list) => Value::List(list.into_iter().map(Value::from).collect()),
            serde_json::Value::Object(map) => Value::Map(
                map.into_iter()
                    .map(|(key, value)| (key, Value::from(value)))
                    .collect(),
            ),
        }
    }
}

/// Infinities and NaN, which JSON cannot hold, become null.
impl From<Value> for serde_json::Value {
    fn from(value: Value) -> serde_json::Value {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => truth.into(),
            Value::Int(whole) => whole.into(),
            Value::Float(number) => number.into(),
            Value::String(text) => text.into(),
            Value::List(list) => list.into_iter().map(serde_json::Value::from).collect(),
            Value::Map(map) => map
                .into_iter()
                .map(|(key, value)| (key, serde_json::Value::from(value)))
                .collect(),
        }
    }
}
