//! A board as Grafana's JSON.

mod model;
mod options;
mod panel;
mod traces;

use crate::board::{Board, TAG};
use crate::layout;
use crate::promql::{Expr, metric};
use crate::subject::Subject;
use crate::variable::{PROMETHEUS_UID, TEMPO_UID, TRANSPORTS, Variable};

use self::model::{
    Annotation, AnnotationTarget, Choice, Dashboard, DataSource, Item, Link, List, Row, TimeRange, Variable as Templated, VariableQuery,
};

/// The schema that the files are written in, Grafana 13's.
const SCHEMA: u8 = 42;
const ALL: Choice = Choice { selected: None, text: "All", value: "$__all" };

/// The text of a board's file.
///
/// # Errors
/// A number that JSON cannot hold.
pub fn json(board: &Board) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&dashboard(board))?;
    text.push('\n');
    Ok(text)
}

fn dashboard(board: &Board) -> Dashboard {
    Dashboard {
        uid: board.uid,
        title: board.title,
        description: board.description,
        tags: [TAG].iter().chain(board.tags).copied().collect(),
        schema_version: SCHEMA,
        editable: false,
        graph_tooltip: 1,
        refresh: "30s",
        time: TimeRange { from: "now-1h", to: "now" },
        timezone: "browser",
        links: vec![boards_link()],
        annotations: List { list: vec![firing_alerts()] },
        templating: List { list: board.variables().into_iter().map(|variable| templated(variable, board.subject)).collect() },
        panels: items(board),
    }
}

/// The links to all boards, which take along the variables chosen here.
fn boards_link() -> Link {
    Link {
        title: "Boards".into(),
        r#type: "dashboards",
        url: String::new(),
        tags: vec![TAG],
        icon: "external link",
        tooltip: String::new(),
        as_dropdown: false,
        include_vars: true,
        keep_time: true,
        target_blank: false,
    }
}

fn firing_alerts() -> Annotation {
    Annotation {
        name: "Firing alerts",
        enable: true,
        icon_color: "red",
        datasource: DataSource::prometheus(),
        target: AnnotationTarget { ref_id: "Anno", expr: Expr::from(metric("ALERTS").is("alertstate", "firing")).as_str().to_owned() },
        title_format: "{{alertname}}",
        text_format: "{{job}}",
        tag_keys: "severity",
    }
}

fn items(board: &Board) -> Vec<Item> {
    let mut ids = 1..;
    let mut next = || ids.next().unwrap_or_default();
    let mut items = Vec::new();
    for placed in layout::place(board) {
        let title = placed.row.question;
        items.push(Item::Row(Row { id: next(), r#type: "row", title, collapsed: false, grid_pos: placed.head, panels: [] }));
        items.extend(placed.panels.into_iter().map(|(place, panel)| Item::Panel(Box::new(panel::panel(panel, next(), place)))));
    }
    items
}

fn templated(variable: Variable, subject: Subject) -> Templated {
    let base = Templated {
        name: variable.name(),
        label: variable.label(),
        r#type: "query",
        datasource: None,
        query: VariableQuery::Text(String::new()),
        current: Choice::default(),
        options: Vec::new(),
        refresh: 1,
        multi: false,
        include_all: false,
        all_value: None,
        sort: 1,
        hide: 0,
    };
    match variable {
        Variable::DataSource => data_source("prometheus", Choice { selected: None, text: "Prometheus", value: PROMETHEUS_UID }, base),
        Variable::Tempo => data_source("tempo", Choice { selected: None, text: "Tempo", value: TEMPO_UID }, base),
        Variable::Transport => {
            let choice = |transport: &'static str| Choice { selected: Some(transport == TRANSPORTS[0]), text: transport, value: transport };
            Templated {
                r#type: "custom",
                query: VariableQuery::Text(TRANSPORTS.join(",")),
                current: choice(TRANSPORTS[0]),
                options: TRANSPORTS.map(choice).into(),
                sort: 0,
                ..base
            }
        }
        Variable::Job | Variable::Instance | Variable::Service | Variable::Tenant => {
            let query = variable.asks(subject).map(|asks| format!("label_values({}, {})", asks.series, asks.label)).unwrap_or_default();
            Templated {
                datasource: Some(DataSource::prometheus()),
                query: VariableQuery::LabelValues { qry_type: 1, query, ref_id: "PrometheusVariableQueryEditor-VariableQuery" },
                current: ALL,
                refresh: 2,
                multi: true,
                include_all: true,
                all_value: Some(".+"),
                ..base
            }
        }
    }
}

fn data_source(kind: &str, current: Choice, base: Templated) -> Templated {
    Templated { r#type: "datasource", query: VariableQuery::Text(kind.into()), current, ..base }
}
