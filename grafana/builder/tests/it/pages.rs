//! The pages and the check, against a Prometheus that is not there.

use pulse_boards::live::{self, Problem, Settings};
use pulse_boards::{boards, report};

/// A port that nobody listens on: bound and given back.
fn nobody() -> Settings {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Settings::new(format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_prometheus_that_is_not_there_is_a_finding_for_every_query() {
    let findings = live::check(&nobody()).await;
    let queries: usize = boards::all().iter().flat_map(|board| board.panels()).map(|panel| panel.queries.len()).sum();
    assert!(findings.len() > queries, "{} findings for {queries} queries and the variables", findings.len());
    for finding in &findings {
        assert!(matches!(&finding.problem, Problem::Failed(why) if why.contains("does not answer")), "{finding}");
    }
}

#[tokio::test]
async fn a_wrong_address_says_what_is_right() {
    let findings = live::check(&Settings { boards: vec!["pulse-collector".into()], ..Settings::new("localhost:9090") }).await;
    assert!(findings.iter().all(|finding| finding.board == "pulse-collector" && finding.to_string().contains("http://")), "{findings:?}");
    assert!(!findings.is_empty());
}

#[tokio::test]
async fn pages_show_every_panel_and_what_is_wrong_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let seen = live::look(&nobody()).await;
    let files = report::write(directory.path(), &seen).unwrap();
    assert_eq!(files.len(), boards::all().len() + 1);
    for board in boards::all() {
        let page = std::fs::read_to_string(directory.path().join(format!("{}.html", board.uid))).unwrap();
        for panel in board.panels() {
            let title = panel.title.replace('&', "&amp;");
            assert!(page.contains(&title), "{}: {title}", board.uid);
        }
        assert_eq!(page.matches("class=\"card bad\"").count(), board.panels().count(), "{}", board.uid);
        assert!(!page.contains("<script") && !page.contains("http-equiv"), "{} stands alone", board.uid);
    }
}
