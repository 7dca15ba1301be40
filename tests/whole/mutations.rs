//! Pipeline files with slips of the pen: every one is planned or refused with its place.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::kills::random;

/// How many mutations there are of all texts; `SCONCE_TEST_MUTATIONS` asks for more.
const MUTATIONS: usize = 60;

/// For builds without the kinds of the shipped pipelines.
const STUDY: &str = r#"
name = "study"
seed = 3
[vars]
words = "one two"
line = ["wc", "$option"]
option = "-w"
[defaults.command]
outputs = ["x"]
[stage.text]
kind = "command"
run = "echo $words > x"
env = { words = "$words" }
resources = { threads = 1, memory = "1 GiB" }
[stage.count]
kind = "command"
run = "$line"
inputs = ["text"]
outputs = { number = { path = "n", type = "folder" } }
matrix.unit = ["words", "bytes"]
matrix.setting = { plain = {}, seeded = { seeded = true } }
[stage.table]
kind = "command"
run = "cat rows/*/* > x"
inputs = { rows = "count[*]", one = "count.number[unit=words, setting=plain]" }
[profile.small]
vars.words = "one"
stage.count.matrix.unit = ["words"]
"#;

/// What people write by mistake in place of a value.
const VALUES: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "nan",
    "99999999999999999999",
    "0.5",
    "\"\"",
    "\"x\"",
    "true",
    "[]",
    "{}",
    "[[], {}]",
    "\"$x\"",
    "\"$$x\"",
    "\"{x}\"",
    "\"{seed\"",
    "\"a[*]\"",
    "\"a[x=1|2].b\"",
    "'''",
    "\"",
    "1979-05-27",
    "[1, \"1\"]",
    "{ a = { b = 1 } }",
    "\"\\u0000é猫\"",
];

/// A text with one slip; which one follows from `state`.
fn mutated(text: &str, state: &mut u64) -> String {
    let mut pick = |count: usize| (random(state) % count.max(1) as u64) as usize;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = pick(lines.len());
    let other = pick(lines.len());
    // A place between two characters of the line.
    let cuts: Vec<usize> = lines[at].char_indices().map(|(place, _)| place).collect();
    let cut = cuts.get(pick(cuts.len())).copied().unwrap_or(0);
    let line = lines[at].clone();
    let (key, value) = line.split_once('=').unwrap_or((&line, ""));
    match pick(14) {
        0 => _ = lines.remove(at),
        1 => lines.insert(at, line),
        2 => lines.insert(other, line),
        3 => lines.swap(at, other),
        4 => lines[at] = format!("{key}= {}", VALUES[pick(VALUES.len())]),
        5 => lines[at] = format!("{key}=\n"),
        6 => lines[at] = format!("x{}={value}", key.trim()),
        7 => lines[at] = key.to_owned(),
        8 => {
            lines[at] = lines[other].split('=').next().unwrap_or_default().to_owned() + "=" + value
        }
        9 => {
            lines[at] = format!("{key}={}", lines[other].split('=').next_back().unwrap_or_default())
        }
        10 => {
            let brackets: Vec<_> = line.match_indices(['[', ']', '{', '}', '"', ',']).collect();
            match brackets.get(pick(brackets.len())) {
                Some((place, bracket)) => {
                    lines[at].replace_range(*place..place + bracket.len(), "");
                }
                None => lines[at].push(']'),
            }
        }
        11 => lines[at].insert_str(
            cut,
            ["[", "]", "{", "}", "\"", ",", ".", "=", "$", "#", "\0", "é"][pick(12)],
        ),
        12 => lines[at].truncate(cut),
        _ => lines.truncate(at),
    }
    lines.join("\n")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how much a test does is asked for there")]
fn a_slip_in_a_pipeline_file_is_planned_or_refused_with_its_place() {
    let texts = match cfg!(feature = "chapters") {
        true => crate::layout::pipelines()
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect(),
        false => vec![STUDY.to_owned()],
    };
    let count = std::env::var("SCONCE_TEST_MUTATIONS").ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(MUTATIONS);
    let (mut state, mut refused, mut slowest) = (17, 0, Duration::ZERO);
    for number in 0..count {
        let text = mutated(&texts[number % texts.len()], &mut state);
        let bench = Bench::new(&text);
        let start = Instant::now();
        let said = bench.sconce(&["plan", "p.toml"]);
        slowest = slowest.max(start.elapsed());
        let case = || format!("{number}: {}\n{text}", said.err);
        assert!(matches!(said.code, Some(0..=2)), "{}", case());
        assert!(!said.err.contains("panicked") && !said.err.contains("bug"), "{}", case());
        if said.code == Some(2) {
            refused += 1;
            let errors = said.err.lines().filter(|line| line.starts_with("error: "));
            let told = errors.filter(|line| !line.starts_with("error: p.toml: ")).count();
            let place = |line: &&str| line.trim_start().starts_with("--> p.toml:");
            let places = said.err.lines().filter(place).count();
            assert!(told > 0 && places >= told, "{}", case());
        }
    }
    println!("{count} mutations, {refused} refused, the slowest took {slowest:?}");
    assert!(refused > count / 3);
}
