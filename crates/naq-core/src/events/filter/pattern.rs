//! Regular expressions of bounded size.

use regex::{Regex, RegexBuilder};

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// How long a pattern may be, in bytes.
    const MAX_BYTES: usize = 1024;

    /// How large it may become when compiled, in bytes.
    const MAX_COMPILED: usize = 1 << 20;

    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn new(source: &str) -> Result<Self, String> {
        if source.len() > Self::MAX_BYTES {
            return Err("must be at most 1024 bytes long".to_owned());
        }
        RegexBuilder::new(source)
            .size_limit(Self::MAX_COMPILED)
            .dfa_size_limit(Self::MAX_COMPILED)
            .build()
            .map(|regex| Self { regex })
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => {
                    format!("must not compile to more than {limit} bytes")
                }
                other => {
                    // Its words stand below a drawing of the pattern, and are one line.
                    let told = other.to_string();
                    let words = told.lines().last().unwrap_or_default();
                    let words = words.strip_prefix("error: ").unwrap_or(words);
                    format!("must be a regular expression: {words}")
                }
            })
    }

    pub(super) fn source(&self) -> &str {
        self.regex.as_str()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}
