//! The part of Grafana's dashboard model (classic JSON, schema 42) that boards use. Fields stand in the order in which the files have them.

use serde::Serialize;

use crate::layout::Place;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dashboard {
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) schema_version: u8,
    pub(crate) editable: bool,
    /// 1: one crosshair over all panels.
    pub(crate) graph_tooltip: u8,
    pub(crate) refresh: &'static str,
    pub(crate) time: TimeRange,
    pub(crate) timezone: &'static str,
    pub(crate) links: Vec<Link>,
    pub(crate) annotations: List<Annotation>,
    pub(crate) templating: List<Variable>,
    pub(crate) panels: Vec<Item>,
}

#[derive(Debug, Serialize)]
pub(crate) struct List<T> {
    pub(crate) list: Vec<T>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TimeRange {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    pub(crate) title: String,
    pub(crate) r#type: &'static str,
    pub(crate) url: String,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) icon: &'static str,
    pub(crate) tooltip: String,
    pub(crate) as_dropdown: bool,
    pub(crate) include_vars: bool,
    pub(crate) keep_time: bool,
    pub(crate) target_blank: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct DataSource {
    pub(crate) r#type: &'static str,
    pub(crate) uid: &'static str,
}

impl DataSource {
    /// The Prometheus that the reader has chosen.
    pub(crate) fn prometheus() -> Self {
        Self { r#type: "prometheus", uid: "${datasource}" }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Annotation {
    pub(crate) name: &'static str,
    pub(crate) enable: bool,
    pub(crate) icon_color: &'static str,
    pub(crate) datasource: DataSource,
    pub(crate) target: AnnotationTarget,
    pub(crate) title_format: &'static str,
    pub(crate) text_format: &'static str,
    pub(crate) tag_keys: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnnotationTarget {
    pub(crate) ref_id: &'static str,
    pub(crate) expr: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) datasource: Option<DataSource>,
    pub(crate) query: VariableQuery,
    pub(crate) current: Choice,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<Choice>,
    /// 1: when the board is opened; 2: when its time changes, too.
    pub(crate) refresh: u8,
    pub(crate) multi: bool,
    pub(crate) include_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) all_value: Option<&'static str>,
    /// 1: by the alphabet.
    pub(crate) sort: u8,
    pub(crate) hide: u8,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum VariableQuery {
    Text(String),
    #[serde(rename_all = "camelCase")]
    LabelValues {
        qry_type: u8,
        query: String,
        ref_id: &'static str,
    },
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Choice {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selected: Option<bool>,
    pub(crate) text: &'static str,
    pub(crate) value: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Item {
    Row(Row),
    Panel(Box<Panel>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) id: u16,
    pub(crate) r#type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) collapsed: bool,
    pub(crate) grid_pos: Place,
    pub(crate) panels: [(); 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Panel {
    pub(crate) id: u16,
    pub(crate) r#type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) datasource: DataSource,
    pub(crate) grid_pos: Place,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    pub(crate) targets: Vec<Target>,
    pub(crate) field_config: FieldConfig,
    pub(crate) options: super::options::Options,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) transformations: Vec<super::options::Transformation>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) ref_id: String,
    pub(crate) datasource: DataSource,
    pub(crate) editor_mode: &'static str,
    pub(crate) expr: String,
    pub(crate) legend_format: String,
    pub(crate) format: &'static str,
    pub(crate) instant: bool,
    pub(crate) range: bool,
    pub(crate) exemplar: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct FieldConfig {
    pub(crate) defaults: FieldDefaults,
    pub(crate) overrides: Vec<Override>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldDefaults {
    pub(crate) unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decimals: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_value: Option<&'static str>,
    pub(crate) color: Color,
    pub(crate) thresholds: Thresholds,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<DataLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom: Option<super::options::Custom>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Color {
    pub(crate) mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fixed_color: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Thresholds {
    pub(crate) mode: &'static str,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) color: &'static str,
    /// None: from the bottom on.
    pub(crate) value: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataLink {
    pub(crate) title: &'static str,
    pub(crate) url: String,
    pub(crate) target_blank: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Override {
    pub(crate) matcher: Matcher,
    pub(crate) properties: Vec<Property>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Matcher {
    pub(crate) id: &'static str,
    pub(crate) options: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Property {
    pub(crate) id: &'static str,
    pub(crate) value: serde_json::Value,
}
