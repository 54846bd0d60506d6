//! Numbers, and numbers with units: `2.5`, `500ms`, `1h30m`, `64KiB`.

use serde_json::{Number, Value};
use winnow::Result;
use winnow::combinator::opt;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::{one_of, take_while};

use super::fault::Fault;
use super::lexer::{Chars, Kind};

/// A number with a unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity {
    /// In seconds, or in bytes.
    pub(super) value: Value,
    pub(super) measure: Measure,
}

/// What a quantity is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// In seconds.
    Duration,
    /// In bytes.
    Size,
}

/// A unit as ten to a power, or as so many of the measure.
#[derive(Debug, Clone, Copy)]
enum Factor {
    Exponent(i32),
    Times(f64),
}

const UNITS: &str = "a unit (ns, us, ms, s, m, h, d, w; B, kB, KiB, MB, MiB, GB, GiB, TB, TiB)";

fn unit(name: &str) -> Option<(Measure, Factor)> {
    let duration = |factor| Some((Measure::Duration, factor));
    match name {
        "ns" => return duration(Factor::Exponent(-9)),
        "us" | "µs" | "μs" => return duration(Factor::Exponent(-6)),
        "ms" => return duration(Factor::Exponent(-3)),
        "s" => return duration(Factor::Exponent(0)),
        "m" => return duration(Factor::Times(60.0)),
        "h" => return duration(Factor::Times(3_600.0)),
        "d" => return duration(Factor::Times(86_400.0)),
        "w" => return duration(Factor::Times(604_800.0)),
        _ => {}
    }
    let factor = match name.to_ascii_lowercase().as_str() {
        "b" => Factor::Exponent(0),
        "kb" => Factor::Exponent(3),
        "mb" => Factor::Exponent(6),
        "gb" => Factor::Exponent(9),
        "tb" => Factor::Exponent(12),
        "kib" => Factor::Times(1_024.0),
        "mib" => Factor::Times(1_048_576.0),
        "gib" => Factor::Times(1_073_741_824.0),
        "tib" => Factor::Times(1_099_511_627_776.0),
        _ => return None,
    };
    Some((Measure::Size, factor))
}

/// A number, with a unit behind it or several of time.
pub(super) fn quantity(input: &mut Chars<'_>) -> Result<Kind, Fault> {
    let start = input.current_token_start();
    let text = number(input)?;
    let Some((measure, factor)) = opt_unit(input)? else {
        return value(text, Factor::Exponent(0), start).map(|value| Kind::Number(value.into()));
    };
    // The sign stands before the whole of it.
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let mut sum = value(text, factor, start)?;
    while measure == Measure::Duration && peeks_digit(input) {
        let at = input.current_token_start();
        let text = number(input)?;
        let Some((Measure::Duration, factor)) = opt_unit(input)? else {
            return Err(Fault::expected(at, "a duration such as 1h30m", Some(text)));
        };
        let part = value(text, factor, at)?.as_f64().unwrap_or_default();
        let total = sum.as_f64().unwrap_or_default();
        sum = whole_or_double(total + sign * part, start)?;
    }
    Ok(Kind::Quantity(Quantity { value: sum.into(), measure }))
}

fn peeks_digit(input: &Chars<'_>) -> bool {
    input.as_ref().starts_with(|c: char| c.is_ascii_digit())
}

fn digits<'t>(input: &mut Chars<'t>) -> Result<&'t str, Fault> {
    take_while(1.., |c: char| c.is_ascii_digit()).parse_next(input)
}

/// A number as JSON writes it.
fn number<'t>(input: &mut Chars<'t>) -> Result<&'t str, Fault> {
    let start = input.current_token_start();
    let fraction = opt(('.', digits));
    let exponent = opt((one_of(['e', 'E']), opt(one_of(['+', '-'])), digits));
    (opt('-'), digits, fraction, exponent)
        .take()
        .parse_next(input)
        .map_err(|_| Fault::expected(start, "a number", Some("-")))
}

fn opt_unit(input: &mut Chars<'_>) -> Result<Option<(Measure, Factor)>, Fault> {
    let at = input.current_token_start();
    let name: &str = take_while(0.., |c: char| c.is_alphabetic() || c == '_').parse_next(input)?;
    match unit(name) {
        None if name.is_empty() => Ok(None),
        None => Err(Fault::expected(at, format!("{UNITS}, or quotes around a text"), Some(name))),
        unit => Ok(unit),
    }
}

/// The number in its unit; exact wherever a whole number or a double is.
fn value(text: &str, factor: Factor, at: usize) -> Result<Number, Fault> {
    let double = |text: &str| text.parse::<f64>().unwrap_or(f64::INFINITY);
    match factor {
        Factor::Exponent(0) => {
            if let Ok(whole) = text.parse::<i64>() {
                return Ok(whole.into());
            }
            if let Ok(whole) = text.parse::<u64>() {
                return Ok(whole.into());
            }
            finite(double(text), at)
        }
        // Read as one decimal number, it is rounded once.
        Factor::Exponent(exponent) if !text.contains(['e', 'E']) => {
            whole_or_double(double(&format!("{text}e{exponent}")), at)
        }
        Factor::Exponent(exponent) => whole_or_double(double(text) * 10_f64.powi(exponent), at),
        Factor::Times(times) => whole_or_double(double(text) * times, at),
    }
}

/// A double that is a whole number as one, so that it is written as one.
fn whole_or_double(value: f64, at: usize) -> Result<Number, Fault> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Ok((value as i64).into());
    }
    finite(value, at)
}

fn finite(value: f64, at: usize) -> Result<Number, Fault> {
    Number::from_f64(value).ok_or_else(|| Fault::rule(at, "a number is at most 1.7e308"))
}
