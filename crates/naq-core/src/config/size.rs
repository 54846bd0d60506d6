//! A number of bytes that the configuration writes with a unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result};

/// A number of bytes, as text with a unit: `64MiB`, `1.5GB`, or a plain number.
///
/// `KiB`, `MiB`, `GiB` and `TiB` are powers of 1024; `kB`, `MB`, `GB` and `TB`
/// powers of 1000.
///
/// ```
/// use naq_core::config::Size;
///
/// assert_eq!("64MiB".parse::<Size>()?, Size::from_mib(64));
/// assert_eq!(Size::from_mib(64).to_string(), "64MiB");
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// This many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many kibibytes, or as many bytes as 64 bits can count.
    #[must_use]
    pub const fn from_kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// This many mebibytes, or as many bytes as 64 bits can count.
    #[must_use]
    pub const fn from_mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// This many gibibytes, or as many bytes as 64 bits can count.
    #[must_use]
    pub const fn from_gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The bytes as memory can hold them: at most `usize::MAX`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl From<u64> for Size {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Size {
    /// The largest unit that divides it evenly, so that no byte is lost in text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => f.pad(&format!("{}{name}", self.0 / unit)),
            None => f.pad(&format!("{}B", self.0)),
        }
    }
}

impl FromStr for Size {
    type Err = Error;

    /// # Errors
    /// `InvalidArgument` with the field `size`.
    fn from_str(text: &str) -> Result<Self> {
        text.trim().parse::<bytesize::ByteSize>().map(|size| Self(size.as_u64())).map_err(|error| {
            Error::invalid("parse_size", "size", RULE)
                .with("value", text.escape_debug().to_string())
                .with_source(std::io::Error::other(error))
        })
    }
}

const RULE: &str = "must be a size such as \"64MiB\" or \"1.5GB\", or a number of bytes";

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64MiB\", or a number of bytes")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes).map(Size).map_err(|_| E::custom(RULE))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(|_| E::custom(RULE))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_keeps_every_byte(bytes in prop_oneof![any::<u64>(), (0..1_u64 << 20).prop_map(|n| n << 20)]) {
            let text = Size::from_bytes(bytes).to_string();
            prop_assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{}", text);
        }
    }

    #[test]
    fn decimal_and_binary_units_differ() {
        assert_eq!("1MB".parse::<Size>().unwrap().bytes(), 1_000_000);
        assert_eq!("1MiB".parse::<Size>().unwrap().bytes(), 1_048_576);
        assert!("1 lump".parse::<Size>().is_err());
        assert!("-1".parse::<Size>().is_err());
    }
}
