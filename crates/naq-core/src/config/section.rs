//! A section of the configuration: its keys, their defaults, ranges and words, said once.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{ConfigProblem, KeyDoc};

/// What the macro [`section!`] gives a struct. Keys are relative to the section.
pub(super) trait Section: Default {
    /// Sets one key from a value; `None` when there is no such key.
    fn set(&mut self, key: &str, value: &Value) -> Option<Vec<ConfigProblem>>;

    /// What is out of range or contradicts itself.
    fn problems(&self) -> Vec<ConfigProblem>;

    /// Every key, in the order of the struct.
    fn keys() -> Vec<KeyDoc>;

    /// Sets every key of a table, and names those that don't exist or don't fit.
    fn set_all(&mut self, table: &Value) -> Vec<ConfigProblem> {
        let Value::Object(table) = table else {
            return vec![ConfigProblem::new("", "must be a table of keys")];
        };
        table
            .iter()
            .flat_map(|(key, value)| {
                self.set(key, value).unwrap_or_else(|| vec![unknown::<Self>(key)])
            })
            .collect()
    }
}

fn unknown<S: Section>(key: &str) -> ConfigProblem {
    let keys = S::keys();
    // `servers.<name>.url` is one level further in: here its name is `servers`.
    let known = keys.iter().filter_map(|doc| doc.key.split('.').next());
    ConfigProblem::unknown(key, known)
}

/// For serde: every problem of the table in one error.
pub(super) fn deserialize<'de, S: Section, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<S, D::Error> {
    let table = Value::deserialize(deserializer)?;
    let mut section = S::default();
    let mut problems = section.set_all(&table);
    problems.extend(section.problems());
    if problems.is_empty() {
        Ok(section)
    } else {
        Err(D::Error::custom(ConfigProblem::join(&problems)))
    }
}

/// Declares a section: a struct whose doc comments, defaults and ranges are
/// also what the reference, the parser and the validation know.
///
/// A field is `name (setter): Type = default, low..=high;`, the range optional. Its type may be
/// another section, whose keys are then one level further in.
/// `..name (setter): Other = "doc";` as the last field takes in the keys of another section, and
/// `check = function` adds rules that involve several fields.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident ($setter:ident) : $ty:ty = $default:expr $(, $range:expr)? ;
            )*
            $( .. $inner:ident ($inner_setter:ident) : $inner_ty:ty = $inner_help:literal ; )?
        }
        $( check = $check:path )?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[doc = $help])+ pub $field: $ty, )*
            $( #[doc = $inner_help] pub $inner: $inner_ty, )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    $( $inner: <$inner_ty>::default(), )?
                }
            }
        }

        impl $name {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $setter(mut self, value: impl Into<$ty>) -> Self {
                    self.$field = value.into();
                    self
                }
            )*
            $(
                #[doc = concat!("Sets [`", stringify!($inner), "`](Self::", stringify!($inner), ").")]
                #[must_use]
                pub fn $inner_setter(mut self, value: impl Into<$inner_ty>) -> Self {
                    self.$inner = value.into();
                    self
                }
            )?
        }

        impl $crate::config::section::Section for $name {
            fn set(
                &mut self,
                key: &str,
                value: &serde_json::Value,
            ) -> Option<Vec<$crate::config::ConfigProblem>> {
                $(
                    if key == stringify!($field) {
                        return Some($crate::config::field::Field::assign(&mut self.$field, key, value));
                    }
                )*
                $( if let Some(problems) = self.$inner.set(key, value) { return Some(problems); } )?
                None
            }

            fn problems(&self) -> Vec<$crate::config::ConfigProblem> {
                let mut problems = Vec::new();
                $(
                    problems.extend($crate::config::field::Field::problems(&self.$field, stringify!($field)));
                    $( problems.extend($crate::config::field::out_of_range(
                        stringify!($field), &self.$field, &$range,
                    )); )?
                )*
                $( problems.extend(<$inner_ty as $crate::config::section::Section>::problems(&self.$inner)); )?
                $( problems.extend($check(self)); )?
                problems
            }

            fn keys() -> Vec<$crate::config::KeyDoc> {
                let default = Self::default();
                let mut keys = Vec::new();
                $(
                    keys.extend($crate::config::field::Field::docs(
                        &default.$field,
                        stringify!($field),
                        [$( $crate::config::field::range_of(&default.$field, &$range) )?].into_iter().next(),
                        &[$($help),+],
                    ));
                )*
                $( keys.extend(<$inner_ty as $crate::config::section::Section>::keys()); )?
                keys
            }
        }

        // A section can be a field of another one: its keys are one level further in.
        impl $crate::config::field::Field for $name {
            fn assign(
                &mut self,
                key: &str,
                value: &serde_json::Value,
            ) -> Vec<$crate::config::ConfigProblem> {
                let problems = $crate::config::section::Section::set_all(self, value);
                $crate::config::field::within(problems, key)
            }

            fn problems(&self, key: &str) -> Vec<$crate::config::ConfigProblem> {
                let problems = $crate::config::section::Section::problems(self);
                $crate::config::field::within(problems, key)
            }

            fn docs(
                &self,
                key: &str,
                _range: Option<(String, String)>,
                _help: &[&str],
            ) -> Vec<$crate::config::KeyDoc> {
                $crate::config::field::nested_docs::<Self>(key)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::config::section::deserialize(deserializer)
            }
        }
    };
}

pub(crate) use section;
