//! The one rule for names that a program gives to what is kept: they are parts
//! of keys and subjects.

use naq_core::{Error, Result};

/// The longest name, in bytes.
const MOST: usize = 64;

/// Checks the name of something (`what`) that is given in a field.
///
/// # Errors
/// `InvalidArgument` with the field, the rule, and the name under `what`.
pub(crate) fn check_name(
    operation: &'static str,
    field: &'static str,
    what: &'static str,
    name: &str,
) -> Result<()> {
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > MOST || !name.bytes().all(stands) {
        let rule = "must be 1 to 64 of A-Z a-z 0-9 _ -";
        return Err(Error::invalid(operation, field, rule).with(what, name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_keys_and_subjects_take() {
        for name in ["mail", "a-b_C9", &"x".repeat(64)] {
            check_name("create_event_index", "name", "index", name).unwrap();
        }
        for name in ["", "a.b", "a b", "é", "*", ">", &"x".repeat(65)] {
            let error = check_name("create_event_index", "name", "index", name).unwrap_err();
            assert_eq!((error.get("field"), error.get("index")), (Some("name"), Some(name)));
        }
    }
}
