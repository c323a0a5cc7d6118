//! The values of an open label that stand for more than one, and how many label sets a value may have.

/// The value for all that have no place.
pub(crate) const OTHER: &str = "_other";
/// The value for what belongs to nobody certain.
const UNKNOWN: &str = "_unknown";
/// How many values take no place in the budget.
pub(crate) const RESERVED: usize = 2;
/// Label sets that one value may have in one metric, its other labels being closed sets.
pub(crate) const SETS_PER_VALUE_MAX: usize = 32;

/// Whether the value takes no place in the budget.
pub(super) fn is_reserved(value: &str) -> bool {
    [OTHER, UNKNOWN].contains(&value)
}
