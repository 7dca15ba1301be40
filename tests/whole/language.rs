//! The pipeline language through the command: a stage after all layers, texts with results, the
//! page about it, the shipped pipelines.

use crate::bench::Bench;

const STUDY: &str = r#"
[vars]
word = "one"
[defaults.command]
outputs = ["text"]
env = { LANG = "C" }
[stage.a]
kind = "command"
run = "echo $word > text"
[stage.b]
kind = "command"
run = "cat a/text > text"
inputs = ["a"]
matrix.n = { first = { env = { N = "1" } }, second = {} }
[stage.c]
kind = "command"
run = "$$PROGRAM"
inputs = ["a"]
[profile.loud.defaults.command]
env = { LANG = "de" }
"#;

#[test]
fn a_stage_is_printed_as_it_is_after_all_layers() {
    let bench = Bench::new(STUDY);
    let options = ["--profile", "loud", "--set", "stage.a.run=ls", "--resolved"];
    let said = bench.sconce(&[&["show", "p.toml", "a"][..], &options].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    for line in [
        "[stage.a]",
        "kind = \"command\"    # p.toml:8",
        "outputs = [\"text\"]  # p.toml:5",
        "env.LANG = \"de\"     # p.toml:20",
        "run = \"ls\"          # --set stage.a.run = \"ls\"",
    ] {
        assert!(said.out.lines().any(|told| told == line), "{line}\n{}", said.out);
    }
    let all = bench.sconce(&["plan", "p.toml", "--resolved"]);
    assert_eq!(all.out.matches("[stage.").count(), 3, "{}", all.out);
    assert!(all.out.contains("matrix.n.first.env.N = \"1\""), "{}", all.out);
    // What is printed is a pipeline, and the same one.
    let cells = |file: &str| {
        let said = bench.sconce(&["plan", file, "--resolved", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        json["cells"].clone()
    };
    bench.write("again.toml", &all.out);
    assert_eq!(cells("p.toml"), cells("again.toml"));
    assert!(!bench.path("artifacts").exists(), "nothing ran");
}

#[cfg(feature = "chapters")]
mod chapters {
    use super::*;

    fn repository(path: &str) -> String {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn the_pages_blocks_are_one_pipeline() {
        let page = repository("docs/pipeline-file.md");
        let block = |part: &str| part.split_once("```").unwrap().0.to_owned();
        let blocks: Vec<_> = page.split("```toml\n").skip(1).map(block).collect();
        assert!(blocks.len() > 7, "found {}", blocks.len());
        let bench = Bench::new(&blocks.concat());
        for profile in [&[][..], &["--profile", "quick"], &["--profile", "quicker"]] {
            let said = bench.sconce(&[&["plan", "p.toml"], profile].concat());
            assert_eq!(said.code, Some(0), "{}", said.err);
            assert!(said.out.contains("maps[method=smoothgrad]"), "{}", said.out);
        }
        let said = bench.sconce(&["show", "p.toml", "methods", "--resolved"]);
        assert!(said.out.contains("caption = "), "{}", said.out);
        let json = bench.sconce(&["plan", "p.toml", "methods", "starts", "--resolved", "--json"]);
        let text = "SmoothGrad: 50 samples, σ = 0.15, 128 pixels, seed 0.";
        assert!(json.out.contains(text), "{}", json.out);
        assert!(json.out.contains("starts[start=blurred]"), "{}", json.out);
    }

    #[test]
    fn the_shipped_pipelines_are_short_and_plan_in_every_profile() {
        for (file, lines, profiles) in [
            ("interpretation", 500, &["quick", "pictures", "validation", "imagenet", "paper"][..]),
            ("transfer", 250, &["quick", "scenes", "vgg-conv", "paper"]),
        ] {
            let text = repository(&format!("pipelines/{file}.toml"));
            assert!(text.lines().count() <= lines, "{file}: {} lines", text.lines().count());
            let long = text.lines().find(|line| line.chars().count() > 140);
            assert_eq!(long, None, "{file}");
            let bench = Bench::new(&text);
            let study = format!("{file}.md");
            bench.write(&study, &repository(&format!("pipelines/{study}")));
            for profile in profiles {
                let said = bench.sconce(&["plan", "p.toml", "--profile", profile]);
                assert_eq!(said.code, Some(0), "{file} {profile}: {}", said.err);
            }
        }
    }
}
