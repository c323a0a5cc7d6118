//! Every link leads somewhere: to a board that is there, or to traces.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::dashboards::{every_panel, list, text, written};
use pulse_boards::catalog;

#[test]
fn links_lead_to_boards_that_are_there() {
    let boards = written();
    let uids: HashSet<&str> = boards.iter().map(|(uid, _)| uid.as_str()).collect();
    let mut followed = HashSet::new();
    for (uid, panel) in &every_panel() {
        for link in list(panel, "/links") {
            let url = text(link, "/url");
            let target = url.strip_prefix("/d/").and_then(|rest| rest.split_once('?')).unwrap_or_else(|| panic!("{uid}: {url}"));
            assert!(uids.contains(target.0), "{uid}: {url} leads to no board");
            assert_ne!(target.0, uid, "a board that leads to itself");
            assert_eq!(target.1, "${__url_time_range}&${__all_variables}", "{uid}: {url} takes along what is chosen");
            followed.insert(target.0.to_owned());
        }
    }
    assert!(followed.len() > 4, "boards lead to each other: {followed:?}");
}

#[test]
fn every_board_links_to_all_others() {
    for (uid, board) in written() {
        let links = list(&board, "/links");
        assert_eq!(links.len(), 1, "{uid}");
        assert_eq!((text(&links[0], "/type"), &links[0]["tags"]), ("dashboards", &serde_json::json!(["pulse"])), "{uid}");
        assert_eq!((&links[0]["includeVars"], &links[0]["keepTime"]), (&true.into(), &true.into()), "{uid}");
    }
}

/// A panel of one of Pulse's own latencies leads to traces. Where a series says its service, to that one's.
#[test]
fn latencies_lead_to_traces() {
    let services: HashSet<&str> = catalog::PULSE.iter().map(|(service, _)| *service).collect();
    let mut leading = 0;
    for (uid, panel) in &every_panel() {
        let asks = |part: &str| list(panel, "/targets").iter().any(|target| text(target, "/expr").contains(part));
        let of_one_service =
            asks("pulse_alert_latency") || asks("pulse_http_request_duration") || asks("service=\"") || asks("by (le, service");
        let title = text(panel, "/title");
        let links = list(panel, "/fieldConfig/defaults/links");
        if asks("histogram_quantile") && asks("pulse_") && of_one_service {
            assert_eq!(links.len(), 1, "{uid}: {title} leads to no traces");
        }
        for link in links {
            let service = service_of(link);
            let known = services.contains(service.as_str()) || (service == "${__field.labels.service}" && asks("by (le, service"));
            assert!(known, "{uid}: {title} leads to the traces of {service}");
            leading += 1;
        }
    }
    assert!(leading > 10, "{leading} panels lead to traces");
}

/// The service in the question that a link asks Tempo.
fn service_of(link: &Value) -> String {
    let url = text(link, "/url");
    let panes = url.strip_prefix("/explore?schemaVersion=1&panes=").unwrap_or_else(|| panic!("{url}"));
    let panes: Value = serde_json::from_str(&percent_decode_str(panes).decode_utf8().unwrap()).unwrap();
    let query = &panes["traces"]["queries"][0];
    assert_eq!((text(query, "/queryType"), text(query, "/datasource/uid")), ("traceql", "${tempo}"));
    let question = text(query, "/query");
    let service = question
        .strip_prefix(r#"{resource.service.namespace="pulse" && resource.service.name=""#)
        .and_then(|rest| rest.strip_suffix("\"}"));
    service.unwrap_or_else(|| panic!("{question}")).to_owned()
}
