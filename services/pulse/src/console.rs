//! What the program says to the one who started it; log lines go elsewhere.

use std::io::{IsTerminal as _, Write as _};

/// Standard output, or standard error when standard output is for JSON.
#[derive(Debug)]
pub(crate) struct Console {
    json: bool,
}

impl Console {
    /// `json`: standard output is kept for [`Console::result`].
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A line for people.
    #[allow(clippy::let_underscore_must_use, reason = "when nobody listens any more there is nobody to tell")]
    pub(crate) fn say(&self, line: &str) {
        let _ = if self.json { writeln!(std::io::stderr(), "{line}") } else { writeln!(std::io::stdout(), "{line}") };
    }

    /// The result for programs: one line on standard output.
    #[allow(clippy::let_underscore_must_use, reason = "when nobody listens any more there is nobody to tell")]
    pub(crate) fn result(line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// Whether a summary may redraw itself.
    pub(crate) fn is_live(&self) -> bool {
        !self.json && std::io::stdout().is_terminal()
    }

    /// Whether only JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}
