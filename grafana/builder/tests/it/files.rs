//! The files in the repository are what the code makes.

use pulse_boards::{boards, files, render};

#[test]
fn the_files_are_what_the_code_makes() {
    let directory = files::directory();
    let boards = boards::all();
    let mut expected: Vec<_> = boards.iter().map(files::path).collect();
    expected.sort();
    assert_eq!(files::present(&directory).unwrap(), expected, "cargo run -p pulse-boards");
    for board in &boards {
        let written = std::fs::read_to_string(directory.join(files::path(board))).unwrap();
        assert!(written == render::json(board).unwrap(), "{} is not what the code makes: cargo run -p pulse-boards", board.uid);
    }
}

#[test]
fn writing_removes_what_is_no_boards() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("Pulse")).unwrap();
    std::fs::write(directory.path().join("Pulse/old.json"), "{}").unwrap();
    files::write(directory.path()).unwrap();
    assert_eq!(files::present(directory.path()).unwrap(), files::present(&files::directory()).unwrap());
}
