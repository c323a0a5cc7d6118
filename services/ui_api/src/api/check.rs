//! Checks that hold for the texts of several resources.

use crate::problem::Problem;

/// The longest name that people give to things, in characters.
pub(super) const NAME_MAX_CHARS: usize = 200;
/// The most entries of a list within a resource.
const LIST_MAX: usize = 100;

/// Text for people: not blank, not too long, no control characters.
pub(super) fn text(field: &str, value: &str, max_chars: usize) -> Result<(), Problem> {
    let length = value.chars().count();
    if value.trim().is_empty() || length > max_chars || value.chars().any(char::is_control) {
        return Err(Problem::validation(format!("{field} must be 1 to {max_chars} characters, not blank and without control characters")));
    }
    Ok(())
}

/// A list of such texts.
pub(super) fn texts(field: &str, values: &[String], max_chars: usize) -> Result<(), Problem> {
    length(field, values.len())?;
    values.iter().try_for_each(|value| text(&format!("each of {field}"), value, max_chars))
}

/// A list's length.
pub(super) fn length(field: &str, length: usize) -> Result<(), Problem> {
    if length > LIST_MAX {
        return Err(Problem::validation(format!("{field} has at most {LIST_MAX} entries, this one has {length}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_checked() {
        assert!(text("name", "Cold store, Łódź", 200).is_ok());
        for bad in ["", "  ", "a\u{0}b", "a\nb", &"x".repeat(201)] {
            assert!(text("name", bad, 200).is_err(), "{bad:?}");
        }
        assert!(texts("device_types", &vec!["x".to_owned(); 101], 10).is_err());
    }
}
