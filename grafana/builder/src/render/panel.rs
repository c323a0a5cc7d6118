//! A panel as Grafana's JSON.

use serde_json::json;

use crate::layout::Place;
use crate::panel::{Kind, Limits, Panel, Query};

use super::model::{
    Color, DataLink, DataSource, FieldConfig, FieldDefaults, Link, Matcher, Override, Panel as Written, Property, Step, Target, Thresholds,
};
use super::{options, traces};

pub(super) fn panel(panel: &Panel, id: u16, place: Place) -> Written {
    Written {
        id,
        r#type: options::kind(panel),
        title: panel.title,
        description: panel.description,
        datasource: DataSource::prometheus(),
        grid_pos: place,
        links: panel.more.map(more_link).into_iter().collect(),
        targets: panel.queries.iter().zip('A'..).map(|(query, id)| target(panel, query, id)).collect(),
        field_config: FieldConfig { defaults: defaults(panel), overrides: overrides(panel) },
        options: options::options(panel),
        transformations: options::transformations(panel),
    }
}

fn more_link(uid: &'static str) -> Link {
    Link {
        title: "More on this".into(),
        r#type: "link",
        url: format!("/d/{uid}?${{__url_time_range}}&${{__all_variables}}"),
        tags: Vec::new(),
        icon: "dashboard",
        tooltip: String::new(),
        as_dropdown: false,
        include_vars: false,
        keep_time: false,
        target_blank: false,
    }
}

fn target(panel: &Panel, query: &Query, id: char) -> Target {
    let (format, instant) = match panel.kind {
        Kind::Stat => ("time_series", true),
        Kind::Lines | Kind::Stack => ("time_series", false),
        Kind::Heat => ("heatmap", false),
        Kind::Table { .. } => ("table", true),
    };
    Target {
        ref_id: id.into(),
        datasource: DataSource::prometheus(),
        editor_mode: "code",
        expr: query.expr.as_str().to_owned(),
        legend_format: query.legend.clone(),
        format,
        instant,
        range: !instant,
        exemplar: false,
    }
}

fn defaults(panel: &Panel) -> FieldDefaults {
    FieldDefaults {
        unit: panel.unit.id(),
        decimals: panel.decimals,
        min: panel.min,
        max: panel.max,
        no_value: panel.no_value,
        color: color(panel),
        thresholds: Thresholds { mode: "absolute", steps: steps(panel.limits) },
        links: panel.traces.map(|whose| DataLink { title: "Traces", url: traces::url(whose), target_blank: true }).into_iter().collect(),
        custom: options::custom(panel),
    }
}

fn color(panel: &Panel) -> Color {
    match (&panel.kind, panel.limits) {
        (Kind::Stat | Kind::Table { .. }, Some(_)) => Color { mode: "thresholds", fixed_color: None },
        (Kind::Stat | Kind::Table { .. }, None) => Color { mode: "fixed", fixed_color: Some("text") },
        (Kind::Lines | Kind::Stack | Kind::Heat, _) => Color { mode: "palette-classic", fixed_color: None },
    }
}

fn steps(limits: Option<Limits>) -> Vec<Step> {
    let (base, first, second) = match limits {
        None => return vec![Step { color: "green", value: None }],
        Some(Limits::Above { warn, bad }) => ("green", ("orange", warn), ("red", bad)),
        Some(Limits::Below { warn, bad }) => ("red", ("orange", bad), ("green", warn)),
    };
    let mut steps = vec![Step { color: base, value: None }];
    steps.extend([first, second].map(|(color, value)| Step { color, value: Some(value) }));
    // A limit without a warning before it.
    steps.dedup_by(|next, before| {
        next.value.is_some() && next.value == before.value && {
            before.color = next.color;
            true
        }
    });
    steps
}

/// A limit is a dashed line of its own colour, and not part of a stack.
fn overrides(panel: &Panel) -> Vec<Override> {
    let limits = panel.queries.iter().zip('A'..).filter(|(query, _)| query.is_limit);
    limits
        .map(|(_, id)| Override {
            matcher: Matcher { id: "byFrameRefID", options: id.into() },
            properties: vec![
                Property { id: "custom.lineStyle", value: json!({ "fill": "dash", "dash": [8, 6] }) },
                Property { id: "custom.fillOpacity", value: json!(0) },
                Property { id: "custom.stacking", value: json!({ "group": "B", "mode": "none" }) },
            ],
        })
        .collect()
}
