//! docs/metrics.md is written from the definitions in the code. `UPDATE_DOCS=1 cargo test -p pulse --test it docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use pulse_telemetry::{Definition, Kind};

/// Each service's own definitions, and the kit's, which every service has.
pub(crate) use pulse_boards::catalog::PULSE as SOURCES;

const HEAD: &str = "# Metrics

Generated from the definitions in the code; `UPDATE_DOCS=1 cargo test -p pulse --test it docs` writes this page anew.

Names, labels and values are the same on `/metrics` and over OTLP, where labels are attributes. Units are UCUM's.

The column *replicas* says what the numbers of several instances of a service make together: `sum`; `max` where all report the same number, as of a
queue in the database or of the fleet; `each` where only the instance itself has it. A distribution's buckets are summed.
";

/// What stands before the conventions' own metrics.
const CONVENTIONS: &str = "
## Only when switched on: the conventions of OpenTelemetry

With `--otel-conventions` (`PULSE_OTEL_CONVENTIONS=true`) the metrics that OpenTelemetry's semantic conventions name are recorded too, for boards made
for those: `db.client.connection.*` by every service, `http.server.request.duration` by ui_api. They say again what `pulse_*` says. Over OTLP they
are named as here; on `/metrics` each dot is an underscore (`db_client_connection_count`), and an up-down counter is a gauge. A label that has
nothing to say is left out: `http.route` where no route matched, `error.type` where the server made no error.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (source, definitions) in SOURCES {
        write!(page, "\n## {source}\n\n").unwrap();
        write_table(&mut page, definitions);
    }
    page.push_str(CONVENTIONS);
    page.push('\n');
    write_table(&mut page, pulse_telemetry::conventions::DEFINITIONS);
    page
}

fn write_table(page: &mut String, definitions: &[&Definition]) {
    page.push_str("| metric | kind | unit | labels | replicas | what it says |\n|---|---|---|---|---|---|\n");
    for definition in definitions {
        let kind = match definition.kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::UpDownCounter => "up-down counter".to_owned(),
            Kind::Histogram => {
                let bounds: Vec<String> = definition.bounds.iter().map(f64::to_string).collect();
                format!("histogram: {}", bounds.join(" "))
            }
        };
        let labels = definition.labels.join(", ");
        let help = definition.help.replace('|', "\\|");
        let replicas = match definition.kind {
            _ if definition.shared => "max",
            Kind::Gauge => "each",
            Kind::Counter | Kind::UpDownCounter | Kind::Histogram => "sum",
        };
        writeln!(page, "| `{}` | {kind} | `{}` | {labels} | {replicas} | {help} |", definition.name, definition.unit).unwrap();
    }
}

#[test]
fn metrics_md_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page(), "docs/metrics.md is not what the code says: UPDATE_DOCS=1 cargo test -p pulse --test it docs");
}

/// README's first command names no program.
#[test]
fn cargo_run_runs_pulse() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let output = cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let default = metadata["workspace_default_members"].as_array().unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().filter(|package| default.contains(&package["id"]));
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    let programs: Vec<_> = targets.filter(|target| target["kind"][0] == "bin").map(|target| &target["name"]).collect();
    assert_eq!(programs, ["pulse"]);
}
