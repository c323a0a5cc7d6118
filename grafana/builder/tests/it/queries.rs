//! Every PromQL expression of the boards, parsed and checked against the definitions of the metrics.

use std::collections::HashSet;

use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{AggregateExpr, Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use pulse_boards::catalog::{self, Known};
use pulse_telemetry::Kind;
use serde_json::Value;

use crate::dashboards::{every_panel, list, text, written};

/// A query with where it stands.
#[derive(Clone)]
struct Asked {
    at: String,
    text: String,
}

fn queries() -> Vec<Asked> {
    let mut queries: Vec<Asked> = targets().into_iter().map(|(asked, ..)| asked).collect();
    for (uid, board) in written() {
        for annotation in list(&board, "/annotations/list") {
            queries.push(asked(&format!("{uid}: {}", text(annotation, "/name")), text(annotation, "/target/expr")));
        }
        for variable in list(&board, "/templating/list") {
            if let Some(selector) = label_values(variable) {
                queries.push(asked(&format!("{uid}: ${}", text(variable, "/name")), selector));
            }
        }
    }
    queries
}

/// Every query of a panel, with the panel and the target.
fn targets() -> Vec<(Asked, Value, Value)> {
    let mut targets = Vec::new();
    for (uid, panel) in every_panel() {
        for target in list(&panel, "/targets") {
            let asked = asked(&format!("{uid}: {}", text(&panel, "/title")), text(target, "/expr"));
            targets.push((asked, panel.clone(), target.clone()));
        }
    }
    targets
}

fn asked(at: &str, text: &str) -> Asked {
    Asked { at: at.to_owned(), text: text.to_owned() }
}

fn label_values(variable: &Value) -> Option<&str> {
    let (selector, _) = text(variable, "/query/query").strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(", ")?;
    Some(selector)
}

/// What Grafana's variables stand for does not matter to the grammar, but for the window.
fn parsed(query: &Asked) -> Expr {
    parse(&query.text.replace("$__rate_interval", "1m")).unwrap_or_else(|error| panic!("{}: {}: {error}", query.at, query.text))
}

/// A series that a query asks for, with what is done to it: the innermost function and aggregation around it.
struct Use {
    series: VectorSelector,
    function: Option<&'static str>,
    aggregation: Option<(TokenType, Vec<String>)>,
    is_range: bool,
}

fn uses(expr: &Expr) -> Vec<Use> {
    fn visit(expr: &Expr, function: Option<&'static str>, aggregation: Option<&AggregateExpr>, found: &mut Vec<Use>) {
        let mut use_of = |series: &VectorSelector, is_range: bool| {
            let labels = |aggregate: &AggregateExpr| aggregate.modifier.as_ref().map(|by| by.labels().labels.clone()).unwrap_or_default();
            let aggregation = aggregation.map(|aggregate| (aggregate.op, labels(aggregate)));
            found.push(Use { series: series.clone(), function, aggregation, is_range });
        };
        match expr {
            Expr::VectorSelector(series) => use_of(series, false),
            Expr::MatrixSelector(range) => use_of(&range.vs, true),
            Expr::Aggregate(aggregate) => visit(&aggregate.expr, function, Some(aggregate), found),
            Expr::Call(call) => call.args.args.iter().for_each(|argument| visit(argument, Some(call.func.name), aggregation, found)),
            Expr::Binary(binary) => {
                visit(&binary.lhs, function, aggregation, found);
                visit(&binary.rhs, function, aggregation, found);
            }
            Expr::Paren(paren) => visit(&paren.expr, function, aggregation, found),
            Expr::Unary(unary) => visit(&unary.expr, function, aggregation, found),
            Expr::Subquery(subquery) => visit(&subquery.expr, function, aggregation, found),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }
    let mut found = Vec::new();
    visit(expr, None, None, &mut found);
    found
}

/// Every series that any query asks for.
fn used() -> Vec<(Asked, Use, Known)> {
    let mut used = Vec::new();
    for query in queries() {
        for one in uses(&parsed(&query)) {
            let known = known(&query, &one.series);
            used.push((query.clone(), one, known));
        }
    }
    used
}

/// The same without the questions of variables, which choose by fewer labels.
fn used_by_panels() -> Vec<(Asked, Use, Known)> {
    used().into_iter().filter(|(query, ..)| !query.at.contains('$')).collect()
}

fn known(query: &Asked, series: &VectorSelector) -> Known {
    let name = series.name.as_deref().unwrap_or_else(|| panic!("{}: {} asks for no metric by name", query.at, query.text));
    catalog::find(name).unwrap_or_else(|| panic!("{}: there is no metric {name}", query.at))
}

/// All labels that a series of the metric has.
fn labels(known: &Known) -> HashSet<&'static str> {
    let bucket = (known.kind == Kind::Histogram).then_some("le");
    known.labels.iter().chain(known.target_labels).copied().chain(bucket).collect()
}

#[test]
fn queries_ask_for_metrics_and_labels_that_exist() {
    for query in queries() {
        let expr = parsed(&query);
        let mut of_all = HashSet::new();
        for used in uses(&expr) {
            let known = known(&query, &used.series);
            let labels = labels(&known);
            for matcher in &used.series.matchers.matchers {
                assert!(labels.contains(matcher.name.as_str()), "{}: {} has no label {}", query.at, known.name, matcher.name);
            }
            for label in used.aggregation.iter().flat_map(|(_, by)| by) {
                assert!(labels.contains(label.as_str()), "{}: {} has no label {label}", query.at, known.name);
            }
            of_all.extend(labels);
        }
        for label in outer_labels(&expr) {
            assert!(of_all.contains(label.as_str()), "{}: no metric in {} has a label {label}", query.at, query.text);
        }
    }
}

/// The labels of every aggregation and join.
fn outer_labels(expr: &Expr) -> Vec<String> {
    struct Labels(Vec<String>);
    impl ExprVisitor for Labels {
        type Error = std::convert::Infallible;
        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            let modifier = match expr {
                Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
                Expr::Binary(binary) => binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()),
                _ => None,
            };
            self.0.extend(modifier.into_iter().flat_map(|by| by.labels().labels.clone()));
            Ok(true)
        }
    }
    let mut labels = Labels(Vec::new());
    walk_expr(&mut labels, expr).unwrap();
    labels.0
}

#[test]
fn legends_name_labels_that_the_answer_has() {
    for (query, panel, target) in targets() {
        let kept: HashSet<String> = outer_labels(&parsed(&query)).into_iter().collect();
        let columns = list(&panel, "/transformations").iter().flat_map(|change| change["options"]["renameByName"].as_object().unwrap());
        let columns = columns.map(|(column, _)| column.as_str()).filter(|column| *column != "Value");
        let named = text(&target, "/legendFormat").split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0);
        for label in columns.chain(named) {
            assert!(kept.contains(label), "{}: {label} is not kept by {}", query.at, query.text);
        }
    }
}

/// What the reader has chosen is chosen in every query.
#[test]
fn queries_choose_by_the_boards_variables() {
    for (query, used, known) in used_by_panels() {
        for (label, wanted) in [("transport", "transport=$transport"), ("job", "job=~$job"), ("instance", "instance=~$instance")] {
            if known.target_labels.contains(&label) {
                let chosen = used.series.matchers.find_matchers(label);
                let [matcher] = chosen.as_slice() else { panic!("{}: {} is not chosen by {label}", query.at, known.name) };
                assert_eq!(format!("{}{}{}", matcher.name, matcher.op, matcher.value), wanted, "{}: {}", query.at, known.name);
            }
        }
        // By service and tenant, unless the panel is about one.
        for label in ["service", "tenant_id"] {
            if known.pulse && known.labels.contains(&label) {
                assert!(!used.series.matchers.find_matchers(label).is_empty(), "{}: {} is not chosen by {label}", query.at, known.name);
            }
        }
    }
}

/// A counter alone says nothing; a rate of a gauge says something wrong.
#[test]
fn counters_are_rated_and_gauges_are_not() {
    for (query, used, known) in used_by_panels() {
        let rated = used.is_range && matches!(used.function, Some("rate" | "increase"));
        assert_eq!(rated, known.kind != Kind::Gauge, "{}: {:?} of {}", query.at, used.function, known.name);
    }
}

#[test]
fn windows_follow_the_scrape_interval() {
    for query in queries() {
        for window in query.text.split('[').skip(1) {
            assert_eq!(window.split_once(']').unwrap().0, "$__rate_interval", "{}: {}", query.at, query.text);
        }
    }
}

/// Every replica says the same of what lies in the store: added up, it would be counted as often as there are replicas.
#[test]
fn what_replicas_agree_on_is_never_added_up() {
    let mut seen = HashSet::new();
    for (query, used, known) in used().into_iter().filter(|(.., known)| known.shared) {
        let (aggregation, _) = used.aggregation.unwrap_or_else(|| panic!("{}: {} is shown for each replica", query.at, known.name));
        assert!([token::T_MAX, token::T_MIN].contains(&aggregation.id()), "{}: {} is added up", query.at, known.name);
        seen.insert(known.name);
    }
    let shared: HashSet<&str> = catalog::all().filter(|known| known.shared).map(|known| known.name).collect();
    assert_eq!(seen, shared);
    assert!(!shared.is_empty());
}

/// `histogram_quantile` needs `le`, and sees nothing without a rate.
#[test]
fn quantiles_are_of_rated_buckets() {
    for (query, used, _) in used() {
        if used.series.name.as_deref().unwrap_or_default().ends_with("_bucket") {
            let (aggregation, by) = used.aggregation.as_ref().unwrap();
            assert!(aggregation.id() == token::T_SUM && by.contains(&"le".to_owned()), "{}: {}", query.at, query.text);
        }
    }
}
