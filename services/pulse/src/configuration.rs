//! docs/configuration.md is written from the flags and the kit's variables. `UPDATE_DOCS=1 cargo test -p pulse configuration` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::Cli;

const HEAD: &str = "# Configuration

Generated from the code; `UPDATE_DOCS=1 cargo test -p pulse configuration` writes this page anew.

Every setting is a flag, most are a variable too; a flag wins over its variable. A value that makes no sense ends the program with code 2 or 1 and
a line that names the setting, what it was and what would be right. A variable that starts with `PULSE_` and is none of these is refused.
";

const OTEL_HEAD: &str = "
## OpenTelemetry

Read by each service's telemetry, as the OpenTelemetry specification names them; empty counts as unset. Where the last column says so, each
signal has one of its own too, which wins: `OTEL_EXPORTER_OTLP_TRACES_…`, `OTEL_EXPORTER_OTLP_METRICS_…`, `OTEL_EXPORTER_OTLP_LOGS_…`.

| variable | default | effect | per signal |
|---|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut command = Cli::command();
    command.build();
    let ids = |command: &clap::Command| -> BTreeSet<String> { command.get_arguments().map(|arg| arg.get_id().to_string()).collect() };
    let subs: Vec<_> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    let global = ids(&command);
    // What services are told is the same whether they share a process or not.
    let shared: BTreeSet<String> =
        match subs.iter().filter(|sub| ["up", "run"].contains(&sub.get_name())).map(|sub| ids(sub)).collect::<Vec<_>>() {
            both if both.len() == 2 => both[0].intersection(&both[1]).filter(|id| !global.contains(*id)).cloned().collect(),
            other => panic!("up and run share the services' settings: {other:?}"),
        };
    table(&mut page, "Everywhere", "", command.get_arguments());
    for sub in &subs {
        let own = sub.get_arguments().filter(|arg| !global.contains(arg.get_id().as_str()) && !shared.contains(arg.get_id().as_str()));
        table(&mut page, &format!("`pulse {}`", sub.get_name()), &sub.get_about().map(ToString::to_string).unwrap_or_default(), own);
    }
    let services = subs[0].get_arguments().filter(|arg| shared.contains(arg.get_id().as_str()));
    table(&mut page, "`pulse up` and `pulse run`", "Settings of the services", services);
    page.push_str(OTEL_HEAD);
    for variable in pulse_telemetry::VARIABLES {
        let each = if variable.per_signal { "yes" } else { "" };
        writeln!(page, "| `{}` | {} | {} | {each} |", variable.name, variable.default, cell(variable.effect)).unwrap();
    }
    page
}

fn table<'a>(page: &mut String, title: &str, about: &str, arguments: impl Iterator<Item = &'a clap::Arg>) {
    write!(page, "\n## {title}\n").unwrap();
    if !about.is_empty() {
        write!(page, "\n{about}.\n").unwrap();
    }
    page.push_str("\n| flag | variable | default | effect |\n|---|---|---|---|\n");
    for argument in arguments.filter(|argument| !["help", "version"].contains(&argument.get_id().as_str())) {
        let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
        let value = value.map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
        let flag = match argument.get_long() {
            Some(long) => format!("`--{long}{value}`"),
            None => format!("`{}`", value.trim()),
        };
        let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        let mut effect = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<_> = argument.get_possible_values().iter().map(|choice| format!("`{}`", choice.get_name())).collect();
        // A flag that takes no value has true and false as its choices.
        if !choices.is_empty() && argument.get_action().takes_values() && choices != ["`true`", "`false`"] {
            write!(effect, " ({})", choices.join(", ")).unwrap();
        }
        writeln!(page, "| {flag} | {variable} | {} | {} |", defaults.join(" "), cell(&effect)).unwrap();
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn configuration_md_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page(), "docs/configuration.md is not what the code says: UPDATE_DOCS=1 cargo test -p pulse configuration");
}
