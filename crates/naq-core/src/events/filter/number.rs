//! Numbers that compare exactly, whole or not.

use std::cmp::Ordering;

/// A JSON number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    // Every whole number that JSON holds here is an i64 or a u64.
    Whole(i128),
    Float(f64),
}

impl Number {
    /// The order of two numbers; none where one is not a number.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Whole(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Whole(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }

    pub(super) fn to_json(self) -> serde_json::Value {
        match self {
            Self::Whole(value) => match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => value.into(),
                (_, Ok(value)) => value.into(),
                // No whole number comes from anything else.
                _ => serde_json::Value::Null,
            },
            Self::Float(value) => value.into(),
        }
    }
}

/// Doubles above 2^53 skip whole numbers: turning the whole number into a
/// double would make unequal ones equal.
fn compare_mixed(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // The cast saturates, and no whole number here reaches the ends of i128.
    let floor = float.floor();
    Some(whole.cmp(&(floor as i128)).then(if floor < float {
        Ordering::Less
    } else {
        Ordering::Equal
    }))
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Some(Ordering::Equal)
    }
}

impl From<&serde_json::Number> for Number {
    fn from(number: &serde_json::Number) -> Self {
        if let Some(value) = number.as_i64() {
            return Self::Whole(value.into());
        }
        if let Some(value) = number.as_u64() {
            return Self::Whole(value.into());
        }
        Self::Float(number.as_f64().unwrap_or(f64::NAN))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(a: impl Into<serde_json::Value>, b: impl Into<serde_json::Value>) -> Option<Ordering> {
        let number = |value: serde_json::Value| match value {
            serde_json::Value::Number(number) => Number::from(&number),
            _ => Number::Float(f64::NAN),
        };
        number(a.into()).compare(number(b.into()))
    }

    #[test]
    fn whole_numbers_and_doubles_compare_exactly() {
        assert_eq!(order(1, 1.0), Some(Ordering::Equal));
        assert_eq!(order(-1, -0.5), Some(Ordering::Less));
        assert_eq!(order(-0.5, -1), Some(Ordering::Greater));
        assert_eq!(order(2, 2.5), Some(Ordering::Less));
        assert_eq!(order(u64::MAX, i64::MIN), Some(Ordering::Greater));
        assert_eq!(
            order(9_007_199_254_740_993_u64, 9_007_199_254_740_992.0),
            Some(Ordering::Greater)
        );
        assert_eq!(order(u64::MAX, 1e300), Some(Ordering::Less));
        assert_eq!(order(i64::MIN, -1e300), Some(Ordering::Greater));
        assert_eq!(order(1, f64::NAN), None);
    }
}
