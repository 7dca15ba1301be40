use super::{Bench, kinds};
use crate::run::{Event, Interrupt, Options};

const CHAIN: &str = r#"
    [stage.a]
    kind = "sum"
    plus = 21
    [stage.b]
    kind = "rough"
    of = "a"
    [stage.c]
    kind = "sum"
    of = "b"
    plus = 1
"#;

#[test]
fn what_is_there_does_not_run_again() {
    let bench = Bench::new();
    let first = bench.run(CHAIN);
    assert_eq!(first.ran(), ["a", "b", "c"]);
    assert_eq!(bench.shown("c/number"), "21\n");
    assert!(first.summary.is_success());
    let second = bench.run(CHAIN);
    assert_eq!((second.summary.hits, second.summary.ran), (3, 0));
    // The view is put back when it is missing, without running anything.
    std::fs::remove_dir_all(bench.path("artifacts")).unwrap();
    assert_eq!(bench.run(CHAIN).summary.ran, 0);
    assert_eq!(bench.shown("a/number"), "21\n");
}

#[test]
fn a_change_stops_where_it_makes_no_difference_and_going_back_is_a_hit() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let near = CHAIN.replace("21", "22");
    let told = bench.run(&near);
    assert_eq!(told.ran(), ["a", "b"]);
    assert_eq!(told.reasons("a"), ["parameter `plus` changed: 21 → 22"]);
    assert!(told.reasons("b")[0].starts_with("input `of"), "{:?}", told.reasons("b"));
    let far = CHAIN.replace("21", "35");
    assert_eq!(bench.run(&far).ran(), ["a", "b", "c"]);
    assert_eq!(bench.shown("c/number"), "31\n");
    assert_eq!(bench.run(CHAIN).summary.ran, 0);
    assert_eq!(bench.shown("c/number"), "21\n");
}

#[test]
fn a_failure_stops_what_needs_it_and_nothing_else() {
    let bench = Bench::new();
    for (way, error) in [
        ("error", "bad: as asked for"),
        ("panic", "bad: kind `odd` panicked, which is a bug: as asked for"),
        ("nothing", "bad: the stage wrote nothing to its output `number`"),
    ] {
        let text = format!(
            r#"
            [stage.bad]
            kind = "odd"
            way = "{way}"
            [stage.after]
            kind = "sum"
            of = "bad.number"
            [stage.last]
            kind = "sum"
            of = ["after", "fine"]
            [stage.fine]
            kind = "sum"
            plus = 3
            [stage.finer]
            kind = "sum"
            of = "fine"
            "#
        );
        let told = bench.run(&text);
        assert_eq!(told.failures(), [error]);
        assert_eq!(told.summary.failed, ["bad"]);
        assert_eq!(told.summary.skipped, 2);
        assert!(!told.summary.is_success());
        assert_eq!(bench.shown("finer/number"), "3\n");
    }
}

#[test]
fn only_what_is_wanted_runs() {
    let bench = Bench::new();
    let wanted = |stage: &str| Options { wanted: vec![stage.to_owned()], ..bench.options() };
    assert_eq!(bench.run_with(CHAIN, &wanted("b")).ran(), ["a", "b"]);
    assert_eq!(bench.run_with(CHAIN, &wanted("c")).ran(), ["c"]);
}

#[test]
fn matrices_run_cell_by_cell_and_are_gathered() {
    let bench = Bench::new();
    let text = r#"
        [stage.a]
        kind = "sum"
        matrix.plus = [1, 2, 3]
        [stage.b]
        kind = "sum"
        of = "a"
        plus = 10
        [stage.all]
        kind = "sum"
        of = "b[*]"
    "#;
    assert_eq!(bench.run(text).summary.ran, 7);
    assert_eq!(bench.shown("all/number"), "36\n");
    assert_eq!(bench.shown("b/plus=2/number"), "12\n");
    let told = bench.run(&text.replace("[1, 2, 3]", "[1, 2, 4]"));
    assert_eq!(told.ran(), ["a[plus=4]", "b[plus=4]", "all"]);
}

#[test]
fn damaged_content_is_found_said_and_rebuilt() {
    let bench = Bench::new();
    bench.run(CHAIN);
    // Read by `b`, because `c` changes nothing above it.
    bench.flip("a/number");
    let told = bench.run(&CHAIN.replace("plus = 1\n", "plus = 2\n"));
    assert!(told.events.iter().any(|event| matches!(event, Event::Damage { .. })));
    assert_eq!(told.ran(), ["a", "c"]);
    assert_eq!(told.reasons("a"), ["its stored content is damaged"]);
    assert_eq!(bench.shown("c/number"), "22\n");
    assert!(told.summary.is_success());
    assert_eq!(bench.run(CHAIN).summary.ran, 0);
}

#[test]
fn damage_that_only_a_reader_sees_sends_it_back_to_the_producer() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let digest = crate::Digest::of(b"21\n").hex();
    let blob = bench.path("store/blobs").join(&digest[..2]).join(&digest);
    let times = std::fs::metadata(&blob).unwrap().modified().unwrap();
    super::flip(&blob);
    // Bits that rot on the disk leave the times as they were.
    std::fs::File::open(&blob).unwrap().set_modified(times).unwrap();
    let more = format!("{CHAIN}\n[stage.d]\nkind = \"sum\"\nof = \"a\"\nplus = 5\n");
    let told = bench.run(&more);
    assert!(told.summary.is_success(), "{:?}", told.failures());
    assert_eq!(told.ran(), ["a", "d"]);
    assert_eq!(bench.shown("d/number"), "26\n");
    assert!(told.events.iter().any(|event| matches!(event, Event::Damage { .. })));
}

#[test]
fn two_runs_at_once_share_the_work() {
    let bench = Bench::new();
    let text = r#"
        [stage.a]
        kind = "patient"
        matrix.milliseconds = [40, 41, 42, 43]
        [stage.b]
        kind = "sum"
        of = "a[*]"
    "#;
    bench.plan(text);
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| bench.run(text));
        let two = bench.run(text);
        (one.join().unwrap(), two)
    });
    assert!(one.summary.is_success() && two.summary.is_success());
    assert_eq!(one.summary.ran + two.summary.ran, 5, "{:?} {:?}", one.ran(), two.ran());
    assert_eq!(bench.shown("b/number"), "4\n");
}

#[test]
fn cells_of_one_key_in_one_run_are_computed_once() {
    let bench = Bench::new();
    let told = bench.run(
        "[stage.a]\nkind = \"patient\"\nmilliseconds = 30\n\
         [stage.b]\nkind = \"patient\"\nmilliseconds = 30\n",
    );
    assert_eq!((told.summary.ran, told.summary.hits), (1, 1));
}

#[test]
fn a_run_that_is_asked_to_stop_leaves_whole_results() {
    let bench = Bench::new();
    let text = "[stage.a]\nkind = \"sum\"\n[stage.b]\nkind = \"patient\"\nmilliseconds = 60000\n\
                [stage.c]\nkind = \"sum\"\nof = \"b\"\n";
    let interrupt = Interrupt::default();
    let options = Options { interrupt: interrupt.clone(), ..bench.options() };
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        interrupt.ask();
    });
    let told = bench.run_with(text, &options);
    assert!(told.summary.cancelled && !told.summary.is_success());
    assert!(told.failures().is_empty());
    assert_eq!(told.ran(), ["a"]);
    assert_eq!(bench.run_with("[stage.a]\nkind = \"sum\"\n", &bench.options()).summary.hits, 1);
}

#[test]
fn verifying_compares_bits_and_passes_over_what_is_volatile() {
    let bench = Bench::new();
    let text = |way: &str| {
        format!(
            "[stage.a]\nkind = \"odd\"\nway = \"{way}\"\n[stage.b]\nkind = \"sum\"\nof = \"a.number\"\n"
        )
    };
    let verify = Options { verify: true, ..bench.options() };
    let absent = bench.run_with(&text("good"), &verify);
    assert_eq!((absent.summary.absent, absent.summary.ran), (2, 0));
    bench.run(&text("good"));
    let good = bench.run_with(&text("good"), &verify);
    assert_eq!(good.summary.verified, 2);
    assert!(good.summary.is_success());
    bench.run(&text("random"));
    let bad = bench.run_with(&text("random"), &verify);
    assert_eq!((bad.summary.differing, bad.summary.verified), (vec!["a".to_owned()], 1));
    // The store still has what it had.
    assert_eq!(bench.run(&text("random")).summary.hits, 2);
}

#[test]
fn what_is_forced_runs_and_its_readers_only_if_it_gives_something_else() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let options = Options { force: vec!["a".to_owned()], ..bench.options() };
    let told = bench.run_with(CHAIN, &options);
    assert_eq!(told.ran(), ["a"]);
    assert_eq!(told.summary.hits, 2);
}

#[test]
fn what_is_forced_runs_although_its_input_proves_damaged() {
    let bench = Bench::new();
    bench.run(CHAIN);
    bench.rot("b/number");
    let options = Options { force: vec!["c".to_owned()], ..bench.options() };
    let told = bench.run_with(CHAIN, &options);
    assert_eq!(told.ran(), ["b", "c"]);
    assert_eq!(told.reasons("b"), ["its stored content is damaged"]);
    assert_eq!(told.reasons("c"), ["it was asked for"]);
    assert!(told.damage().iter().all(|(_, rebuilt)| *rebuilt));
    assert!(told.damage().iter().all(|(text, _)| !text.contains("missing")), "{:?}", told.damage());
    assert_eq!(bench.run(CHAIN).summary.ran, 0);
}

#[test]
fn verifying_reads_what_is_stored_and_rebuilds_nothing() {
    let bench = Bench::new();
    bench.run(CHAIN);
    bench.rot("b/number");
    let verify = Options { verify: true, ..bench.options() };
    let told = bench.run_with(CHAIN, &verify);
    assert_eq!(
        (told.summary.verified, told.summary.failed.as_slice()),
        (1, &["b", "c"].map(str::to_owned)[..])
    );
    let failures = told.failures();
    let begin = ["b: reading the stored output `number`: stored content", "c: reading input `of`"];
    for (failure, begin) in failures.iter().zip(begin) {
        assert!(failure.starts_with(begin) && failure.contains("is damaged"), "{failure}");
    }
    assert!(told.damage().iter().all(|(_, rebuilt)| !rebuilt), "{:?}", told.damage());
    assert!(!told.summary.is_success());
    // Its result is known to be damaged, and not just absent.
    let again = bench.run_with(CHAIN, &verify);
    let damaged = |event: &Event| matches!(event, Event::CellAbsent { damaged: true, .. });
    assert_eq!(again.events.iter().filter(|event| damaged(event)).count(), 1);
    assert!(again.damage()[0].0.ends_with("was damaged, and is in quarantine"));
    assert_eq!(bench.run(CHAIN).ran(), ["b"]);
    assert_eq!(bench.run_with(CHAIN, &verify).summary.verified, 3);
}

#[test]
fn results_that_the_pipeline_no_longer_has_are_not_shown_any_more() {
    let bench = Bench::new();
    let text = "[stage.a]\nkind = \"sum\"\nmatrix.plus = [1, 2]\n\
                [stage.b]\nkind = \"odd\"\nway = \"good\"\n";
    assert_eq!(bench.run(text).removed(), [""; 0]);
    std::fs::write(bench.path("artifacts/p/a/notes.md"), "mine").unwrap();
    let fewer = bench.run(&text.replace("[1, 2]", "[2]"));
    assert_eq!(fewer.summary.ran, 0);
    assert_eq!(fewer.removed(), ["a/plus=1"]);
    assert!(!bench.path("artifacts/p/a/plus=1").exists());
    // Verifying changes nothing.
    let renamed = text.replace("stage.b", "stage.c");
    bench.run_with(&renamed, &Options { verify: true, ..bench.options() });
    assert_eq!(bench.shown("b/number/number"), "0");
    assert_eq!(bench.run(&renamed).removed(), ["b/clock", "b/number"]);
    assert_eq!(bench.shown("c/number/number"), "0");
    assert!(!bench.path("artifacts/p/b").exists());
    // A part of the graph, and another kind with one output.
    let one = renamed.replace("\"odd\"\nway = \"good\"", "\"sum\"");
    let part = Options { wanted: vec!["a".to_owned()], ..bench.options() };
    assert_eq!(bench.run_with(&one, &part).removed(), ["c/clock", "c/number"]);
    assert_eq!(bench.shown("a/plus=1/number"), "1\n");
    assert_eq!(bench.shown("a/notes.md"), "mine");
    bench.run(&one);
    assert_eq!(bench.shown("c/number"), "0\n");
}

#[test]
fn a_result_that_cannot_be_shown_is_no_success() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("artifacts/p/a/number/mine")).unwrap();
    let told = bench.run("[stage.a]\nkind = \"sum\"\n");
    assert_eq!((told.summary.ran, told.summary.unshown.clone()), (1, vec!["a".to_owned()]));
    assert!(!told.summary.is_success());
}

#[test]
fn cells_share_the_threads() {
    let bench = Bench::new();
    let text = r#"
        [stage.small]
        kind = "crowd"
        threads = 1
        matrix.number = [1, 2, 3, 4, 5, 6]
        [stage.large]
        kind = "crowd"
        threads = 3
        matrix.number = [7, 8]
        [stage.huge]
        kind = "crowd"
        threads = 64
        number = 9
    "#;
    assert_eq!(bench.run(text).summary.ran, 9);
    // Two that can use all threads come one after the other, many side by side.
    let text = "[stage.few]\nkind = \"crowd\"\nthreads = 0\nmatrix.number = [1, 2]\n";
    assert_eq!((bench.run(text).summary.ran, kinds::fewest()), (2, 4));
    let text = text.replace("few", "many").replace("1, 2", "3, 4, 5, 6, 7");
    assert_eq!((bench.run(&text).summary.ran, kinds::fewest()), (5, 1));
    assert!((2..=4).contains(&kinds::most()), "{}", kinds::most());
}

#[test]
fn files_are_taken_in_by_content() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("data")).unwrap();
    std::fs::write(bench.path("data/number"), "5").unwrap();
    let text = "[stage.data]\nkind = \"file\"\npath = \"data\"\n\
                [stage.sum]\nkind = \"sum\"\nof = \"data\"\n";
    assert_eq!(bench.run(text).ran(), ["data", "sum"]);
    // Touched, moved and renamed: nothing to do.
    std::fs::write(bench.path("data/number"), "5").unwrap();
    std::fs::rename(bench.path("data"), bench.path("moved")).unwrap();
    let moved = text.replace("path = \"data\"", "path = \"moved\"");
    assert_eq!(bench.run(&moved).summary.ran, 0);
    std::fs::write(bench.path("moved/number"), "6").unwrap();
    let told = bench.run(&moved);
    assert_eq!(told.ran(), ["data", "sum"]);
    assert!(told.reasons("data")[0].starts_with("content changed"));
    assert_eq!(bench.shown("sum/number"), "6\n");
    // The user's own files are not shown again.
    assert!(!bench.path("artifacts/p/data").exists());

    // What the store lost is taken in again when it is needed.
    let digest = crate::Digest::of(b"6").hex();
    let blob = bench.path("store/blobs").join(&digest[..2]).join(&digest);
    std::fs::remove_file(blob).unwrap();
    let told = bench.run(&format!("{moved}plus = 1\n"));
    assert_eq!(told.ran(), ["data", "sum"], "{:?}", told.failures());
    assert_eq!(bench.shown("sum/number"), "7\n");

    std::fs::remove_dir_all(bench.path("moved")).unwrap();
    let told = bench.run(&moved);
    assert!(told.failures()[0].contains("moved"), "{:?}", told.failures());
    assert_eq!(told.summary.skipped, 1);
}

#[test]
fn cells_are_named_as_on_edges() {
    let bench = Bench::new();
    let text = r#"
        [stage.a]
        kind = "sum"
        matrix.plus = [1, 2, 3]
        [stage.b]
        kind = "odd"
        of = "a"
        matrix.way = ["one", "two"]
    "#;
    let wanted = |name: &str| Options { wanted: vec![name.to_owned()], ..bench.options() };
    assert_eq!(
        bench.run_with(text, &wanted("b[plus=3,way=two]")).ran(),
        ["a[plus=3]", "b[plus=3,way=two]"]
    );
    assert_eq!(bench.run_with(text, &wanted("b[way=two]")).ran().len(), 4);
    let force = vec!["b[ way = two, plus = 1.0 ]".to_owned()];
    let forced = Options { force, ..wanted("b[way=two]") };
    assert_eq!(bench.run_with(text, &forced).ran(), ["b[plus=1,way=two]"]);
    let verified = bench.run_with(text, &Options { verify: true, ..wanted("b[plus=3,way=*]") });
    assert_eq!((verified.summary.verified, verified.summary.absent), (1, 1));
}

#[test]
fn names_that_mean_no_cell_are_refused() {
    let bench = Bench::new();
    let text = r#"
        [stage.numbers]
        kind = "sum"
        matrix.plus = [1, 2]
        [stage.total-of-ones]
        kind = "sum"
        [stage.total-of-twos]
        kind = "sum"
    "#;
    let (store, plan) = (bench.store(), bench.plan(text));
    let executor = bench.executor(&store);
    let said = |name: &str| {
        let options = Options { wanted: vec![name.to_owned()], ..bench.options() };
        let told = crate::run::execute(&plan, &store, &executor, &options, &|_| {});
        told.unwrap_err().to_string()
    };
    assert_eq!(said("nubmers"), "pipeline `p` has no stage `nubmers`; did you mean `numbers`?");
    assert_eq!(
        said("nubmers[plus=1]"),
        "pipeline `p` has no stage `nubmers`; did you mean `numbers`?"
    );
    assert_eq!(
        said("x"),
        "pipeline `p` has no stage `x`; there are: `numbers`, `total-of-ones`, `total-of-twos`"
    );
    assert_eq!(said("num"), "pipeline `p` has no stage `num`; did you mean `numbers`?");
    let several = "did you mean one of `total-of-ones`, `total-of-twos`?";
    assert_eq!(said("total"), format!("pipeline `p` has no stage `total`; {several}"));
    for name in ["numbers[plus=3]", "numbers[minus=1]"] {
        let there = "there are: `numbers[plus=1]`, `numbers[plus=2]`";
        assert_eq!(said(name), format!("stage `numbers` has no cell `{name}`; {there}"));
    }
    for name in ["numbers[plus]", "numbers.sum", "numbers["] {
        let such = "expected `numbers` or some of its cells, such as `numbers[plus=2]`";
        assert_eq!(said(name), format!("`{name}`: {such}"));
    }
}

const POSTER: &str = r#"
    [stage.poster]
    kind = "poster"
    text = "{{ {measure.share:.1%} }}, noted {measure.note}"
    lines = ["{measure.metrics.share}", "{none}"]
    [stage.measure]
    kind = "measure"
    share = 0.5
"#;

#[test]
fn texts_carry_results_and_run_again_when_these_change() {
    let bench = Bench::new();
    let poster = POSTER.replace("{none}", "{{none}}");
    assert_eq!(bench.run(&poster).ran(), ["measure", "poster"], "after what it carries");
    assert_eq!(bench.shown("poster/number"), "{ 50.0% }, noted 0|0.5|{none}");
    assert_eq!(bench.run(&poster).summary.ran, 0);
    let other = poster.replace("share = 0.5", "share = 0.25");
    assert_eq!(bench.run(&other).ran(), ["measure", "poster"]);
    assert_eq!(bench.shown("poster/number"), "{ 25.0% }, noted 0|0.25|{none}");
    let wrong = poster.replace("measure.metrics.share", "measure.metrics.shape");
    assert_eq!(
        bench.run(&wrong).failures(),
        [
            "poster: parameter `lines`: `{measure.metrics.shape}`: `measure.metrics` has no metric `shape`; it has `share`"
        ]
    );
}

#[test]
fn a_run_is_recorded_with_its_cells_and_their_keys() {
    use crate::store::{Invocation, RunEnd, RunState};
    let bench = Bench::new();
    let invocation = Invocation { wanted: vec!["a".to_owned()], ..Invocation::default() };
    let options = Options { record: Some(invocation.clone()), ..bench.options() };
    let text = "[stage.a]\nkind = 'sum'\n[stage.bad]\nkind = 'odd'\nway = 'error'\n[stage.c]\n\
                kind = 'sum'\nof = 'bad.number'\n";
    bench.run_with("[stage.a]\nkind = 'sum'\n", &options);
    bench.run_with(text, &options);
    bench.run(text);
    let verify = Options { verify: true, ..options };
    bench.run_with("[stage.a]\nkind = 'sum'\n", &verify);
    let store = bench.store();
    let runs = store.runs().unwrap();
    let ends: Vec<_> = runs.iter().map(|run| (run.id, run.end, run.cells)).collect();
    assert_eq!(ends, [(1, RunEnd::Succeeded, 1), (2, RunEnd::Failed, 3)], "others are no runs");
    assert_eq!((runs[0].counts.ran, runs[1].counts.fresh, runs[1].counts.skipped), (1, 1, 1));
    assert_eq!(runs[1].invocation, invocation);
    let cells = store.run_cells(2).unwrap();
    let states: Vec<_> = cells.iter().map(|one| (one.cell.to_string(), one.state)).collect();
    let expected = [("a", RunState::Fresh), ("bad", RunState::Failed), ("c", RunState::Skipped)];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
    assert_eq!(cells[1].error.as_deref(), Some("as asked for"));
    assert!(cells[1].started.unwrap() <= cells[1].ended.unwrap());
    let first = &store.run_cells(1).unwrap()[0];
    assert_eq!((first.state, first.key), (RunState::Ran, cells[0].key));
    assert_eq!(store.receipt(&first.key.unwrap()).unwrap().unwrap().cell.stage, "a");
}
