//! Bad pipeline files, each with its exact message: the table is `bad_files.txt`.

use super::errors;

#[test]
fn every_bad_file_has_its_exact_message() {
    let cases: Vec<_> = include_str!("bad_files.txt").split("\n=== ").skip(1).collect();
    assert!(cases.len() >= 30, "found {} cases", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let (head, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.split_once("---\n").unwrap();
        let options: Vec<_> = head.split(" | ").skip(1).collect();
        let found = errors(text, &options);
        if found != expected.trim_end() {
            wrong.push_str(&format!("=== {head}\n{text}---\n{found}\n\n"));
        }
    }
    assert!(wrong.is_empty(), "these messages differ from the table:\n{wrong}");
}
