//! Texts, without the engine around them.

use sconce_core::stage::document::Wants;
use serde_json::json;

use super::places::scan;
use super::*;

/// The marked parts of `text` as `«…»`, taken out, and the text without marks.
fn wrong(text: &str) -> String {
    let wrong = scan(text, &[]).expect_err("something is wrong");
    told("t.md", text, &wrong)
}

fn meanings() -> Meanings {
    let mut meanings = Meanings::default();
    let mut set = |name: &str, value: serde_json::Value| {
        meanings.values.insert(name.to_owned(), values::of_json(&value));
    };
    set("best-test.accuracy", json!(0.87772));
    set("test[layer=fire9,normalize=true].accuracy", json!(0.8777));
    set("maps.noise", json!(0.15_f32));
    set("images.count", json!(6000));
    set("svm.kind", json!("a_b*c"));
    set("compare.p", json!(2.04e-12));
    set(
        "test[*]",
        json!([
            { "layer": "fire5", "normalize": true, "accuracy": 0.5 },
            { "layer": "fire9", "normalize": true, "accuracy": 0.75 },
            { "layer": "fire9", "normalize": false, "accuracy": 0.25 },
        ]),
    );
    let part = |caption: &str, body: Body| Part {
        coordinates: Vec::new(),
        caption: caption.to_owned(),
        body,
    };
    let image = Body::Image { mime: "image/png", bytes: vec![1, 2, 3], width: Some(720) };
    meanings.exhibits.insert("curve".to_owned(), vec![part("A <curve>.", image)]);
    let html = Body::Html("<table></table>\n".to_owned());
    meanings.exhibits.insert("table.figure".to_owned(), vec![part("Of all.", html)]);
    meanings.numbers.push(("best-test.accuracy".to_owned(), 0.87772));
    meanings.labels.insert("fire9".to_owned(), "the last layer".to_owned());
    meanings
}

fn rendered(text: &str, strict: bool) -> Result<Page, String> {
    let scanned = scan(text, &[]).map_err(|wrong| told("t.md", text, &wrong))?;
    render(&scanned, &meanings(), strict).map_err(|wrong| told("t.md", text, &wrong))
}

/// The words of a paragraph.
fn filled(text: &str) -> String {
    let scanned = scan(text, &[]).unwrap();
    match fill(&scanned, &meanings()) {
        Ok((markdown, _)) => markdown,
        Err(error) => told("t.md", text, &[values::misplaced(&scanned, &error)]),
    }
}

#[test]
fn references_are_found_where_they_are() {
    let text = "a {{ best-test.accuracy | percent(1) }} {% if svm[c=1,layer=a b].model.c > other.x - y.z %}\
                {{ figure confusion }}{% endif %} {{ $size }}";
    let scanned = scan(text, &[]).unwrap();
    let places: Vec<_> =
        scanned.places.iter().map(|place| (&text[place.at.clone()], place.wants)).collect();
    let value = |number| Wants::Value { number };
    assert_eq!(
        places,
        [
            ("best-test.accuracy", value(true)),
            ("svm[c=1,layer=a b].model.c", value(false)),
            ("other.x", value(false)),
            ("y.z", value(false)),
            ("confusion", Wants::Artifact("figure")),
            ("$size", value(false)),
        ]
    );
    assert_eq!(
        scanned.template,
        "a {{ r0 | percent(1) }} {% if r1 > r2 - r3 %}{{ exhibit(0) }}{% endif %} {{ r4 }}"
    );
    let at = scanned.template.find("r1").unwrap();
    assert_eq!(&text[scanned.place(at..at + 2)], "svm[c=1,layer=a b].model.c");
    // What the template binds itself is no reference, and neither are words, strings and arguments.
    let text = "{% for row in test[*] %}{{ row.accuracy }}{{ row[\"a\"] }}{{ loop.index }}{% endfor %}\
                {% set best = (test[*] | where(layer=\"x.y\") | first).accuracy %}{{ best }}";
    let scanned = scan(text, &[]).unwrap();
    let places: Vec<_> = scanned.places.iter().map(|place| place.written.as_str()).collect();
    assert_eq!(places, ["test[*]", "test[*]"]);
}

#[test]
fn mistakes_of_the_text_have_their_place() {
    assert_eq!(
        wrong("# T\n\nä {{ a.b | percnt }}."),
        "t.md:3:12: no filter `percnt`; there are: percent, decimals, signed, points, seconds, count, words, power, \
         mean, deviation, spread, where, label, code, round, abs, int, float, first, last, min, max, sum, sort, list, length, \
         join, map, selectattr, rejectattr, select, reject, unique, reverse, groupby, default, lower, upper, replace, \
         capitalize, attr; did you mean `percent`?\n  3 | ä {{ a.b | percnt }}.\n    |            ^^^^^^"
    );
    assert_eq!(
        wrong("one\n{{ if a.b > c.d }}"),
        "t.md:2:1: `if` is no value\n  2 | {{ if a.b > c.d }}\n    | ^^^^^^^^^^^^^^^^^^\n  help: write `{% if a.b > c.d %}`"
    );
    assert_eq!(
        wrong("{{ ref curve }}, {{ figure table.figure }}"),
        "t.md:1:8: `curve` is shown nowhere in this text\n  1 | {{ ref curve }}, {{ figure table.figure }}\n    |        ^^^^^\n  \
         help: shown are: table.figure"
    );
    assert!(
        wrong("{{ figure a }}\n\n{{ table a }}").starts_with("t.md:3:10: `a` is shown twice\n")
    );
    assert!(wrong("a {{ b").starts_with("t.md:1:3: expected `}}` to close this\n"));
    assert!(
        wrong("{% profile paper %} x")
            .starts_with("t.md:1:1: expected `{% endprofile %}` behind this\n")
    );
    assert!(
        wrong("{% endprofile %}")
            .starts_with("t.md:1:1: there is no `{% profile … %}` before this")
    );
    // Of the language itself, with the text's own words.
    let said = wrong("a\n{% if a.b > %}x{% endif %}");
    assert!(said.starts_with("t.md:2:"), "{said}");
    let said = wrong("{% if a.b %}x");
    assert!(said.contains("t.md:1:") && said.contains("end of"), "{said}");
}

#[test]
fn values_are_written_as_people_write_them() {
    let nb = '\u{a0}';
    for (text, expected) in [
        ("{{ best-test.accuracy | percent }}", format!("88{nb}%")),
        ("{{ best-test.accuracy | percent(2) }}", format!("87.77{nb}%")),
        ("{{ best-test.accuracy | decimals(3) }}", "0.878".to_owned()),
        ("{{ (best-test.accuracy - 0.9) | signed(2) }}", "−0.02".to_owned()),
        ("{{ (best-test.accuracy - 0.8) | points }}", format!("+7.8{nb}points")),
        ("{{ (0.9 - 0.9) | signed(1) }}", "0.0".to_owned()),
        ("{{ maps.noise }}", "0.15".to_owned()),
        ("{{ images.count | count }} {{ images.count }}", "6,000 6000".to_owned()),
        ("{{ 3 | words }} {{ 20 | words }}", "three 20".to_owned()),
        ("{{ compare.p | power }}", format!("2{nb}·{nb}10⁻¹²")),
        ("{{ 185 | seconds }}, {{ 0.42 | seconds }}", format!("3{nb}min 5{nb}s, 0.4{nb}s")),
        ("{{ svm.kind }} {{ svm.kind | code }}", "a\\_b\\*c `a_b*c`".to_owned()),
        ("{{ test[*] | mean(\"accuracy\") }}", "0.5".to_owned()),
        ("{{ test[*] | deviation(\"accuracy\") }}", "0.25".to_owned()),
        ("{{ test[*] | spread(\"accuracy\", percent=1) }}", format!("50.0{nb}±{nb}25.0{nb}%")),
        (
            "{{ test[*] | where(layer=\"fire5\") | spread(\"accuracy\", decimals=2) }}",
            "0.50".to_owned(),
        ),
        (
            "{{ (test[*] | where(layer=\"fire9\", normalize=false) | first).accuracy }}",
            "0.25".to_owned(),
        ),
        (
            "{% set best = test[*] | sort(attribute=\"accuracy\") | last %}{{ best.layer | label }}",
            "the last layer".to_owned(),
        ),
        ("{% for row in test[*] %}{{ row.layer }};{% endfor %}", "fire5;fire9;fire9;".to_owned()),
        ("{% if best-test.accuracy > 0.9 %}more{% else %}less{% endif %}", "less".to_owned()),
        ("{# nobody sees this #}a", "a".to_owned()),
        ("{# nor this #}\na {% if 1 > 0 %}b{% endif %}\nc", "a b\nc".to_owned()),
        ("x\n{% for i in [1, 2] %}\n- {{ i }}\n{% endfor %}\ny", "x\n- 1\n- 2\ny".to_owned()),
        ("{% set a = 1 %} {% set b = 2 %}\n{{ a + b }}", "3".to_owned()),
    ] {
        assert_eq!(filled(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_written_is_an_error_at_its_place() {
    assert_eq!(
        filled("# T\n\nThe {{ svm.kind | percent }}."),
        "t.md:3:19: expected a number, found `a_b*c`\n  3 | The {{ svm.kind | percent }}.\n    |                   ^^^^^^^"
    );
    let said = filled("{{ test[*] }}");
    assert!(
        said.contains("expected one value, found several: pick one, or go through them by `for`"),
        "{said}"
    );
    let said = filled("{% for row in test[*] %}\n{{ row.acuracy }}{% endfor %}");
    assert!(said.starts_with("t.md:2:"), "{said}");
    let said = filled("{{ test[*] | mean(\"loss\") }}");
    assert!(
        said.contains("a row has no `loss`; it has `accuracy`, `layer`, `normalize`"),
        "{said}"
    );
}

#[test]
fn text_of_other_profiles_is_left_out() {
    let text =
        "{% profile paper %}\nA {{ only.there }}.\n{% otherwise %}\nB.\n{% endprofile %}\nC.";
    let base = scan(text, &[]).unwrap();
    assert_eq!((base.template.as_str(), base.places.len()), ("B.\nC.", 0));
    let paper = scan(text, &["paper".to_owned()]).unwrap();
    assert_eq!((paper.template.as_str(), paper.places.len()), ("A {{ r0 }}.\nC.", 1));
    let text = "{% profile base, quick %}small{% endprofile %}";
    assert_eq!(scan(text, &[]).unwrap().template, "small");
    assert_eq!(scan(text, &["paper".to_owned()]).unwrap().template, "");
}

#[test]
fn a_page_has_contents_numbers_references_and_notes() {
    let text = "# The *title*\n\nSee {{ ref curve }} and {{ ref table.figure }}, or [below](#second).[^1]\n\n\
                ## First: what?\n\n{{ table table.figure }}\n: Accuracy is **{{ best-test.accuracy | percent }}**\nhere.\n\n\
                ### Inner\n\n{{ figure curve }}\n\n## Second\n\n| a | b |\n|---|--:|\n| [x](other.md) | 2 |\n\n\
                > quoted\n\n[^1]: A note.\n";
    let page = rendered(text, false).unwrap();
    assert_eq!(page.title, "The title");
    let html = page.html("<p>made</p>\n");
    assert_eq!(html, rendered(text, false).unwrap().html("<p>made</p>\n"));
    let (_, body) = html.split_once("</style>").unwrap();
    insta::assert_snapshot!(body);
    assert!(!html.contains("<script") && !html.contains("http://"));
}

#[test]
fn what_a_page_cannot_show_is_an_error_at_its_place() {
    for (text, place, message) in [
        ("a\n\nb {{ figure curve }}", "3:3", "an exhibit has a paragraph of its own"),
        ("a\n\n<img src=\"x.png\">", "3:1", "a study is Markdown: HTML is not taken"),
        ("a ![alt](x.png)", "1:3", "a picture has to be an exhibit"),
        ("a\n[b](#nothing)", "2:1", "there is no heading for `#nothing`"),
        ("{{ figure curve }}\nand words", "2:1", "expected an exhibit alone on its line"),
    ] {
        let said = rendered(text, false).unwrap_err();
        assert!(said.starts_with(&format!("t.md:{place}: {message}")), "{text}: {said}");
    }
}

#[test]
fn numbers_typed_by_hand_are_found() {
    let text = "Of {{ images.count | count }}: 87.8 % or .878, 0.8777 and 87 %, fire878, `.878`, 1.878.\n\n\
                > quoted: .878\n\n{{ best-test.accuracy | percent(1) }}";
    assert!(rendered(text, false).is_ok());
    let said = rendered(text, true).unwrap_err();
    let places: Vec<&str> = said.lines().filter(|line| line.starts_with("t.md")).collect();
    assert_eq!(
        places,
        [
            "t.md:1:32: `87.8` is typed by hand, and best-test.accuracy is 0.87772: write `{{ best-test.accuracy | percent(1) }}`",
            "t.md:1:42: `.878` is typed by hand, and best-test.accuracy is 0.87772: write `{{ best-test.accuracy | decimals(3) }}`",
            "t.md:1:48: `0.8777` is typed by hand, and best-test.accuracy is 0.87772: write `{{ best-test.accuracy | decimals(4) }}`",
        ]
    );
}
