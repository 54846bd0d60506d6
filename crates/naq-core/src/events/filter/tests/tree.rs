//! Filters said once more, as plainly as possible and as slowly as need be: a
//! tree that is written in each of the three forms, and a naive evaluation of
//! it on the event's JSON.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

#[derive(Debug, Clone)]
pub(super) enum Tree {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Since(Timestamp),
    Until(Timestamp),
    Test { path: &'static str, form: &'static str, value: Value },
}

const TEXTS: [&str; 4] = ["type", "job_id", "worker_id", "queue"];
const PATHS: [&str; 13] = [
    "type",
    "type",
    "job_id",
    "worker_id",
    "queue",
    "attempt",
    "duration",
    "success",
    "c",
    "o.a",
    "o.b.c",
    "odd name",
    "timestamp",
];

impl Tree {
    pub(super) fn text(&self) -> String {
        let joined = |members: &[Self], with: &str| {
            let members: Vec<_> = members.iter().map(|tree| format!("({})", tree.text())).collect();
            members.join(with)
        };
        match self {
            Self::All(members) if members.is_empty() => "true".to_owned(),
            Self::Any(members) if members.is_empty() => "false".to_owned(),
            Self::All(members) => joined(members, " and "),
            Self::Any(members) => joined(members, "\n OR "),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::Since(time) => format!("since {time}"),
            Self::Until(time) => format!("until '{time}'"),
            Self::Test { path, form, value } => {
                let path =
                    if path.contains(' ') { format!("'{path}'") } else { (*path).to_owned() };
                let list = || {
                    let values: Vec<_> =
                        value.as_array().unwrap().iter().map(Value::to_string).collect();
                    values.join(",")
                };
                match *form {
                    "eq" => format!("{path}={value}"),
                    "ne" => format!("{path} != {value}"),
                    "min" => format!("{path} >= {value}"),
                    "max" => format!("{path} <= {value}"),
                    "above" => format!("{path}>{value}"),
                    "below" => format!("{path} < {value}"),
                    "in" => format!("{path} in({})", list()),
                    "not_in" => format!("{path} not in ({})", list()),
                    "regex" => format!("{path} ~ {value}"),
                    "not_regex" => format!("{path} !~ {value}"),
                    "contains" => format!("{path} contains {value}"),
                    "not_contains" => format!("{path} not contains {value}"),
                    _ => format!("exists {path}"),
                }
            }
        }
    }

    pub(super) fn dictionary(&self) -> Value {
        let all = |members: &[Self]| members.iter().map(Self::dictionary).collect::<Value>();
        match self {
            Self::All(members) => json!({"$all": all(members)}),
            Self::Any(members) => json!({"$any": all(members)}),
            Self::Not(inner) => json!({"$not": inner.dictionary()}),
            Self::Since(time) => json!({"$since": time}),
            Self::Until(time) => json!({"$until": time}),
            Self::Test { path, form, value } => json!({*path: {*form: value}}),
        }
    }

    pub(super) fn built(&self) -> Filter {
        match self {
            Self::All(members) => members.iter().map(Self::built).fold(Filter::new(), Filter::and),
            Self::Any(members) => {
                let never = Filter::new().negated();
                members.iter().map(Self::built).fold(never, Filter::or)
            }
            Self::Not(inner) => inner.built().negated(),
            Self::Since(time) => Filter::new().stored_since(*time),
            Self::Until(time) => Filter::new().stored_until(*time),
            Self::Test { path, form, value } => {
                let field = Filter::new().field(*path);
                let values = || value.as_array().unwrap().clone();
                match *form {
                    "eq" => field.equals(value.clone()),
                    "ne" => field.not_equals(value.clone()),
                    "min" => field.at_least(value.clone()),
                    "max" => field.at_most(value.clone()),
                    "above" => field.above(value.clone()),
                    "below" => field.below(value.clone()),
                    "in" => field.one_of(values()),
                    "not_in" => field.none_of(values()),
                    "regex" => field.matches(value.as_str().unwrap()),
                    "not_regex" => field.not_matches(value.as_str().unwrap()),
                    "contains" => field.contains(value.clone()),
                    "not_contains" => field.not_contains(value.clone()),
                    _ => field.exists(),
                }
            }
        }
    }

    pub(super) fn matches(&self, event: &Value, stored_at: Timestamp) -> bool {
        match self {
            Self::All(members) => members.iter().all(|tree| tree.matches(event, stored_at)),
            Self::Any(members) => members.iter().any(|tree| tree.matches(event, stored_at)),
            Self::Not(inner) => !inner.matches(event, stored_at),
            Self::Since(time) => stored_at >= *time,
            Self::Until(time) => stored_at < *time,
            Self::Test { path, form, value } => {
                let Some(found) = find(event, path).filter(|found| !found.is_null()) else {
                    return false;
                };
                let (form, negated) = match form.strip_prefix("not_") {
                    Some(form) => (form, true),
                    None if *form == "ne" => ("eq", true),
                    None => (*form, false),
                };
                holds(path, found, form, value) != negated
            }
        }
    }
}

fn holds(path: &str, found: &Value, form: &str, wanted: &Value) -> bool {
    let compared = |wanted| order(path, found, wanted);
    match form {
        "eq" => compared(wanted) == Some(0),
        "min" => compared(wanted).is_some_and(|order| order >= 0),
        "max" => compared(wanted).is_some_and(|order| order <= 0),
        "above" => compared(wanted).is_some_and(|order| order > 0),
        "below" => compared(wanted).is_some_and(|order| order < 0),
        "in" => wanted.as_array().unwrap().iter().any(|wanted| compared(wanted) == Some(0)),
        "regex" => {
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            regex::Regex::new(wanted.as_str().unwrap()).unwrap().is_match(&text)
        }
        "contains" => match found {
            Value::String(text) => wanted.as_str().is_some_and(|part| text.contains(part)),
            Value::Array(values) => {
                values.iter().any(|value| order(path, value, wanted) == Some(0))
            }
            _ => false,
        },
        _ => true,
    }
}

fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    value.get(path).or_else(|| {
        let (head, rest) = path.split_once('.')?;
        find(value.get(head)?, rest)
    })
}

fn order(path: &str, a: &Value, b: &Value) -> Option<i8> {
    let as_i8 = |order: std::cmp::Ordering| order as i8;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()).map(as_i8)
        }
        (Value::Bool(a), Value::Bool(b)) => Some(as_i8(a.cmp(b))),
        (Value::String(a), Value::String(b)) => {
            let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
            let times = if TEXTS.contains(&path) { (None, None) } else { (time(a), time(b)) };
            match times {
                (Some(a), Some(b)) => Some(as_i8(a.cmp(&b))),
                (None, None) => Some(as_i8(a.cmp(b))),
                _ => None,
            }
        }
        _ => None,
    }
}

fn time() -> impl Strategy<Value = &'static str> {
    select(&["2026-11-24T12:00:00Z", "2026-11-24T13:00:00+01:00", "2026-11-24T12:30:00.5Z"][..])
}

pub(super) fn instant() -> impl Strategy<Value = Timestamp> {
    time().prop_map(|text| text.parse().unwrap())
}

fn number() -> BoxedStrategy<Value> {
    prop_oneof![
        (-3_i64..4).prop_map(Value::from),
        (-3_i32..4).prop_map(|n| Value::from(f64::from(n) / 2.0)),
    ]
    .boxed()
}

fn word() -> BoxedStrategy<Value> {
    prop_oneof![4 => "[ab]{1,2}", 1 => "[\\PC\n\"'/\\\\]{0,3}"].prop_map(Value::from).boxed()
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![number(), any::<bool>().prop_map(Value::from), word(), time().prop_map(Value::from)]
        .boxed()
}

/// A value that the language takes for a field.
fn fitting(path: &str) -> BoxedStrategy<Value> {
    match path {
        "attempt" | "duration" => number(),
        "success" => any::<bool>().prop_map(Value::from).boxed(),
        "timestamp" => time().prop_map(Value::from).boxed(),
        path if TEXTS.contains(&path) => word(),
        _ => scalar(),
    }
}

fn test() -> impl Strategy<Value = Tree> {
    let pattern = select(&["a", "^[ab]$", "1", "true", "T12", "(?i)A/\"", "\\/", "(?sx)a b"][..]);
    select(&PATHS[..]).prop_flat_map(move |path| {
        let one = || fitting(path);
        let ordered = || fitting(path).prop_filter("has an order", |value| !value.is_boolean());
        let forms = |forms: &'static [&'static str], value: BoxedStrategy<Value>| {
            (select(forms), value).boxed()
        };
        let list = proptest::collection::vec(one(), 1..4).prop_map(Value::from).boxed();
        let mut choices = vec![
            forms(&["eq", "eq", "ne"], one()),
            forms(&["in", "in", "not_in"], list),
            forms(&["regex", "not_regex"], pattern.clone().prop_map(Value::from).boxed()),
            forms(&["exists"], Just(Value::Bool(true)).boxed()),
        ];
        if path != "success" {
            choices.push(forms(&["min", "max", "above", "below"], ordered().boxed()));
        }
        if !matches!(path, "attempt" | "duration" | "success" | "timestamp") {
            choices.push(forms(&["contains", "not_contains"], one()));
        }
        proptest::strategy::Union::new(choices).prop_map(move |(form, value)| Tree::Test {
            path,
            form,
            value,
        })
    })
}

/// A condition whose value need not fit its field. A text field takes a number
/// in the language alone, where it stands for its digits.
pub(super) fn odd_test() -> impl Strategy<Value = Tree> {
    let one = (select(&PATHS[..]), scalar())
        .prop_filter("is no number for a text", |(path, value)| {
            !(value.is_number() && TEXTS.contains(path))
        });
    let forms = ["eq", "ne", "min", "max", "above", "below", "in", "contains", "not_contains"];
    (one, select(forms.to_vec())).prop_map(|((path, value), form)| {
        let value = if form == "in" { Value::from(vec![value]) } else { value };
        Tree::Test { path, form, value }
    })
}

pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        12 => test(),
        1 => instant().prop_map(Tree::Since),
        1 => instant().prop_map(Tree::Until),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let members = || proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            members().prop_map(Tree::All),
            members().prop_map(Tree::Any),
            inner.clone().prop_map(|inner| Tree::Not(Box::new(inner))),
        ]
    })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let text = || proptest::option::of("[ab]{1,2}|2026-11-24T12:00:00Z");
    let custom = || {
        let list = proptest::collection::vec(scalar(), 0..3).prop_map(Value::from);
        proptest::option::of(prop_oneof![4 => scalar(), 1 => Just(Value::Null), 1 => list])
    };
    let known = (
        text(),
        text(),
        text(),
        proptest::option::of(0_u32..4),
        proptest::option::of(0_u32..7),
        proptest::option::of(any::<bool>()),
        proptest::option::of(instant()),
    );
    ("[ab]{1,2}", known, (custom(), custom(), custom(), custom(), custom())).prop_map(
        |(event_type, known, (c, a, deep, dotted, odd))| {
            let (job, worker, queue, attempt, halves, success, timestamp) = known;
            let mut event = Event::new(event_type);
            event.job_id = job.map(Into::into);
            event.worker_id = worker.map(Into::into);
            event.queue = queue.map(Into::into);
            event.attempt = attempt;
            event.duration = halves.map(|halves| f64::from(halves) / 2.0);
            event.success = success;
            event.timestamp = timestamp;
            let mut inner = json!({"a": a, "b": {"c": deep}});
            if let Some(dotted) = dotted {
                inner["b.c"] = dotted;
            }
            for (name, value) in [("c", c), ("odd name", odd), ("o", Some(inner))] {
                if let Some(value) = value {
                    event.custom.insert(name.to_owned(), value);
                }
            }
            event
        },
    )
}
