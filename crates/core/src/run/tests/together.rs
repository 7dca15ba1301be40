use super::{Bench, kinds::take_runs};
use crate::run::Options;

fn many(ways: &str, numbers: &str) -> String {
    format!(
        r#"
        [stage.many]
        kind = "many"
        matrix.way = {ways}
        matrix.number = {numbers}
        [stage.all]
        kind = "sum"
        of = "many[*]"
        "#
    )
}

/// Numbers of the stages that were run since the last time.
fn ran(way: &str) -> Vec<i64> {
    take_runs(way).into_iter().map(|(number, _)| number).collect()
}

/// 4 is not written on the way, so that it is computed by itself.
#[test]
fn one_cell_writes_the_outputs_of_those_that_wait_for_it() {
    let bench = Bench::new();
    let told = bench.run(&many("['some']", "[1, 2, 3, 4, 5, 6]"));
    assert_eq!((told.summary.ran, told.failures()), (7, vec![]));
    // Threads are not shared with cells that will only take what is there.
    let runs = take_runs("some");
    assert_eq!((runs[0], runs[1].0, runs.len()), ((1, 4), 4, 2));
    for number in ["1", "2", "3", "4", "5", "6"] {
        assert_eq!(bench.shown(&format!("many/way=some,number={number}/number")), number);
    }
    assert_eq!(bench.shown("all/number"), "21\n");
    assert_eq!(std::fs::read_dir(bench.path("store/checkpoints")).unwrap().count(), 0);
    assert_eq!(bench.run(&many("['some']", "[1, 2, 3, 4, 5, 6]")).summary.hits, 7);
    bench.run(&many("['some']", "[1, 7, 8]"));
    assert_eq!(ran("some"), [7]);
}

#[test]
fn only_cells_that_differ_in_nothing_else_are_siblings() {
    let bench = Bench::new();
    assert!(bench.run(&many("['one', 'two']", "[1, 2, 3]")).summary.is_success());
    assert_eq!((ran("one"), ran("two")), (vec![1], vec![1]));
}

#[test]
fn a_failure_is_of_one_cell_alone() {
    let bench = Bench::new();
    let told = bench.run(&many("['late']", "[1, 2, 3]"));
    assert_eq!(told.failures(), ["many[way=late,number=1]: as asked for"]);
    assert_eq!(ran("late"), [1]);
    assert_eq!(bench.shown("many/way=late,number=3/number"), "3");
    let told = bench.run(&many("['early']", "[1, 2, 3]"));
    assert_eq!(told.failures(), ["many[way=early,number=1]: as asked for"]);
    // The failure may have been because of them.
    let mut early = ran("early");
    early.sort_unstable();
    assert_eq!(early, [1, 2, 3]);
    assert_eq!(bench.shown("many/way=early,number=3/number"), "3");
}

/// Whoever verifies or forces wants to see the stage itself run.
#[test]
fn what_is_verified_or_forced_is_computed_by_itself() {
    let bench = Bench::new();
    let text = many("['again']", "[1, 2, 3]");
    bench.run(&text);
    assert_eq!(ran("again"), [1]);
    let verify = Options { verify: true, ..bench.options() };
    assert_eq!(bench.run_with(&text, &verify).summary.verified, 4);
    let again = || {
        let mut numbers = ran("again");
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(again(), [1, 2, 3]);
    let force = Options { force: vec!["many".to_owned()], ..bench.options() };
    assert_eq!(bench.run_with(&text, &force).summary.ran, 3);
    assert_eq!(again(), [1, 2, 3]);
    // Also where the store holds nothing yet.
    assert_eq!(bench.run_with(&many("['again']", "[7, 8]"), &force).summary.ran, 3);
    assert_eq!(again(), [7, 8]);
}
