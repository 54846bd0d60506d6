//! JSON that is also safe to look at.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::sanitize::is_harmful;

/// One line, with everything that a terminal would obey written as `\u…`:
/// the same JSON, whoever looks at it.
pub(crate) fn line(value: &impl Serialize) -> io::Result<String> {
    written(value, CompactFormatter)
}

/// The same over several lines, indented.
pub(crate) fn pretty(value: &impl Serialize) -> io::Result<String> {
    written(value, PrettyFormatter::new())
}

/// JSON text as it is, except that what a terminal would obey is written as `\u…`.
///
/// In valid JSON such a character stands only inside a string, where the two
/// forms mean the same.
pub(crate) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if is_harmful(c) => push_escape(&mut text, c),
            c => text.push(c),
        }
    }
    text
}

fn written(value: &impl Serialize, formatter: impl Formatter) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut bytes, Escaping { inner: formatter });
    value.serialize(&mut serializer)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn push_escape(text: &mut String, c: char) {
    // All of these are below U+10000, so that one escape is enough.
    text.push_str(&format!("\\u{:04x}", u32::from(c)));
}

/// A formatter that escapes what serde_json lets through.
struct Escaping<F> {
    inner: F,
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        fn $name<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            $($arg: $type),*
        ) -> io::Result<()> {
            self.inner.$name(writer, $($arg),*)
        }
    )*};
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.chars().any(is_harmful) {
            return self.inner.write_string_fragment(writer, &escaped(fragment));
        }
        self.inner.write_string_fragment(writer, fragment)
    }

    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_reads_back_the_same() {
        let value = json!({"a\u{9b}": "x\u{1b}[31m\u{7f}\u{202e}ü", "b": [1, {}, []]});
        for text in [line(&value).unwrap(), pretty(&value).unwrap()] {
            assert!(!text.chars().any(|c| is_harmful(c) && c != '\n'), "{text:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_pretty_value_is_indented() {
        assert_eq!(pretty(&json!({"a": [1]})).unwrap(), "{\n  \"a\": [\n    1\n  ]\n}");
    }

    #[test]
    fn stored_json_is_escaped_in_place() {
        assert_eq!(escaped("{\"a\":\"\u{9b}x\"}"), "{\"a\":\"\\u009bx\"}");
    }
}
