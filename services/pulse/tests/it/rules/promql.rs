//! Every metric and label in a rule is one that the code defines, and counters are read as counters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, LabelModifier, VectorSelector, parse};
use pulse_domain::job::ErrorKind;
use pulse_telemetry::Kind;

use super::{Rule, RuleFile, alerts, files, read, repository, rules};
use crate::collector_config::OWN_METRICS;
use crate::docs::SOURCES;

/// Four pushes at the usual pace of one a minute; scrapes are closer together.
const RANGE_MIN: Duration = Duration::from_secs(4 * 60);
/// What Prometheus and the way in add to each series.
const TARGET: [&str; 3] = ["job", "instance", "transport"];

/// A series that a rule may read.
struct Known {
    labels: BTreeSet<String>,
    counter: bool,
}

fn labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    labels.into_iter().map(str::to_owned).collect()
}

/// Every series by name: the services', the collector's own, Prometheus's `up`, and what rules record.
fn known(rules: &[Rule]) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for definition in SOURCES.iter().flat_map(|(_, definitions)| *definitions) {
        let own = || TARGET.into_iter().chain(definition.labels.iter().copied());
        let series: &[(&str, bool)] = match definition.kind {
            Kind::Histogram => &[("_bucket", true), ("_count", true), ("_sum", true)],
            Kind::Counter => &[("", true)],
            Kind::Gauge | Kind::UpDownCounter => &[("", false)],
        };
        for (suffix, counter) in series {
            let le = (*suffix == "_bucket").then_some("le");
            known.insert(format!("{}{suffix}", definition.name), Known { labels: labels(own().chain(le)), counter: *counter });
        }
    }
    for (name, own) in OWN_METRICS {
        known.insert((*name).to_owned(), Known { labels: labels(["job", "instance"].iter().chain(*own).copied()), counter: false });
    }
    known.insert("up".to_owned(), Known { labels: labels(TARGET), counter: false });
    for rule in rules {
        if let Some(name) = &rule.record {
            known.insert(name.clone(), Known { labels: kept(rule), counter: false });
        }
    }
    known
}

/// The labels that a recording keeps: those of its level, each a word that its aggregations name, and transport where there is one.
fn kept(rule: &Rule) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    walk(&parse(&rule.expr).unwrap(), &mut |expr| {
        if let Expr::Aggregate(aggregate) = expr
            && let Some(LabelModifier::Include(labels)) = &aggregate.modifier
        {
            kept.extend(labels.labels.iter().cloned());
        }
    });
    kept
}

/// Calls `visit` on an expression and on all that it is made of.
fn walk(expr: &Expr, visit: &mut impl FnMut(&Expr)) {
    visit(expr);
    match expr {
        Expr::Aggregate(aggregate) => walk(&aggregate.expr, visit),
        Expr::Unary(unary) => walk(&unary.expr, visit),
        Expr::Binary(binary) => {
            walk(&binary.lhs, visit);
            walk(&binary.rhs, visit);
        }
        Expr::Paren(paren) => walk(&paren.expr, visit),
        Expr::Subquery(subquery) => walk(&subquery.expr, visit),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| walk(argument, visit)),
        _ => {}
    }
}

/// The names that a selector takes: its own, or those that its pattern for `__name__` fits.
fn names<'a>(selector: &'a VectorSelector, known: &'a BTreeMap<String, Known>) -> Vec<&'a str> {
    if let Some(name) = &selector.name {
        return vec![name];
    }
    let pattern = selector.matchers.matchers.iter().find(|matcher| matcher.name == "__name__");
    let fits = |name: &&str| pattern.is_some_and(|pattern: &Matcher| pattern.is_match(name));
    known.keys().map(String::as_str).filter(fits).collect()
}

/// What is wrong with a selector; `range` is that of a matrix.
fn check_selector(selector: &VectorSelector, range: Option<Duration>, known: &BTreeMap<String, Known>, complaints: &mut Vec<String>) {
    let names = names(selector, known);
    if names.is_empty() {
        complaints.push(format!("{selector} fits no metric"));
    }
    for name in names {
        let Some(series) = known.get(name) else {
            complaints.push(format!("there is no metric {name}"));
            continue;
        };
        for matcher in selector.matchers.matchers.iter().filter(|matcher| matcher.name != "__name__") {
            if !series.labels.contains(&matcher.name) {
                complaints.push(format!("{name} has no label {}", matcher.name));
            }
        }
        if series.counter && range.is_none_or(|range| range < RANGE_MIN) {
            complaints.push(format!("{name} is a counter: read it over a range of at least {RANGE_MIN:?}, not {range:?}"));
        }
    }
}

/// The selector that an expression is, of an instant or of a range.
fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

/// The labels that series under an expression may have.
fn labels_under(expr: &Expr, known: &BTreeMap<String, Known>) -> BTreeSet<String> {
    let mut under = BTreeSet::new();
    walk(expr, &mut |expr| {
        let Some(selector) = selector(expr) else { return };
        under.extend(names(selector, known).into_iter().filter_map(|name| known.get(name)).flat_map(|series| series.labels.clone()));
    });
    under
}

fn complaints(expr: &Expr, known: &BTreeMap<String, Known>) -> Vec<String> {
    let mut complaints = Vec::new();
    walk(expr, &mut |part| {
        let modifier = match part {
            Expr::VectorSelector(selector) => return check_selector(selector, None, known, &mut complaints),
            Expr::MatrixSelector(matrix) => return check_selector(&matrix.vs, Some(matrix.range), known, &mut complaints),
            Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
            Expr::Binary(binary) => binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()),
            _ => return,
        };
        let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = modifier else { return };
        let under = labels_under(part, known);
        complaints
            .extend(labels.labels.iter().filter(|label| !under.contains(*label)).map(|label| format!("nothing has the label {label}")));
    });
    complaints
}

#[test]
fn every_metric_and_label_in_a_rule_exists_and_counters_are_rated() {
    let rules = rules();
    let known = known(&rules);
    for rule in &rules {
        let name = rule.alert.as_ref().or(rule.record.as_ref()).expect("a rule has a name");
        let expr = parse(&rule.expr).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(complaints(&expr, &known), Vec::<String>::new(), "{name}");
    }
}

/// The queries of a page: the lines of its blocks that are marked promql, without their remarks.
fn queries(page: &str) -> Vec<&str> {
    let blocks = page.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap_or_default().trim()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn queries_of_the_docs_are_about_what_exists() {
    let known = known(&rules());
    let docs = repository().join("docs");
    let pages = [docs.clone(), docs.join("runbooks")].into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut checked = 0;
    for page in pages.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        for query in queries(&std::fs::read_to_string(&page).unwrap()) {
            let expr = parse(query).unwrap_or_else(|error| panic!("{}: {query}: {error}", page.display()));
            assert_eq!(complaints(&expr, &known), Vec::<String>::new(), "{}: {query}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} queries were found");
}

#[test]
fn what_does_not_exist_is_noticed() {
    let known = known(&rules());
    for (expr, says) in [
        ("pulse_no_such_total", "there is no metric pulse_no_such_total"),
        ("pulse_queue_depth{queue=\"x\"}", "pulse_queue_depth has no label queue"),
        ("sum by (tenant_id) (pulse_queue_depth)", "nothing has the label tenant_id"),
        ("pulse_processing_total", "pulse_processing_total is a counter"),
        ("rate(pulse_processing_total[1m])", "pulse_processing_total is a counter"),
        ("pulse_alert_latency_seconds", "there is no metric pulse_alert_latency_seconds"),
        ("{__name__=~\"otelcol_nothing_.*\"}", "fits no metric"),
        ("pulse_queue_depth * on (tenant_id) pulse_queue_depth", "nothing has the label tenant_id"),
    ] {
        let complaints = complaints(&parse(expr).unwrap(), &known).join("; ");
        assert!(complaints.contains(says), "{expr}: {complaints:?}");
    }
}

#[test]
fn a_recordings_name_begins_with_the_labels_that_it_keeps() {
    for rule in rules().iter().filter(|rule| rule.record.is_some()) {
        let name = rule.record.as_deref().unwrap_or_default();
        let [level, metric, operation] = name.split(':').collect::<Vec<_>>()[..] else { panic!("{name} is not level:metric:operation") };
        assert!(!metric.is_empty() && !operation.is_empty(), "{name}");
        let mut kept = kept(rule);
        assert_eq!(kept.remove("transport"), metric.starts_with("pulse_"), "{name}: what services send is told apart by transport");
        let mut words: BTreeSet<String> = kept.iter().flat_map(|label| label.split('_').map(str::to_owned)).collect();
        assert!(level.split('_').all(|word| words.remove(word)) && words.is_empty(), "{name} keeps {kept:?}");
    }
}

/// Groups are evaluated side by side, the rules of one in their order: what another group records may be there or not yet.
#[test]
fn a_rule_reads_only_what_its_own_group_has_recorded_before_it() {
    for group in files("rules").iter().flat_map(|file| read::<RuleFile>(file).groups) {
        let mut recorded = BTreeSet::new();
        for rule in group.rules {
            walk(&parse(&rule.expr).unwrap(), &mut |expr| {
                let name = selector(expr).and_then(|selector| selector.name.as_deref()).filter(|name| name.contains(':'));
                assert!(name.is_none_or(|name| recorded.contains(name)), "{name:?} in {}", rule.expr);
            });
            recorded.extend(rule.record);
        }
    }
}

/// The values that a matcher for `outcome` takes, in the expression of an alert or recording.
fn outcomes(expr: &str) -> BTreeSet<&'static str> {
    let mut taken = BTreeSet::new();
    walk(&parse(expr).unwrap(), &mut |part| {
        let Expr::MatrixSelector(matrix) = part else { return };
        for matcher in
            matrix.vs.matchers.matchers.iter().filter(|matcher| matcher.name == "outcome" && matches!(matcher.op, MatchOp::Re(_)))
        {
            taken.extend(ErrorKind::ALL.map(ErrorKind::as_str).into_iter().chain(["success"]).filter(|outcome| matcher.is_match(outcome)));
        }
    });
    taken
}

#[test]
fn every_way_in_which_a_delivery_fails_is_judged_once() {
    let recorded = rules();
    let failed = recorded.iter().find(|rule| rule.record.as_deref() == Some("job:pulse_delivery_attempts_failed:increase1h")).unwrap();
    let (failed, rejected) = (outcomes(&failed.expr), outcomes(&alerts()["PulseDeliveryRejected"].expr));
    assert!(failed.is_disjoint(&rejected), "{failed:?} {rejected:?}");
    let judged: BTreeSet<_> = failed.union(&rejected).copied().collect();
    assert_eq!(judged, ErrorKind::ALL.map(ErrorKind::as_str).into());
}
