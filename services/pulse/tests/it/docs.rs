//! docs/metrics.md is written from the definitions in the code. `UPDATE_DOCS=1 cargo test -p pulse --test it docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use pulse_telemetry::Kind;

/// Each service's own definitions, and the kit's, which every service has.
pub(crate) use pulse_boards::catalog::PULSE as SOURCES;

const HEAD: &str = "# Metrics

Generated from the definitions in the code; `UPDATE_DOCS=1 cargo test -p pulse --test it docs` writes this page anew.

Names, labels and values are the same on `/metrics` and over OTLP, where labels are attributes. Units are UCUM's.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (source, definitions) in SOURCES {
        write!(page, "\n## {source}\n\n| metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n").unwrap();
        for definition in *definitions {
            let kind = match definition.kind {
                Kind::Counter => "counter".to_owned(),
                Kind::Gauge => "gauge".to_owned(),
                Kind::Histogram => {
                    let bounds: Vec<String> = definition.bounds.iter().map(f64::to_string).collect();
                    format!("histogram: {}", bounds.join(" "))
                }
            };
            let labels = definition.labels.join(", ");
            writeln!(
                page,
                "| `{}` | {kind} | `{}` | {labels} | {} |",
                definition.name,
                definition.unit,
                definition.help.replace('|', "\\|")
            )
            .unwrap();
        }
    }
    page
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
