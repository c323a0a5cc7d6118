//! The boards' files checked against the rules of Grafana's dashboard linter that make sense here, and against what else a board needs to be read.

use std::collections::HashSet;

use serde_json::Value;

use pulse_boards::board::TAG;
use pulse_boards::{boards, files, layout};

/// The boards' files, by their uids.
pub(crate) fn written() -> Vec<(String, Value)> {
    let directory = files::directory();
    let read = |board: &pulse_boards::board::Board| {
        let text = std::fs::read_to_string(directory.join(files::path(board))).unwrap();
        (board.uid.to_owned(), serde_json::from_str(&text).unwrap())
    };
    boards::all().iter().map(read).collect()
}

pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} of {value} is a number"))
}

/// Every panel but the rows' heads.
pub(crate) fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    list(board, "/panels").iter().filter(|panel| text(panel, "/type") != "row")
}

/// Every panel of every board, with the board's uid.
pub(crate) fn every_panel() -> Vec<(String, Value)> {
    let of = |(uid, board): &(String, Value)| panels(board).map(|panel| (uid.clone(), panel.clone())).collect::<Vec<_>>();
    written().iter().flat_map(of).collect()
}

fn variable<'a>(board: &'a Value, name: &str) -> Option<&'a Value> {
    list(board, "/templating/list").iter().find(|variable| text(variable, "/name") == name)
}

#[test]
fn boards_are_found_and_not_edited_by_hand() {
    let mut uids = HashSet::new();
    let mut titles = HashSet::new();
    for (uid, board) in written() {
        assert_eq!(text(&board, "/uid"), uid);
        assert!(uids.insert(uid.clone()) && titles.insert(text(&board, "/title").to_owned()), "{uid} stands twice");
        assert_eq!(board["editable"], false, "{uid}");
        assert!(board["schemaVersion"].as_u64() >= Some(39), "{uid}");
        assert!(list(&board, "/tags").contains(&TAG.into()), "{uid}");
        assert!(!text(&board, "/description").is_empty(), "{uid}");
    }
}

#[test]
fn panels_say_what_they_show() {
    for (uid, panel) in &every_panel() {
        let title = text(panel, "/title");
        assert!(!title.is_empty(), "{uid}: a panel without a title");
        assert!(text(panel, "/description").ends_with('.'), "{uid}: {title}: a description is a sentence");
        assert!(!text(panel, "/fieldConfig/defaults/unit").is_empty(), "{uid}: {title} has no unit");
        assert!(!list(panel, "/targets").is_empty(), "{uid}: {title} asks nothing");
    }
}

#[test]
fn rows_are_questions() {
    for (uid, board) in written() {
        let all = list(&board, "/panels");
        assert_eq!(text(&all[0], "/type"), "row", "{uid} begins with a question");
        for row in all.iter().filter(|panel| text(panel, "/type") == "row") {
            assert!(text(row, "/title").ends_with('?'), "{uid}: {} is no question", row["title"]);
        }
    }
}

#[test]
fn no_two_panels_share_a_place_or_an_id() {
    for (uid, board) in written() {
        let (mut ids, mut taken) = (HashSet::new(), HashSet::new());
        for panel in list(&board, "/panels") {
            let title = &panel["title"];
            assert!(ids.insert(number(panel, "/id")), "{uid}: {title}: its id stands twice");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| number(panel, &format!("/gridPos/{side}")));
            assert!(w > 0 && h > 0 && x + w <= u64::from(layout::COLUMNS), "{uid}: {title} is outside");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{uid}: {title} lies on another panel");
            }
        }
    }
}

#[test]
fn the_reader_chooses_the_data_source() {
    for (uid, board) in written() {
        let chosen = variable(&board, "datasource").unwrap_or_else(|| panic!("{uid} has no variable datasource"));
        assert_eq!((text(chosen, "/type"), text(chosen, "/query")), ("datasource", "prometheus"), "{uid}");
        let annotations = list(&board, "/annotations/list").iter();
        let templated = list(&board, "/templating/list").iter().filter(|variable| text(variable, "/type") == "query");
        let targets = panels(&board).flat_map(|panel| list(panel, "/targets"));
        for asking in panels(&board).chain(annotations).chain(templated).chain(targets) {
            let source = (text(asking, "/datasource/type"), text(asking, "/datasource/uid"));
            assert_eq!(source, ("prometheus", "${datasource}"), "{uid}: {asking}");
        }
    }
}

#[test]
fn job_and_instance_can_be_chosen() {
    for (uid, board) in written() {
        for name in ["job", "instance"] {
            let chosen = variable(&board, name).unwrap_or_else(|| panic!("{uid} has no variable {name}"));
            assert_eq!((text(chosen, "/type"), text(chosen, "/allValue")), ("query", ".+"), "{uid}: {name}");
            assert_eq!((&chosen["multi"], &chosen["includeAll"]), (&true.into(), &true.into()), "{uid}: {name}");
            assert_eq!(chosen["refresh"], 2, "{uid}: {name} follows the time that is shown");
        }
    }
}

#[test]
fn every_variable_is_used_and_every_one_that_is_used_is_there() {
    for (uid, board) in written() {
        let defined: HashSet<&str> = list(&board, "/templating/list").iter().map(|variable| text(variable, "/name")).collect();
        // The definitions of the variables themselves are the next test's.
        let mut used = HashSet::new();
        for part in ["panels", "annotations", "links"] {
            used.extend(dollars(&board[part].to_string()));
        }
        for name in &defined {
            assert!(used.contains(*name), "{uid}: nothing uses ${name}");
        }
        for name in used.iter().filter(|name| !name.starts_with("__")) {
            assert!(defined.contains(name.as_str()), "{uid}: ${name} is not defined");
        }
    }
}

/// The names after dollar signs.
fn dollars(text: &str) -> Vec<String> {
    let after = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn a_variable_follows_those_it_asks_for() {
    for (uid, board) in written() {
        let mut known = vec!["__all".to_owned()];
        for variable in list(&board, "/templating/list") {
            for name in dollars(&variable.to_string()) {
                assert!(known.contains(&name), "{uid}: {} asks for ${name}, which stands behind it", variable["name"]);
            }
            known.push(text(variable, "/name").to_owned());
        }
    }
}
