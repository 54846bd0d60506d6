//! How one value of the configuration is read, whatever it came from.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Size, format_duration, parse_duration};
use crate::jetstream::Storage;
use crate::secret::Secret;

/// A type that a configuration key can have.
///
/// A value comes from a file, with a type of its own, or from an environment
/// variable, as text; each implementation reads both.
pub(crate) trait Setting: Sized {
    /// What the reference calls values of this type, with their unit.
    const KIND: &'static str;

    /// Reads a value, or says which rule it breaks.
    fn read(value: &Value) -> Result<Self, String>;

    /// The value as a file would have it, for the reference.
    fn show(&self) -> String;
}

/// A type whose values can be held against a range; an absent option is in any range.
pub(crate) trait Ranged<B> {
    fn within(&self, range: &RangeInclusive<B>) -> bool;
}

macro_rules! ranged {
    ($($ty:ty),*) => {$(
        impl Ranged<$ty> for $ty {
            fn within(&self, range: &RangeInclusive<$ty>) -> bool {
                range.contains(self)
            }
        }

        impl Ranged<$ty> for Option<$ty> {
            fn within(&self, range: &RangeInclusive<$ty>) -> bool {
                self.as_ref().is_none_or(|value| range.contains(value))
            }
        }
    )*};
}

ranged!(u32, u64, usize, Duration, Size);

macro_rules! whole_number {
    ($($ty:ty),*) => {$(
        impl Setting for $ty {
            const KIND: &'static str = "whole number";

            fn read(value: &Value) -> Result<Self, String> {
                let number = match value {
                    Value::Number(number) => number.as_u64(),
                    // `1_000_000` is how TOML lets one write it, so text may too.
                    Value::String(text) => text.trim().replace('_', "").parse().ok(),
                    _ => None,
                };
                number
                    .and_then(|number| Self::try_from(number).ok())
                    .ok_or_else(|| format!("must be a whole number from 0 to {}", Self::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_number!(u32, u64, usize);

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err("must be true or false".to_owned()),
            },
            _ => Err("must be true or false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(value: &Value) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| "must be text".to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) if !text.is_empty() => Ok(Self::from(text)),
            _ => Err("must be the path of a file or folder".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for Secret {
    const KIND: &'static str = "secret text";

    fn read(value: &Value) -> Result<Self, String> {
        value.as_str().map(Self::from).ok_or_else(|| "must be text".to_owned())
    }

    fn show(&self) -> String {
        "***".to_owned()
    }
}

impl Setting for Duration {
    const KIND: &'static str = "duration";

    fn read(value: &Value) -> Result<Self, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(seconds) => seconds.to_string(),
            _ => String::new(),
        };
        parse_duration(&text).map_err(|error| error.message().to_owned())
    }

    fn show(&self) -> String {
        format_duration(*self)
    }
}

impl Setting for Size {
    const KIND: &'static str = "size";

    fn read(value: &Value) -> Result<Self, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(bytes) => bytes.to_string(),
            _ => String::new(),
        };
        text.parse().map_err(|error: crate::Error| error.message().to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Vec<String> {
    const KIND: &'static str = "list";

    fn read(value: &Value) -> Result<Self, String> {
        let rule = || "must be a list of texts".to_owned();
        match value {
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(rule)).collect()
            }
            Value::String(text) => Ok(text
                .split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect()),
            _ => Err(rule()),
        }
    }

    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(|item| format!("\"{item}\"")).collect();
        format!("[{}]", items.join(", "))
    }
}

/// `"none"` stands for the absent value, so that a variable can undo what a file sets.
impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) if text == "none" => Ok(None),
            value => T::read(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::show)
    }
}

/// A choice among words: the enum, its [`Setting`], its serde form and its `Display`.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident = $kind:literal {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $word)] $variant ),+
        }

        impl $name {
            /// The word that stands for it in files and variables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl crate::config::setting::Setting for $name {
            const KIND: &'static str = $kind;

            fn read(value: &serde_json::Value) -> Result<Self, String> {
                match value.as_str() {
                    $( Some($word) => Ok(Self::$variant), )+
                    _ => Err(format!("must be {}", $kind)),
                }
            }

            fn show(&self) -> String {
                format!("\"{self}\"")
            }
        }
    };
}

pub(crate) use choice;

impl Setting for Storage {
    const KIND: &'static str = "`file` or `memory`";

    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("file") => Ok(Self::File),
            Some("memory") => Ok(Self::Memory),
            _ => Err("must be `file` or `memory`".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::File => "\"file\"".to_owned(),
            Self::Memory => "\"memory\"".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_text_are_read_alike() {
        assert_eq!(Duration::read(&json!("50ms")), Ok(Duration::from_millis(50)));
        assert_eq!(Duration::read(&json!(0.05)), Ok(Duration::from_millis(50)));
        assert_eq!(Size::read(&json!("1KiB")), Ok(Size::from_bytes(1024)));
        assert_eq!(Size::read(&json!(1024)), Ok(Size::from_bytes(1024)));
        assert_eq!(u64::read(&json!("1_000")), Ok(1_000));
        assert_eq!(u32::read(&json!(7)), Ok(7));
        assert_eq!(bool::read(&json!("on")), Ok(true));
        assert_eq!(Vec::read(&json!("a, b,")), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn what_breaks_the_rule_is_refused_with_the_rule() {
        assert!(u32::read(&json!(u64::MAX)).unwrap_err().contains("4294967295"));
        assert!(u64::read(&json!(-1)).is_err());
        assert!(Duration::read(&json!(["5s"])).unwrap_err().contains("duration"));
        assert!(bool::read(&json!("maybe")).is_err());
    }

    #[test]
    fn none_undoes_an_option() {
        assert_eq!(Option::<Duration>::read(&json!("none")), Ok(None));
        assert!(Ranged::<u32>::within(&None::<u32>, &(1..=2)));
        assert!(!Ranged::<u32>::within(&Some(3_u32), &(1..=2)));
    }
}
