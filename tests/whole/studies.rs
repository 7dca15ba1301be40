//! Written studies, from the text beside the pipeline file to the page.

use crate::bench::Bench;

const PIPELINE: &str = r#"
name = "p"
[stage.files]
kind = "fetch"
digest = "blake3:8904a163fd3e3d20eed39f7e3397ef8aa321eefff369827b8f70fc110d9e926e"
sources = ["embedded:photographs"]
[stage.photographs]
kind = "image-folder"
files = "files"
splits = []
[stage.copies]
kind = "duplicates"
images = "photographs"
[stage.table]
kind = "table"
title = "Copies"
rows = "copies"
[stage.study]
kind = "study"
text = "page.md"
[profile.other.stage.table]
title = "Other"
"#;

const TEXT: &str = "# Photographs\n\nThere are {{ copies.images | words }}, and {{ copies.duplicates | words }} twice: \
                    {{ ref table.figure }}.\n\n{{ table table.figure }}\n: Copies among {{ copies.images }}.\n";

fn bench(text: &str) -> Bench {
    let bench = Bench::new(PIPELINE);
    bench.write("page.md", text);
    bench
}

#[test]
fn a_text_becomes_a_page_and_only_a_changed_text_makes_it_anew() {
    let bench = bench(TEXT);
    bench.run(&[]);
    let page = bench.read("artifacts/p/study/study.html");
    for words in [
        "<title>Photographs</title>",
        "<p>There are six, and none twice: <a href=\"#table-1\">Table\u{a0}1</a>.</p>",
        "<strong>Table\u{a0}1.</strong> Copies among 6.",
        "<caption>Copies</caption>",
        "sconce run p.toml study</code>",
        "<td>copies</td><td>duplicates@",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    assert!(!page.contains("<script") && !page.contains("src=\"http"));
    // Moved and touched, it is the same text; changed, it alone runs again.
    let said = bench.run(&["--set", "stage.study.density=2"]);
    assert!(said.err.contains("Fresh"), "{}", said.err);
    bench.write("page.md", &TEXT.replace("There are", "One has"));
    let said = bench.run(&[]);
    assert!(said.err.contains("1 ran, 4 fresh"), "{}", said.err);
    assert!(said.err.contains("parameter `text` changed"), "{}", said.err);
    assert!(bench.read("artifacts/p/study/study.html").contains("<p>One has six,"));
    let said = bench.sconce(&["verify", "p.toml", "study"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    // What the page shows is what it depends on.
    let said = bench.run(&["--profile", "other"]);
    assert!(said.err.contains("2 ran, 3 fresh"), "{}", said.err);
    let page = bench.read("artifacts/p/study/study.html");
    assert!(
        page.contains("<caption>Other</caption>") && page.contains("study --profile other</code>")
    );
}

#[test]
fn a_wrong_reference_is_refused_before_anything_runs() {
    let text = "# A\n\nÄ {{ copys.images }}, {{ copies.duplicats | count }} and {{ figure copies }}\n\n{{ copies.images | cont }}";
    let bench = bench(text);
    let said = bench.sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    // The filter is the text's own mistake, and said first.
    assert!(
        said.err.contains("no filter `cont`") && said.err.contains("page.md:5:20"),
        "{}",
        said.err
    );
    bench.write("page.md", &text.replace("cont }}", "count }}"));
    let said = bench.sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    for words in [
        "there is no stage or parameter `copys`",
        "--> page.md:3:6",
        "did you mean `copies`?",
        "`copies.metrics` has no number `duplicats`",
        "--> page.md:3:26",
        "did you mean `duplicates`?",
        "wants a figure, but stage `copies` yields `table` (table), `metrics` (metrics)",
        "--> page.md:3:68",
        "  | ",
        "^^^^^^^^^^^^",
    ] {
        assert!(said.err.contains(words), "{words}\n{}", said.err);
    }
    assert!(!bench.path(".sconce").exists(), "nothing ran");
    std::fs::remove_file(bench.path("page.md")).unwrap();
    let said = bench.sconce(&["plan", "p.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("`text`: cannot read page.md")
            || said.err.contains("`text`: cannot read ./page.md"),
        "{}",
        said.err
    );
}

#[test]
fn what_is_wrong_while_rendering_has_its_place_too() {
    let bench = bench("# A\n\n{{ copies.images | power | percent }}\n");
    let said = bench.sconce(&["run", "p.toml"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("page.md:3:28: expected a number"), "{}", said.err);
    bench.write("page.md", "# A\n\nOf {{ copies.images }} images, 6.00 are there.\n");
    bench.run(&[]);
    let said = bench.sconce(&["run", "p.toml", "--set", "stage.study.strict=true"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    let words = "page.md:3:32: `6.00` is typed by hand, and copies.images is 6";
    assert!(said.err.contains(words), "{}", said.err);
}

#[test]
fn publish_takes_the_page_out() {
    let bench = bench(TEXT);
    let said = bench.sconce(&["publish", "p.toml", "--html", "out/page.html"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.out, "out/page.html\n");
    assert_eq!(bench.read("out/page.html"), bench.read("artifacts/p/study/study.html"));
    let said = bench.sconce(&["publish", "p.toml", "table"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("`table` is of kind `table`: expected a stage of kind `study`"),
        "{}",
        said.err
    );
    // Without a browser it says so before anything runs.
    let mut command = bench.command(&["publish", "p.toml", "--pdf", "page.pdf"]);
    let said = command.env("PATH", bench.path("nothing")).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        err.contains("a PDF is printed by a browser, and there is none of chromium, "),
        "{err}"
    );
    assert!(!bench.path("page.pdf").exists());
}

/// A browser is a stand-in here: that a real one prints the page is seen by eye.
#[test]
fn a_pdf_is_what_the_browser_prints() {
    use std::os::unix::fs::PermissionsExt;
    let bench = bench(TEXT);
    let script = "#!/bin/sh\nfor word; do case $word in --print-to-pdf=*) out=${word#*=};; file://*) page=${word#file://};; esac; done\n\
                  { echo '%PDF-1.4'; cat \"$page\"; } > \"$out\"\n";
    bench.write("bin/chromium", script);
    let program = bench.path("bin/chromium");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bench.path("bin").display());
    let mut command = bench.command(&["publish", "p.toml", "study", "--pdf", "page.pdf"]);
    let said = command.env("PATH", &path).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let pdf = bench.read("page.pdf");
    assert!(pdf.starts_with("%PDF-1.4\n<!doctype html>") && !pdf.contains("<details>"));
    bench.write("bin/chromium", "#!/bin/sh\necho no display >&2; exit 3\n");
    let mut command = bench.command(&["publish", "p.toml", "study", "--pdf", "other.pdf"]);
    let said = command.env("PATH", &path).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(err.contains("did not print the page (exit status: 3): no display"), "{err}");
}
