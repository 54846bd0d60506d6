//! What of a filter can be asked of the values that an index keeps of fields.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Filter;
use super::expr::{Expr, Op, Test};
use super::number::Number;
use super::path::FieldPath;
use super::value::{Literal, Operand};
use crate::events::Event;
use crate::{Error, Result, Timestamp};

/// What a key begins with: the kind of its value.
const TEXT: u8 = b't';
const TIME: u8 = b'z';
const WHOLE: u8 = b'i';
const FLOAT: u8 = b'f';
const BOOL: u8 = b'b';

/// A field whose values an index keeps, each as a key of bytes.
///
/// ```
/// use naq_core::events::{Event, Filter, IndexField, IndexKey};
///
/// let field = IndexField::new("queue")?;
/// let event = Event::job_started("job-1", "worker-1", "emails");
/// let mut key = Vec::new();
/// assert_eq!(field.key(&event, &mut key), IndexKey::Kept);
///
/// let filter = Filter::parse("queue ~ /^em/ and duration > 2s")?;
/// let lookup = filter.lookup(std::slice::from_ref(&field)).expect("it asks for the queue");
/// assert!(lookup.may_pass(&|_, test| test(&key)));
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IndexField {
    path: FieldPath,
}

/// What an event has for the key of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKey {
    /// The field is missing or `null`: no condition on it holds.
    Absent,
    /// The key was written.
    Kept,
    /// A value that has no key: a list, an object, or one of more than
    /// [`MAX_KEY_BYTES`](IndexField::MAX_KEY_BYTES). Any condition may hold.
    Unkept,
}

impl IndexField {
    /// How long a key may be, in bytes.
    pub const MAX_KEY_BYTES: usize = 128;

    /// A field by its name or path, as filters have it.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is empty or longer than 256 bytes.
    pub fn new(path: &str) -> Result<Self> {
        match FieldPath::new(path) {
            Ok(path) => Ok(Self { path }),
            Err(rule) => Err(Error::invalid("index_field", "fields", rule).with("name", path)),
        }
    }

    /// Its name or path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.path.as_str()
    }

    /// Writes the key of an event's value over `key`. Equal values of one kind
    /// have equal keys, but for numbers that are written differently.
    pub fn key(&self, event: &Event, key: &mut Vec<u8>) -> IndexKey {
        key.clear();
        let Some(operand) = self.path.resolve(event) else { return IndexKey::Absent };
        let mut write = |kind: u8, bytes: &[u8]| {
            if bytes.len() >= Self::MAX_KEY_BYTES {
                return IndexKey::Unkept;
            }
            key.push(kind);
            key.extend_from_slice(bytes);
            IndexKey::Kept
        };
        match operand {
            Operand::Text(text) => write(TEXT, text.as_bytes()),
            Operand::CustomText(text) => write(TEXT, text.as_bytes()),
            Operand::Time(time) => write(TIME, &time.as_nanos().to_le_bytes()),
            Operand::Number(Number::Whole(value)) => write(WHOLE, &value.to_le_bytes()),
            Operand::Number(Number::Float(value)) => write(FLOAT, &value.to_le_bytes()),
            Operand::Bool(value) => write(BOOL, &[u8::from(value)]),
            Operand::Compound(_) => IndexKey::Unkept,
        }
    }
}

/// Whether a condition may hold of an event with a key.
type KeyTest<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// Conditions on indexed fields that every event which passes a filter meets.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterLookup {
    /// All of these are met; never empty.
    All(Vec<FilterLookup>),
    /// At least one of these is met; of none, nothing passes.
    Any(Vec<FilterLookup>),
    /// A condition on one field.
    Field(FieldLookup),
}

impl FilterLookup {
    /// Whether an event may pass of which `tests` says for each field, by its
    /// place, whether one of its keys meets a condition.
    #[must_use]
    pub fn may_pass(&self, tests: &dyn Fn(usize, &KeyTest<'_>) -> bool) -> bool {
        match self {
            Self::All(members) => members.iter().all(|member| member.may_pass(tests)),
            Self::Any(members) => members.iter().any(|member| member.may_pass(tests)),
            Self::Field(field) => tests(field.place(), &|key| field.may_hold(key)),
        }
    }

    /// The places of the fields that it looks at, each once.
    #[must_use]
    pub fn places(&self) -> BTreeSet<usize> {
        match self {
            Self::All(members) | Self::Any(members) => {
                members.iter().flat_map(Self::places).collect()
            }
            Self::Field(field) => BTreeSet::from([field.place]),
        }
    }
}

/// One condition, as it is asked of keys.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldLookup {
    place: usize,
    test: Test,
    /// The keys that alone meet it, where that is so.
    exactly: Option<Vec<Vec<u8>>>,
}

impl FieldLookup {
    fn new(place: usize, test: &Test) -> Self {
        let exactly = (!test.is_negated).then(|| exact_keys(&test.op)).flatten();
        Self { place, test: test.clone(), exactly }
    }

    /// The place of its field among those that were given.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.place
    }

    /// The keys that alone meet it, in order, where that is so: an index that
    /// finds a key at once needn't look at the others.
    #[must_use]
    pub fn exactly(&self) -> Option<&[Vec<u8>]> {
        self.exactly.as_deref()
    }

    /// Whether it may hold of an event with this key: it is so of bytes that
    /// are no key, where it isn't about [certain keys](Self::exactly).
    #[must_use]
    pub fn may_hold(&self, key: &[u8]) -> bool {
        if let Some(exactly) = &self.exactly {
            return exactly.iter().any(|exact| exact == key);
        }
        self.operand(key).is_none_or(|operand| self.test.holds_of(&operand))
    }

    fn operand<'a>(&self, key: &'a [u8]) -> Option<Operand<'a>> {
        let (kind, bytes) = key.split_first()?;
        Some(match *kind {
            TEXT => {
                let text = std::str::from_utf8(bytes).ok()?;
                match self.test.path.known() {
                    Some(_) => Operand::Text(Cow::Borrowed(text)),
                    None => Operand::CustomText(text),
                }
            }
            TIME => {
                Operand::Time(Timestamp::from_nanos(i64::from_le_bytes(bytes.try_into().ok()?)))
            }
            WHOLE => Operand::Number(Number::Whole(i128::from_le_bytes(bytes.try_into().ok()?))),
            FLOAT => Operand::Number(Number::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
            BOOL => Operand::Bool(*bytes.first()? != 0),
            _ => return None,
        })
    }
}

/// The keys of the values that are equal to one of these. Of a time there is
/// no telling: a text may be one too, in many forms.
fn exact_keys(op: &Op) -> Option<Vec<Vec<u8>>> {
    let literals = match op {
        Op::Equals(literal) => std::slice::from_ref(literal),
        Op::In(literals) => literals.as_slice(),
        _ => return None,
    };
    let mut keys = Vec::with_capacity(literals.len());
    for literal in literals {
        match literal {
            Literal::Text(text) => keys.push([&[TEXT], text.as_bytes()].concat()),
            Literal::Bool(value) => keys.push(vec![BOOL, u8::from(*value)]),
            Literal::Number(number) => keys.extend(number_keys(*number)),
            Literal::Time(..) => return None,
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Some(keys)
}

/// The keys of a number in all forms in which JSON has it: 0, 0.0 and -0.0 are equal.
fn number_keys(number: Number) -> Vec<Vec<u8>> {
    // Both casts saturate or round; what they change isn't equal, and is left out.
    let (whole, float) = match number {
        Number::Whole(value) => (value, value as f64),
        Number::Float(value) => (value as i128, value),
    };
    let whole = Number::Whole(whole);
    [whole, Number::Float(float), Number::Float(-float)]
        .into_iter()
        .filter(|same| *same == number)
        .map(|same| match same {
            Number::Whole(value) => [&[WHOLE], &value.to_le_bytes()[..]].concat(),
            Number::Float(value) => [&[FLOAT], &value.to_le_bytes()[..]].concat(),
        })
        .collect()
}

impl Filter {
    /// What an index of these fields knows of the events that can pass;
    /// `None` where it knows nothing.
    ///
    /// Every event that passes meets it; one that meets it has still to be
    /// [checked](Self::matches_recorded).
    #[must_use]
    pub fn lookup(&self, fields: &[IndexField]) -> Option<FilterLookup> {
        all(&self.all, fields)
    }
}

fn lookup(expr: &Expr, fields: &[IndexField]) -> Option<FilterLookup> {
    match expr {
        Expr::All(members) => all(members, fields),
        Expr::Any(members) => members
            .iter()
            .map(|member| lookup(member, fields))
            .collect::<Option<_>>()
            .map(FilterLookup::Any),
        Expr::Test(test) => {
            let place = fields.iter().position(|field| field.path == test.path)?;
            Some(FilterLookup::Field(FieldLookup::new(place, test)))
        }
        Expr::Not(_) | Expr::Since(_) | Expr::Until(_) => None,
    }
}

fn all(members: &[Expr], fields: &[IndexField]) -> Option<FilterLookup> {
    let known: Vec<_> = members.iter().filter_map(|member| lookup(member, fields)).collect();
    (!known.is_empty()).then_some(FilterLookup::All(known))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Number as Json, Value};

    use super::*;

    fn number() -> impl Strategy<Value = Value> {
        let edge = prop_oneof![Just(0.0), Just(-0.0), Just(1e300), Just(9_007_199_254_740_992.0)];
        let float = prop_oneof![edge, -3.0..3.0, (-3..3_i8).prop_map(f64::from)];
        prop_oneof![
            (-3..3_i64).prop_map(Value::from),
            prop_oneof![Just(u64::MAX), Just(1 << 53), Just((1 << 53) + 1)].prop_map(Value::from),
            float.prop_map(|value| Json::from_f64(value).map_or(Value::Null, Value::Number)),
            any::<bool>().prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn the_keys_of_a_number_are_those_of_all_that_are_equal(asked in number(), has in number()) {
            let field = IndexField::new("n").unwrap();
            let event = Event::new("x").with_field("n", has);
            let filter = Filter::new().field("n").equals(asked);
            let Some(FilterLookup::All(all)) = filter.lookup(std::slice::from_ref(&field)) else {
                panic!("it asks for the field")
            };
            let [FilterLookup::Field(lookup)] = all.as_slice() else { panic!("by one condition") };
            let mut key = Vec::new();
            prop_assert_eq!(field.key(&event, &mut key), IndexKey::Kept);
            let is_told = lookup.exactly().unwrap().contains(&key);
            prop_assert_eq!(is_told, filter.matches(&event));
        }
    }
}
