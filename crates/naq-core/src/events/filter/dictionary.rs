//! The JSON form: `{"type": "job_failed", "duration": {"min": 2.5, "max": 60}}`.

use serde_json::{Map, Value, json};

use super::expr::{Expr, Op, Test};
use super::field_type::Type;
use super::path::FieldPath;
use super::pattern::Pattern;
use super::value::Literal;
use super::{FILTER, Filter, MAX_DEPTH, MAX_VALUES, TOO_DEEP, check_range};
use crate::events::wire::time_text::rfc3339_or_utc;
use crate::{Error, Result};

impl Filter {
    /// Reads the dictionary form.
    ///
    /// Each key is a field, with the value that it must equal, or an object of
    /// one or more of
    /// - `eq`, `ne`: is it, is there and isn't it
    /// - `min`, `max` (both included), `above`, `below` (both not)
    /// - `in`, `not_in`: a list of values
    /// - `regex`, `not_regex`, `contains`, `not_contains`
    /// - `exists`: true or false
    ///
    /// All must hold. Beside fields stand `$all` and `$any` (a list of
    /// dictionaries), `$not` (a dictionary), `$since` and `$until` (a time of
    /// storing). A field whose own name begins with `$` is written with `$$`.
    ///
    /// # Errors
    /// `InvalidArgument` that points at the field (`duration.min`) and says
    /// the rule, see [`validate`](Self::validate); further for anything that
    /// isn't such an object.
    pub fn from_json(dictionary: &Value) -> Result<Self> {
        let filter = read(dictionary, 0)?;
        filter.check_bounds()?;
        filter.check_stored()?;
        Ok(filter)
    }

    /// The dictionary form; [`from_json`](Self::from_json) makes an equal filter of it.
    ///
    /// Of a filter that is wrong, what is right of it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        write_all(&self.all)
    }
}

fn read(dictionary: &Value, depth: usize) -> Result<Filter> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(FILTER, FILTER, TOO_DEEP));
    }
    let Value::Object(fields) = dictionary else {
        return Err(Error::invalid(FILTER, "filter", "must be a JSON object")
            .with_hint(r#"write {"type": "job_failed"}"#));
    };
    let mut filter = Filter::new();
    for (name, condition) in fields {
        if name.starts_with('$') && !name.starts_with("$$") {
            let expr = read_word(name, condition, depth)?;
            // `insert` never makes a conjunction, so this alone may.
            filter.all.extend(expr.into_conjuncts());
            continue;
        }
        let name = name.strip_prefix('$').unwrap_or(name);
        let path = FieldPath::new(name).map_err(|rule| Error::invalid(FILTER, name, rule))?;
        match condition {
            Value::Object(forms) if forms.is_empty() => return Err(unknown_form(name)),
            Value::Object(forms) => {
                for (form, value) in forms {
                    match (form.as_str(), value) {
                        ("exists", Value::Bool(false)) => {
                            let exists = Expr::Test(Test::new(path.clone(), Op::Exists));
                            filter.all.push(Expr::not(exists));
                        }
                        _ => filter.insert(test(&path, form, value)?)?,
                    }
                }
            }
            value => {
                let literal = Literal::new(&path, value)
                    .map_err(|rule| Error::invalid(FILTER, name, rule))?;
                filter.insert(Test::new(path, Op::Equals(literal)))?;
            }
        }
    }
    Ok(filter)
}

fn read_word(name: &str, value: &Value, depth: usize) -> Result<Expr> {
    let members = || {
        let Value::Array(members) = value else {
            return Err(Error::invalid(FILTER, name, "must be a list of dictionaries"));
        };
        members
            .iter()
            .map(|member| Ok(read(member, depth + 1)?.to_expr()))
            .collect::<Result<Vec<_>>>()
    };
    let time = || {
        let text = value.as_str().unwrap_or_default();
        rfc3339_or_utc(text)
            .map(crate::Timestamp::truncated_to_micros)
            .ok_or_else(|| Error::invalid(FILTER, name, "must be an RFC 3339 time"))
    };
    Ok(match name {
        "$all" => Expr::all(members()?),
        "$any" => Expr::any(members()?),
        "$not" => Expr::not(read(value, depth + 1)?.to_expr()),
        "$since" => Expr::Since(time()?),
        "$until" => Expr::Until(time()?),
        _ => {
            return Err(Error::invalid(
                FILTER,
                name,
                "must be `$all`, `$any`, `$not`, `$since` or `$until`",
            )
            .with_hint(format!("write ${name} for a field of that name")));
        }
    })
}

/// A conjunction: in one dictionary where it is read back the same.
fn write_all(members: &[Expr]) -> Value {
    if !is_one_dictionary(members) {
        return json!({"$all": list(members)});
    }
    let mut fields = Map::new();
    for member in members {
        let value = match member {
            Expr::Test(test) => {
                let forms = fields.entry(key(test)).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(forms) = forms {
                    forms.insert(test.kind().to_owned(), test.to_json());
                }
                continue;
            }
            Expr::All(inner) | Expr::Any(inner) => list(inner),
            Expr::Not(inner) => write(inner),
            Expr::Since(time) | Expr::Until(time) => Value::from(*time),
        };
        fields.insert(word(member).to_owned(), value);
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

/// Whether one dictionary says all of it, in this order.
fn is_one_dictionary(members: &[Expr]) -> bool {
    let mut keys: Vec<(String, Vec<&'static str>)> = Vec::new();
    for member in members {
        let (key, kind) = match member {
            Expr::Test(test) => (key(test), test.kind()),
            other => (word(other).to_owned(), ""),
        };
        match keys.iter().position(|(other, _)| *other == key) {
            None => keys.push((key, vec![kind])),
            Some(index) if index + 1 == keys.len() && !keys[index].1.contains(&kind) => {
                keys[index].1.push(kind);
            }
            Some(_) => return false,
        }
    }
    let ordered = |member: &Expr| match member {
        Expr::Test(test) => check_range(members, &test.path).is_ok(),
        _ => true,
    };
    members.iter().all(ordered)
}

/// The key of what is no test.
fn word(expr: &Expr) -> &'static str {
    match expr {
        Expr::All(_) | Expr::Test(_) => "$all",
        Expr::Any(_) => "$any",
        Expr::Not(_) => "$not",
        Expr::Since(_) => "$since",
        Expr::Until(_) => "$until",
    }
}

fn write(expr: &Expr) -> Value {
    match expr {
        Expr::All(members) => write_all(members),
        other => write_all(std::slice::from_ref(other)),
    }
}

fn list(members: &[Expr]) -> Value {
    members.iter().map(write).collect()
}

/// The name of a test's field as a key.
fn key(test: &Test) -> String {
    match test.path.as_str() {
        name if name.starts_with('$') => format!("${name}"),
        name => name.to_owned(),
    }
}

impl Test {
    /// Its key in the dictionary form, by which conditions of a kind replace one another.
    pub(super) fn kind(&self) -> &'static str {
        match (&self.op, self.is_negated) {
            (Op::Equals(_), false) => "eq",
            (Op::Equals(_), true) => "ne",
            (Op::AtLeast(_), _) => "min",
            (Op::AtMost(_), _) => "max",
            (Op::Above(_), _) => "above",
            (Op::Below(_), _) => "below",
            (Op::In(_), false) => "in",
            (Op::In(_), true) => "not_in",
            (Op::Matches(_), false) => "regex",
            (Op::Matches(_), true) => "not_regex",
            (Op::Contains(_), false) => "contains",
            (Op::Contains(_), true) => "not_contains",
            (Op::Exists, _) => "exists",
        }
    }

    fn to_json(&self) -> Value {
        match &self.op {
            Op::Matches(pattern) => Value::from(pattern.source()),
            Op::In(literals) => literals.iter().map(Literal::to_json).collect(),
            Op::Exists => Value::Bool(true),
            Op::Equals(literal)
            | Op::AtLeast(literal)
            | Op::AtMost(literal)
            | Op::Above(literal)
            | Op::Below(literal)
            | Op::Contains(literal) => literal.to_json(),
        }
    }
}

/// One condition by its name in the dictionary form.
pub(super) fn test(path: &FieldPath, form: &str, value: &Value) -> Result<Test> {
    let refused = |rule: String| Error::invalid(FILTER, format!("{path}.{form}"), rule);
    let literal = || Literal::new(path, value).map_err(|rule| refused(rule.to_owned()));
    let of = Type::of(path);
    let ordered = || match literal()? {
        Literal::Bool(_) => Err(refused("must be a number, a time or a string".to_owned())),
        other => Ok(other),
    };
    let cannot = |what: &str| Err(refused(format!("must not be asked of a field that {what}")));
    let literals = || {
        let Value::Array(values) = value else {
            return Err(refused("must be a list of values".to_owned()));
        };
        if !(1..=MAX_VALUES).contains(&values.len()) {
            return Err(refused(format!("must be 1 to {MAX_VALUES} values")));
        }
        let literal = |value| Literal::new(path, value).map_err(|rule| refused(rule.to_owned()));
        values.iter().map(literal).collect::<Result<Vec<_>>>()
    };
    let pattern = || match value {
        Value::String(source) => Pattern::new(source).map_err(refused),
        _ => Err(refused("must be a string".to_owned())),
    };
    let op = match form.strip_prefix("not_").unwrap_or(form) {
        "min" | "max" | "above" | "below" if !of.has_order() => {
            return cannot("is true or false");
        }
        "contains" if !of.has_parts() => return cannot("is neither a text nor a list"),
        "eq" | "ne" => Op::Equals(literal()?),
        "min" => Op::AtLeast(ordered()?),
        "max" => Op::AtMost(ordered()?),
        "above" => Op::Above(ordered()?),
        "below" => Op::Below(ordered()?),
        "in" => Op::In(literals()?),
        "regex" => Op::Matches(pattern()?),
        "contains" => Op::Contains(literal()?),
        "exists" if *value == Value::Bool(true) => Op::Exists,
        "exists" => return Err(refused("must be true or false".to_owned())),
        _ => return Err(unknown_form(&format!("{path}.{form}"))),
    };
    let is_negated = form == "ne" || form.starts_with("not_");
    let test = Test { path: path.clone(), is_negated, op };
    // `not_min` and the like are none.
    if test.kind() == form { Ok(test) } else { Err(unknown_form(&format!("{path}.{form}"))) }
}

fn unknown_form(field: &str) -> Error {
    Error::invalid(
        FILTER,
        field,
        "must be a value, or an object of `min`, `max`, `regex`, `eq`, `ne`, `above`, `below`, \
         `in`, `not_in`, `not_regex`, `contains`, `not_contains`, `exists`",
    )
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
