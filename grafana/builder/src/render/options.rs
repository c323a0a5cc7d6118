//! How each kind of panel is drawn: Grafana's options, the same for all panels of a kind.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::panel::{Kind, Panel};

/// The name of the kind in Grafana.
pub(crate) fn kind(panel: &Panel) -> &'static str {
    match panel.kind {
        Kind::Stat => "stat",
        Kind::Lines | Kind::Stack => "timeseries",
        Kind::Heat => "heatmap",
        Kind::Table { .. } => "table",
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Options {
    #[serde(rename_all = "camelCase")]
    Stat {
        color_mode: &'static str,
        graph_mode: &'static str,
        justify_mode: &'static str,
        orientation: &'static str,
        percent_change_color_mode: &'static str,
        reduce_options: Reduce,
        show_percent_change: bool,
        text_mode: &'static str,
        wide_layout: bool,
    },
    Lines {
        legend: Legend,
        tooltip: Tooltip,
    },
    #[serde(rename_all = "camelCase")]
    Heat {
        calculate: bool,
        cell_gap: u8,
        color: HeatColor,
        exemplars: Exemplars,
        filter_values: FilterValues,
        legend: HeatLegend,
        show_value: &'static str,
        tooltip: HeatTooltip,
        y_axis: HeatAxis,
    },
    #[serde(rename_all = "camelCase")]
    Table {
        cell_height: &'static str,
        frame_index: u8,
        show_header: bool,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct Reduce {
    calcs: [&'static str; 1],
    fields: &'static str,
    values: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Legend {
    calcs: [&'static str; 2],
    display_mode: &'static str,
    placement: &'static str,
    show_legend: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tooltip {
    mode: &'static str,
    sort: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct HeatColor {
    exponent: f64,
    fill: &'static str,
    mode: &'static str,
    reverse: bool,
    scale: &'static str,
    scheme: &'static str,
    steps: u8,
}

#[derive(Debug, Serialize)]
pub(crate) struct Exemplars {
    color: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct FilterValues {
    le: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct HeatLegend {
    show: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeatTooltip {
    mode: &'static str,
    show_color_scale: bool,
    y_histogram: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeatAxis {
    axis_placement: &'static str,
    reverse: bool,
    unit: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Custom {
    #[serde(rename_all = "camelCase")]
    Lines {
        draw_style: &'static str,
        line_interpolation: &'static str,
        line_width: u8,
        fill_opacity: u8,
        show_points: &'static str,
        point_size: u8,
        /// False: where nothing was measured there is no line.
        span_nulls: bool,
        stacking: Stacking,
        thresholds_style: ThresholdsStyle,
    },
    #[serde(rename_all = "camelCase")]
    Table { align: &'static str, cell_options: CellOptions, inspect: bool },
}

#[derive(Debug, Serialize)]
pub(crate) struct Stacking {
    group: &'static str,
    mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ThresholdsStyle {
    mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct CellOptions {
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Transformation {
    id: &'static str,
    options: Organize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Organize {
    exclude_by_name: BTreeMap<&'static str, bool>,
    index_by_name: BTreeMap<&'static str, usize>,
    rename_by_name: BTreeMap<&'static str, &'static str>,
}

pub(crate) fn options(panel: &Panel) -> Options {
    match panel.kind {
        Kind::Stat => Options::Stat {
            color_mode: "value",
            // The query is an instant's, so that what has gone away is not shown with its last value.
            graph_mode: "none",
            justify_mode: "auto",
            orientation: "auto",
            percent_change_color_mode: "standard",
            reduce_options: Reduce { calcs: ["lastNotNull"], fields: "", values: false },
            show_percent_change: false,
            text_mode: if panel.queries.len() > 1 { "value_and_name" } else { "value" },
            wide_layout: true,
        },
        Kind::Lines | Kind::Stack => Options::Lines {
            legend: Legend { calcs: ["lastNotNull", "max"], display_mode: "table", placement: "bottom", show_legend: true },
            tooltip: Tooltip { mode: "multi", sort: "desc" },
        },
        Kind::Heat => Options::Heat {
            calculate: false,
            cell_gap: 1,
            color: HeatColor {
                exponent: 0.5,
                fill: "dark-orange",
                mode: "scheme",
                reverse: false,
                scale: "exponential",
                scheme: "Oranges",
                steps: 64,
            },
            exemplars: Exemplars { color: "rgba(255,0,255,0.7)" },
            filter_values: FilterValues { le: 1e-9 },
            legend: HeatLegend { show: true },
            show_value: "never",
            tooltip: HeatTooltip { mode: "single", show_color_scale: false, y_histogram: false },
            y_axis: HeatAxis { axis_placement: "left", reverse: false, unit: panel.unit.id() },
        },
        Kind::Table { .. } => Options::Table { cell_height: "sm", frame_index: 0, show_header: true },
    }
}

pub(crate) fn custom(panel: &Panel) -> Option<Custom> {
    match panel.kind {
        Kind::Stat | Kind::Heat => None,
        Kind::Lines | Kind::Stack => {
            let stacked = panel.kind == Kind::Stack;
            Some(Custom::Lines {
                draw_style: "line",
                line_interpolation: "linear",
                line_width: 1,
                fill_opacity: if stacked { 40 } else { 8 },
                show_points: "auto",
                point_size: 4,
                span_nulls: false,
                stacking: Stacking { group: "A", mode: if stacked { "normal" } else { "none" } },
                thresholds_style: ThresholdsStyle { mode: if panel.limits.is_some() { "dashed" } else { "off" } },
            })
        }
        Kind::Table { .. } => Some(Custom::Table { align: "auto", cell_options: CellOptions { r#type: "auto" }, inspect: false }),
    }
}

/// A table's columns in order and under their heads.
pub(crate) fn transformations(panel: &Panel) -> Vec<Transformation> {
    let Kind::Table { labels, value } = panel.kind else { return Vec::new() };
    let columns = || labels.iter().copied().chain([("Value", value)]);
    vec![Transformation {
        id: "organize",
        options: Organize {
            exclude_by_name: [("Time", true)].into(),
            index_by_name: columns().enumerate().map(|(index, (name, _))| (name, index)).collect(),
            rename_by_name: columns().collect(),
        },
    }]
}
