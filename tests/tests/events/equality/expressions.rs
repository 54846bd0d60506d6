//! Random filters: the same as text and as code.

use naq_core::Timestamp;
use naq_core::events::{Event, MadeFrom};

use super::cases::Case;
use super::log::{KINDS, at};

/// A condition or an expression: its text, what it says, and whether digests can tell it.
struct Expression {
    text: String,
    passes: Box<dyn Fn(&Event) -> bool + Send + Sync>,
    is_about_cells: bool,
}

/// A filter of a few conditions, about what digests tell or about anything, on
/// a log of so many milliseconds.
pub(super) fn some(random: &mut fastrand::Rng, span: i64) -> Case {
    let is_about_cells = random.bool();
    let Expression { text, passes, is_about_cells } = expression(random, 3, (is_about_cells, span));
    let source = is_about_cells.then_some(MadeFrom::Digests);
    Case { text: text.into(), passes, source }
}

fn expression(random: &mut fastrand::Rng, depth: u8, of: (bool, i64)) -> Expression {
    if depth == 0 || random.u8(..4) == 0 {
        return if of.0 || random.u8(..3) == 0 {
            condition_of_cells(random)
        } else {
            condition(random, of.1)
        };
    }
    let one = expression(random, depth - 1, of);
    if random.u8(..5) == 0 {
        let passes = one.passes;
        let text = format!("not ({})", one.text);
        return Expression { text, passes: Box::new(move |it| !passes(it)), ..one };
    }
    let other = expression(random, depth - 1, of);
    let is_about_cells = one.is_about_cells && other.is_about_cells;
    let (a, b) = (one.passes, other.passes);
    match random.bool() {
        true => Expression {
            text: format!("({}) and ({})", one.text, other.text),
            passes: Box::new(move |it| a(it) && b(it)),
            is_about_cells,
        },
        false => Expression {
            text: format!("({}) or ({})", one.text, other.text),
            passes: Box::new(move |it| a(it) || b(it)),
            is_about_cells,
        },
    }
}

/// A field of texts, and what an event has in it.
type Texts = (&'static str, fn(&Event) -> Option<&str>);

/// Whether something is so of a text.
type Holds = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What is asked of a text, where there is one.
fn text(
    random: &mut fastrand::Rng,
    (field, value): Texts,
    values: &[String],
    is_about_cells: bool,
) -> Expression {
    let mut one = || random.choice(values).cloned().unwrap();
    let (first, second) = (one(), one());
    let part = first.get(1..).unwrap_or_default().to_owned();
    let (text, holds): (String, Holds) = match random.u8(..9) {
        0 | 1 => (format!("{field} = {first}"), Box::new(move |it| it == first)),
        2 => (format!("{field} != {first}"), Box::new(move |it| it != first)),
        3 => (
            format!("{field} in ({first}, {second})"),
            Box::new(move |it| it == first || it == second),
        ),
        4 => (
            format!("{field} not in ({first}, {second})"),
            Box::new(move |it| it != first && it != second),
        ),
        5 => (format!("exists {field}"), Box::new(|_| true)),
        6 => (format!("{field} ~ /^{first}$/i"), Box::new(move |it| it == first)),
        7 => (format!("{field} contains {part}"), Box::new(move |it| it.contains(&part))),
        _ => (format!("{field} !~ {second}"), Box::new(move |it| !it.contains(&second))),
    };
    let passes = Box::new(move |event: &Event| value(event).is_some_and(&holds));
    Expression { text, passes, is_about_cells }
}

fn condition_of_cells(random: &mut fastrand::Rng) -> Expression {
    let named = |name: &str| (0..6).map(|n| format!("{name}-{n}")).collect::<Vec<_>>();
    match random.u8(..7) {
        0 | 1 => {
            let kinds = KINDS.map(str::to_owned);
            text(random, ("type", |it| Some(it.event_type.as_str())), &kinds, true)
        }
        2 | 3 => text(random, ("queue", |it| it.queue.as_deref()), &named("queue"), true),
        4 | 5 => text(random, ("job_name", |it| it.job_name.as_deref()), &named("name"), true),
        _ => {
            let success = random.bool();
            let text = format!("success = {success}");
            let passes = Box::new(move |it: &Event| it.success == Some(success));
            Expression { text, passes, is_about_cells: true }
        }
    }
}

fn condition(random: &mut fastrand::Rng, span: i64) -> Expression {
    match random.u8(..8) {
        0..=2 => {
            let workers: Vec<_> = (0..6).map(|n| format!("w{n}")).collect();
            text(random, ("worker_id", |it| it.worker_id.as_deref()), &workers, false)
        }
        3 => {
            let types = ["IoError".to_owned(), "OtherError".to_owned()];
            text(random, ("error_type", |it| it.error_type.as_deref()), &types, false)
        }
        4 => {
            let jobs: Vec<_> = (0..9).map(|n| format!("job-{n}")).collect();
            text(random, ("job_id", |it| it.job_id.as_deref()), &jobs, false)
        }
        5 => {
            let words = ["timeout", "route", "row"].map(str::to_owned);
            text(random, ("error", |it| it.error.as_deref()), &words, false)
        }
        6 => {
            let seconds = random.u8(..120);
            let text = format!("duration > {seconds}s");
            let seconds = f64::from(seconds);
            let passes = Box::new(move |it: &Event| it.duration.is_some_and(|it| it > seconds));
            Expression { text, passes, is_about_cells: false }
        }
        _ => {
            let nanos = at(0).as_nanos() + random.i64(-60_000..span + 60_000) * 1_000_000;
            let from = Timestamp::from_nanos(nanos);
            let passes = Box::new(move |it: &Event| it.timestamp.is_some_and(|at| at >= from));
            Expression { text: format!("timestamp >= {from}"), passes, is_about_cells: false }
        }
    }
}
