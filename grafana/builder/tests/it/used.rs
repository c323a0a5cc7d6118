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
        .flat_map(|query| query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter_map(|word| catalog::find(word))
        .map(|known| known.name)
        .collect();
    let unseen: Vec<&str> = catalog::all().map(|known| known.name).filter(|name| !asked.contains(name)).collect();
    assert!(unseen.is_empty(), "no board shows {unseen:?}");
}
