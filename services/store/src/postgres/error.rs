//! What PostgreSQL's error codes say of another attempt (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use crate::error::Trouble;

/// Classes of codes that another attempt may not meet.
const TRANSIENT_CLASSES: [&str; 8] = [
    "08", // connection exception
    "25", // invalid transaction state: read-only on a standby, idle for too long
    "28", // not let in: a password or a rule of the server changed, which its operator will mend
    "3D", // the database is gone: as above
    "40", // rolled back: deadlock, serialization
    "53", // insufficient resources: too many connections, disk full, out of memory
    "57", // operator intervention: shutting down, starting up, cancelled, timed out
    "58", // system error: I/O
];

/// Single codes of the same kind.
const TRANSIENT_CODES: [&str; 3] = [
    "55P03", // lock not available in time
    "55006", // object in use
    "26000", // a prepared statement that a pooler's other connection has not heard of
];

/// Index or data corrupted.
const DAMAGE_CLASS: &str = "XX";

/// What a code says of a failure.
pub(crate) fn trouble(code: &str) -> Trouble {
    let class = code.get(..2).unwrap_or_default();
    if TRANSIENT_CLASSES.contains(&class) || TRANSIENT_CODES.contains(&code) {
        Trouble::Transient
    } else if class == DAMAGE_CLASS {
        Trouble::Damage
    } else {
        Trouble::Ours
    }
}
