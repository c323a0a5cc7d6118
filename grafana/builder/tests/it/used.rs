//! Nothing is exported that nobody looks at.

use std::collections::BTreeSet;

use pulse_boards::{boards, catalog};

#[test]
fn every_metric_stands_on_some_board() {
    let boards = boards::all();
    let queries: Vec<&str> =
        boards.iter().flat_map(|board| board.panels()).flat_map(|panel| &panel.queries).map(|query| query.expr.as_str()).collect();
    let asked: BTreeSet<&str> = queries
        .iter()
        .flat_map(|query| query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':'))
        .filter_map(catalog::find)
        .map(|known| known.name)
        .collect();
    let unseen: Vec<&str> = catalog::all().map(|known| known.name).filter(|name| !asked.contains(name)).collect();
    assert!(unseen.is_empty(), "no board shows {unseen:?}");
}

/// What a board takes from the rules is recorded there.
#[test]
fn recorded_series_are_recorded() {
    let rules = pulse_boards::files::directory().join("../prometheus/rules");
    let rules: String = std::fs::read_dir(rules).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let recorded: Vec<&str> = catalog::all().map(|known| known.name).filter(|name| name.contains(':')).collect();
    assert!(!recorded.is_empty());
    for name in recorded {
        assert!(rules.lines().any(|line| line.trim().trim_start_matches("- ") == format!("record: {name}")), "no rule records {name}");
    }
}
