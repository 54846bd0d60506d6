//! The JSON form: `{"type": "job_failed", "duration": {"min": 2.5, "max": 60}}`.

use serde_json::{Map, Value};

use super::expr::{Op, Pattern};
use super::path::FieldPath;
use super::value::Literal;
use super::{FILTER, Filter};
use crate::{Error, Result};

impl Filter {
    /// Reads the dictionary form.
    ///
    /// Each key is a field, with the value that it must equal, or an object of
    /// one or more of `min`, `max` (both included), `regex` and `eq`.
    ///
    /// # Errors
    /// `InvalidArgument` that points at the field (`duration.min`) and says
    /// the rule, see [`validate`](Self::validate); further for anything that
    /// isn't such an object.
    pub fn from_json(dictionary: &Value) -> Result<Self> {
        let Value::Object(fields) = dictionary else {
            return Err(Error::invalid(FILTER, "filter", "must be a JSON object")
                .with_hint(r#"write {"type": "job_failed"}"#));
        };
        let mut filter = Self::new();
        for (name, condition) in fields {
            let path = FieldPath::new(name).map_err(|rule| Error::invalid(FILTER, name, rule))?;
            match condition {
                Value::Object(forms) => filter.insert_forms(&path, forms)?,
                value => {
                    let literal = Literal::new(&path, value)
                        .map_err(|rule| Error::invalid(FILTER, name, rule))?;
                    filter.insert(&path, Op::Equals(literal))?;
                }
            }
        }
        Ok(filter)
    }

    fn insert_forms(&mut self, path: &FieldPath, forms: &Map<String, Value>) -> Result<()> {
        if forms.is_empty() {
            return Err(unknown_form(path.as_str()));
        }
        for (form, value) in forms {
            let op = op(path, form, value)?;
            self.insert(path, op)?;
        }
        Ok(())
    }

    /// The dictionary form; [`from_json`](Self::from_json) makes an equal filter of it.
    ///
    /// Of a filter that is wrong, what is right of it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for test in self.expr.tests() {
            let value = match &test.op {
                Op::Matches(pattern) => Value::from(pattern.source()),
                Op::Equals(literal) | Op::AtLeast(literal) | Op::AtMost(literal) => {
                    literal.to_json()
                }
            };
            let forms =
                fields.entry(test.path.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(forms) = forms {
                forms.insert(test.op.name().to_owned(), value);
            }
        }
        for forms in fields.values_mut() {
            // Equality alone is written as the bare value.
            let alone = forms.as_object().filter(|forms| forms.len() == 1);
            if let Some(value) = alone.and_then(|forms| forms.get("eq")).cloned() {
                *forms = value;
            }
        }
        Value::Object(fields)
    }
}

/// One condition by its name in the dictionary form.
pub(super) fn op(path: &FieldPath, form: &str, value: &Value) -> Result<Op> {
    let field = || format!("{path}.{form}");
    let literal =
        || Literal::new(path, value).map_err(|rule| Error::invalid(FILTER, field(), rule));
    let ordered = || match literal()? {
        Literal::Bool(_) => {
            Err(Error::invalid(FILTER, field(), "must be a number, a time or a string"))
        }
        other => Ok(other),
    };
    Ok(match form {
        "eq" => Op::Equals(literal()?),
        "min" => Op::AtLeast(ordered()?),
        "max" => Op::AtMost(ordered()?),
        "regex" => {
            let Value::String(source) = value else {
                return Err(Error::invalid(FILTER, field(), "must be a string"));
            };
            Op::Matches(Pattern::new(source).map_err(|rule| Error::invalid(FILTER, field(), rule))?)
        }
        _ => return Err(unknown_form(&field())),
    })
}

fn unknown_form(field: &str) -> Error {
    Error::invalid(FILTER, field, "must be a value, or an object of `min`, `max`, `regex`, `eq`")
}

impl TryFrom<&Value> for Filter {
    type Error = Error;

    fn try_from(dictionary: &Value) -> Result<Self> {
        Self::from_json(dictionary)
    }
}

impl TryFrom<Value> for Filter {
    type Error = Error;

    fn try_from(dictionary: Value) -> Result<Self> {
        Self::from_json(&dictionary)
    }
}
