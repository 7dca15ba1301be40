//! The README's example and outputs are real, and links of all pages lead somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use crate::layout::{files, read, root};

/// The text of the code blocks of a language, in order.
#[cfg(feature = "chapters")]
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let parts = page.split(&opening).skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
#[cfg(feature = "chapters")]
fn the_example_of_the_readme_runs_and_says_what_stands_there() {
    let page = read(&root().join("README.md"));
    let pipeline = blocks(&page, "toml").remove(0);
    let consoles = blocks(&page, "console");
    let bench = crate::bench::Bench::new("");
    bench.write("why.toml", &pipeline);
    let run = |line: &str| {
        let arguments: Vec<_> = line.split(' ').skip(2).collect();
        let said = bench.sconce(&arguments);
        assert_eq!(said.code, Some(0), "{line}: {}", said.err);
        said.err
    };
    run("$ sconce run why.toml");
    assert!(bench.path("artifacts/why/picture/maps.png").exists());
    // The changed parameter: the same cells run for the same reasons, in other seconds. What `⋮` leaves out is not compared.
    let mut said = String::new();
    for line in consoles[0].lines() {
        if line.starts_with('$') {
            said = run(line);
        } else if line.trim() != "⋮" {
            let seconds = line.find(" in ").or_else(|| line.find(" (0.")).unwrap_or(line.len());
            assert!(said.contains(&line[..seconds]), "README: {line}\nbut it said:\n{said}");
        }
    }
    // The mistake: the line that the message quotes stands in the file.
    let message = &consoles[1];
    let quoted = message.lines().find_map(|line| {
        let (number, text) = line.split_once(" | ")?;
        Some((number.trim().parse::<usize>().ok()?, text))
    });
    let (number, text) = quoted.expect("a message quotes a line");
    let mut lines: Vec<&str> = pipeline.lines().collect();
    lines[number - 1] = text;
    bench.write("why.toml", &lines.join("\n"));
    let said = bench.sconce(&["plan", "why.toml"]);
    assert_eq!(said.code, Some(2));
    let expected: String = message
        .lines()
        .skip_while(|line| line.starts_with('$'))
        .fold(String::new(), |text, line| text + line + "\n");
    assert!(
        said.err.contains(expected.trim_end()),
        "README:\n{expected}\nbut it said:\n{}",
        said.err
    );
}

#[test]
fn a_newcomer_reads_the_readme_in_a_few_minutes() {
    let words = read(&root().join("README.md")).split_whitespace().count();
    assert!(words <= 900, "README.md has {words} words; details have pages of their own");
}

/// The target of every Markdown link and of every picture.
fn targets(page: &str) -> Vec<&str> {
    let until = |start: &'static str, end: char| {
        page.split(start).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
    };
    until("](", ')').chain(until("<img src=\"", '"')).collect()
}

/// The names under which GitHub links to the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let kept = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .map(|name| name.chars().filter(|letter| kept(*letter)).collect())
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        pages.extend(path.extension().is_some_and(|other| other == "md").then_some(path));
    }
    for folder in ["crates", "pipelines", "docs", "artifacts", "examples"] {
        let folder = root.join(folder);
        pages.extend(if folder.exists() { files(&folder, "md") } else { Vec::new() });
    }
    assert!(pages.len() >= 5, "{pages:?}");
    for path in pages {
        let page = read(&path);
        for target in targets(&page) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(Path::new(&at).exists(), "{}: {target}", path.display());
            let known = anchor.is_empty() || anchors(&read(&at)).contains(anchor);
            assert!(known, "{}: no heading for {target}", path.display());
        }
    }
}

#[test]
fn targets_and_anchors_are_found() {
    let page = "# One: two, `three`\n[a](b.md#c) and <img src=\"d.png\" width=\"1\">";
    assert_eq!(targets(page), ["b.md#c", "d.png"]);
    assert_eq!(anchors(page), BTreeSet::from(["one-two-three".to_owned()]));
}
