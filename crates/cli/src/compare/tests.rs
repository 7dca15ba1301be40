//! Columns and conditions over rows made by hand.

use std::collections::{BTreeMap, BTreeSet};

use sconce_core::{CellId, Coordinates};
use serde_json::{Value, json};

use super::expression::{columns, parse};
use super::frame::{Frame, Group};
use super::side::{Found, Side, State};

fn found(stage: &str, axes: &[(&str, Value)], parameters: Value, numbers: &[(&str, f64)]) -> Found {
    let coordinates: Coordinates =
        axes.iter().map(|(axis, value)| ((*axis).to_owned(), value.clone())).collect();
    Found {
        cell: CellId { stage: stage.to_owned(), coordinates },
        state: State::Fresh,
        key: None,
        parameters,
        seed: None,
        kind: None,
        yields_metrics: true,
        receipt: None,
        numbers: numbers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    }
}

/// Three cells of one side, and what they were made of in another stage.
fn sides() -> Vec<Side> {
    let cell = |c: f64, way: &str, more: Value, score: f64| {
        let mut parameters = json!({ "c": c, "fixed": [1, 2], "deep": { "rate": c / 2.0 } });
        parameters["more"] = more;
        found("svm", &[("c", json!(c))], parameters, &[("score", score), ("c", 9.0), (way, 1.0)])
    };
    let side = |name: &str, size: u64, cells: Vec<Found>| {
        let data = found("data", &[], json!({ "size": size, "same": 1 }), &[]);
        let labels = vec![("profile", name.to_owned())];
        let aside = found("aside", &[], json!({ "size": size }), &[]);
        let cells = [data, aside].into_iter().chain(cells).collect();
        let reads = BTreeMap::from([("svm".to_owned(), BTreeSet::from(["data".to_owned()]))]);
        Side { labels, cells, reads: Some(reads) }
    };
    vec![
        side("a", 64, vec![cell(1.0, "x", json!("a b"), 0.5), cell(10.0, "x", json!(true), 0.25)]),
        side("b", 128, vec![cell(1.0, "y", Value::Null, 0.75)]),
    ]
}

fn frame() -> Frame {
    Frame::of(&sides(), vec![(0, 2), (0, 3), (1, 2)])
}

fn names(frame: &Frame, places: &[usize]) -> Vec<String> {
    places.iter().map(|&place| frame.columns[place].name.clone()).collect()
}

#[test]
fn columns_are_what_differs_and_other_stages_tell_sides_apart() {
    let frame = frame();
    let shown = names(&frame, &frame.differing());
    let expected = ["profile", "parameters.c", "deep.rate", "more", "data.size", "score", "x", "y"];
    assert_eq!(shown, expected);
    let groups: BTreeMap<&str, Group> =
        frame.columns.iter().map(|column| (column.name.as_str(), column.group)).collect();
    assert_eq!((groups["data.same"], groups["metrics.c"]), (Group::Stage, Group::Metric));
    assert!(!groups.contains_key("aside.size"), "the rows do not read it");
}

#[test]
fn what_another_kind_lacks_does_not_differ() {
    let cell = |stage: &str, kind: &str, version, parameters| Found {
        kind: Some((kind.to_owned(), version)),
        ..found(stage, &[], parameters, &[("score", f64::from(version))])
    };
    let of = |cells: Vec<Found>| {
        let rows = (0..cells.len()).map(|cell| (0, cell)).collect();
        let side = Side { labels: Vec::new(), cells, reads: None };
        let frame = Frame::of(&[side], rows);
        names(&frame, &frame.differing())
    };
    let svm = |stage, version, c| cell(stage, "fit-svm", version, json!({ "c": c, "max": 9 }));
    let tested = cell("test", "evaluate", 1, json!({ "split": "test" }));
    // `max` and `split` are the same wherever they are, and a stage has one kind.
    let cells = vec![svm("one", 1, 1.0), svm("two", 2, 10.0), tested];
    assert_eq!(of(cells), ["stage", "c", "score"]);
    // Two versions of one.
    assert_eq!(of(vec![svm("one", 1, 1.0), svm("one", 2, 1.0)]), ["kind", "score"]);
}

#[test]
fn sides_are_told_apart_by_what_differs_and_common_metrics_come_first() {
    let side = |profile: &str, variant: &str| Side {
        labels: vec![("profile", profile.to_owned()), ("variant", variant.to_owned())],
        cells: Vec::new(),
        reads: None,
    };
    let words = |sides: &[Side]| sides.iter().map(|one| one.words(sides)).collect::<Vec<_>>();
    assert_eq!(words(&[side("(none)", ""), side("quick", "")]), ["(none)", "quick"]);
    assert_eq!(words(&[side("(none)", ""), side("(none)", "c=1")]), ["(none)", "c=1"]);
    let cell = |stage, numbers: &[(&str, f64)]| found(stage, &[], json!({}), numbers);
    let cells = vec![
        cell("a", &[("copies", 1.0)]),
        cell("b", &[("accuracy", 1.0)]),
        cell("c", &[("accuracy", 2.0)]),
    ];
    let frame =
        Frame::of(&[Side { labels: Vec::new(), cells, reads: None }], vec![(0, 0), (0, 1), (0, 2)]);
    assert_eq!(names(&frame, &frame.differing()), ["stage", "accuracy", "copies"]);
}

#[test]
fn conditions_hold_where_they_say() {
    let frame = frame();
    let rows = |text: &str| -> Vec<usize> {
        let condition = parse(text, &frame).unwrap_or_else(|error| panic!("{text}: {error}"));
        (0..3).filter(|&row| condition.holds(&frame, row)).collect()
    };
    for (text, expected) in [
        ("score > 0.3", &[0, 2][..]),
        ("score >= 0.5 and parameters.c = 1", &[0, 2]),
        ("score < 0.3 or score > 0.6", &[1, 2]),
        // `and` binds more tightly than `or`.
        ("profile = b or profile = a and score < 0.3", &[1, 2]),
        ("(profile = b or profile = a) and score < 0.3", &[1]),
        ("not profile = a", &[2]),
        ("not (score > 0.3 or more)", &[1][..0]),
        ("more", &[1]),
        ("more = 'a b'", &[0]),
        ("more ~ \"a\"", &[0]),
        // A value that is not there meets no condition, and not its opposite.
        ("more != true", &[0]),
        ("y = 1", &[2]),
        ("score<=5e-1 and score==0.5", &[0]),
        ("`deep.rate` = 0.5", &[0, 2]),
        ("score > deep.rate", &[2]),
        ("profile >= b", &[2]),
        ("data.size = 64", &[0, 1]),
    ] {
        assert_eq!(rows(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_condition_is_told_with_its_place() {
    let frame = frame();
    for (text, expected) in [
        ("c = 1", "`c` is several columns: expected `parameters.c` or `metrics.c`"),
        ("score", "nothing"),
        ("scor = 1", "--where:1:1: there is no column `scor`"),
        ("score = 'a", "--where:1:9: expected a second '"),
        ("score > x y", "expected `and`, `or` or the end, found `y`"),
        ("1 =", "--where:1:4: expected a column or a value"),
        ("'a'", "expected a comparison"),
        ("score > true", "`score` is a number, and this is true or false"),
        ("(score > 1", "expected `)`"),
        ("", "--where:1:1: expected a column or a value"),
        ("= 1", "expected a column or a value, found a sign"),
    ] {
        let found =
            parse(text, &frame).map_or_else(|error| error.to_string(), |_| "nothing".into());
        assert!(found.contains(expected), "{text}: {found}");
    }
    let sorted = columns("--sort", "-score, profile", &frame).unwrap();
    let sorted: Vec<_> =
        sorted.iter().map(|(place, down)| (names(&frame, &[*place]).remove(0), *down)).collect();
    assert_eq!(sorted, [("score".to_owned(), true), ("profile".to_owned(), false)]);
    let wrong = columns("--sort", "score,-nothing", &frame).unwrap_err().to_string();
    assert!(wrong.contains("--sort:1:7: there is no column `nothing`"), "{wrong}");
}
