//! PULSE_* variables that no setting reads are refused: a misspelt setting must not pass for a set one.

use std::collections::BTreeSet;

use clap::CommandFactory;

/// What PulseAudio, an unrelated program of the same name, reads; a desktop may have these set.
const PULSEAUDIO: &[&str] = &[
    "PULSE_SERVER",
    "PULSE_SINK",
    "PULSE_SOURCE",
    "PULSE_BINARY",
    "PULSE_CLIENTCONFIG",
    "PULSE_COOKIE",
    "PULSE_RUNTIME_PATH",
    "PULSE_STATE_PATH",
    "PULSE_CONFIG_PATH",
    "PULSE_SCRIPT",
    "PULSE_DLPATH",
    "PULSE_LATENCY_MSEC",
    "PULSE_NO_SIMD",
    "PULSE_INTERNAL",
];
const PULSEAUDIO_PREFIX: &str = "PULSE_PROP";

/// A variable that no setting reads.
#[derive(Debug, thiserror::Error)]
#[error("{name} is set, but there is no such setting{}", suggestion.as_ref().map_or_else(String::new, |known| format!("; did you mean {known}?")))]
pub(crate) struct UnknownVariable {
    name: String,
    suggestion: Option<String>,
}

/// Holds the environment against the settings of the program and its subcommands.
///
/// # Errors
/// The first variable that starts with `PULSE_` and is none of them.
#[allow(clippy::disallowed_methods, reason = "only names are looked at; clap reads the values")]
pub(crate) fn check<C: CommandFactory>() -> Result<(), UnknownVariable> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut known = BTreeSet::new();
    collect(&C::command(), &mut known);
    check_names(names, &known)
}

fn check_names(names: impl Iterator<Item = String>, known: &BTreeSet<String>) -> Result<(), UnknownVariable> {
    let is_ours = |name: &str| name.starts_with("PULSE_") && !name.starts_with(PULSEAUDIO_PREFIX) && !PULSEAUDIO.contains(&name);
    let unknown: BTreeSet<String> = names.filter(|name| is_ours(name) && !known.contains(name)).collect();
    match unknown.into_iter().next() {
        None => Ok(()),
        Some(name) => Err(UnknownVariable { suggestion: closest(&name, known), name }),
    }
}

fn collect(command: &clap::Command, known: &mut BTreeSet<String>) {
    known.extend(command.get_arguments().filter_map(|arg| arg.get_env()).filter_map(|name| name.to_str()).map(str::to_owned));
    command.get_subcommands().for_each(|sub| collect(sub, known));
}

fn closest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    // Not Jaro-Winkler's, to which names of the same service are alike whatever they are about.
    let alike = |candidate: &&String| strsim::normalized_damerau_levenshtein(name, candidate);
    known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b))).filter(|best| alike(best) > 0.7).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str) -> Result<(), String> {
        let known = ["PULSE_DATA".to_owned(), "PULSE_PORT_BASE".to_owned()].into();
        check_names([name.to_owned()].into_iter(), &known).map_err(|error| error.to_string())
    }

    #[test]
    fn only_unknown_settings_of_ours_are_refused() {
        for fine in ["PULSE_DATA", "HOME", "PULSE_SERVER", "PULSE_PROP_media.role", "OTEL_SERVICE_NAME"] {
            assert_eq!(check_one(fine), Ok(()));
        }
        assert_eq!(
            check_one("PULSE_PORTBASE").unwrap_err(),
            "PULSE_PORTBASE is set, but there is no such setting; did you mean PULSE_PORT_BASE?"
        );
        let mut known = BTreeSet::new();
        collect(&crate::cli::Cli::command(), &mut known);
        let gone = check_names(["PULSE_OPS_ATTEMPTS_MAX".to_owned()].into_iter(), &known).unwrap_err().to_string();
        assert_eq!(gone, "PULSE_OPS_ATTEMPTS_MAX is set, but there is no such setting; did you mean PULSE_DELIVERY_ATTEMPTS_MAX?");
        assert_eq!(check_one("PULSE_XYZZY_42").unwrap_err(), "PULSE_XYZZY_42 is set, but there is no such setting");
    }
}
