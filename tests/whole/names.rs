//! One name, one meaning: parameters that several kinds have stand in the vocabulary of `crates/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::bench::Bench;
use crate::layout::{read, root};

/// Parameters whose value is of another type in one kind, and why the name is right all the same.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("cross-validate", "c", "the values of C that are tried"),
    ("attack", "method", "a method stands there with its parameters"),
    ("adapt", "method", "a method stands there with its parameters"),
    ("adapt", "target", "the images of the target domain, as the field calls it"),
];

/// The types of TOML that a parameter's schema allows, but for the name of a variable and for nothing.
fn types(schema: &serde_json::Value) -> BTreeSet<&str> {
    let variable = schema["pattern"].as_str().is_some_and(|pattern| pattern.starts_with("^\\$"));
    if variable {
        return BTreeSet::new();
    }
    let one_of = |key: &str| schema[key].as_array().into_iter().flatten();
    let mut found: BTreeSet<&str> =
        one_of("anyOf").chain(one_of("oneOf")).flat_map(types).collect();
    match &schema["type"] {
        serde_json::Value::String(one) => _ = found.insert(one.as_str()),
        list => found.extend(list.as_array().into_iter().flatten().filter_map(|one| one.as_str())),
    }
    found.remove("null");
    found
}

/// How the vocabulary calls a type.
fn word(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "integer" => "whole number",
        "object" => "table",
        "string" => "text",
        other => other,
    }
}

/// How the vocabulary calls a parameter's types. One value stands for a list of one, so that a list allows both.
fn in_words(types: &BTreeSet<&str>) -> String {
    if types.contains("array") {
        "list".to_owned()
    } else {
        types.iter().map(|name| word(name)).collect::<Vec<_>>().join(", ")
    }
}

/// The vocabulary's rows: the type and the meaning of each name.
fn vocabulary(page: &str) -> BTreeMap<String, (String, String)> {
    let section = page.split("### Parameters that several kinds have\n").nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells =
            row.split(" | ").map(|cell| cell.trim_end_matches([' ', '|', '`']).to_owned());
        let mut next = || cells.next().unwrap_or_else(|| panic!("not three cells: {row}"));
        (next(), (next(), next()))
    })
    .collect()
}

#[test]
#[cfg_attr(not(feature = "chapters"), ignore = "needs all kinds")]
fn a_name_means_the_same_in_all_kinds() {
    let bench = Bench::new("");
    let schema: serde_json::Value = serde_json::from_str(&bench.sconce(&["schema"]).out).unwrap();
    let kinds = schema["properties"]["stage"]["additionalProperties"]["oneOf"].as_array().unwrap();
    let engine = ["kind", "matrix", "seed", "resources", "executor", "description", "unset"];
    let mut uses: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for kind in kinds {
        let title = kind["title"].as_str().unwrap();
        for (name, field) in kind["properties"].as_object().unwrap() {
            if !engine.contains(&name.as_str()) {
                uses.entry(name).or_default().insert(title, in_words(&types(field)));
            }
        }
    }
    let vocabulary = vocabulary(&read(&root().join("crates/README.md")));
    for (name, kinds) in &uses {
        if kinds.len() < 2 {
            continue;
        }
        let Some((expected, _)) = vocabulary.get(*name) else {
            panic!(
                "`{name}` of kinds {:?} is not in the vocabulary of crates/README.md",
                kinds.keys()
            );
        };
        for (kind, found) in kinds {
            let excepted =
                EXCEPTIONS.iter().any(|(other, named, _)| (other, named) == (kind, name));
            let edge = expected == "edge" && (found == "text" || found == "list");
            assert!(
                found == expected || edge || excepted,
                "`{name}` of `{kind}` is: {found}; of others: {expected}"
            );
        }
    }
    for name in vocabulary.keys() {
        let several = uses.get(name.as_str()).is_some_and(|kinds| kinds.len() > 1);
        assert!(several, "`{name}` is in the vocabulary, and no two kinds have it");
    }
}

#[test]
fn types_are_read_off_a_schema() {
    let schema = serde_json::json!({ "default": null, "anyOf": [
        { "type": ["integer", "null"] }, { "type": "string", "pattern": "^\\$[\\w-]+$" }
    ] });
    assert_eq!(in_words(&types(&schema)), "whole number");
    let schema = serde_json::json!({ "anyOf": [{ "type": ["string", "array"] }] });
    assert_eq!(in_words(&types(&schema)), "list");
    let page = "### Parameters that several kinds have\n\n| name | type | meaning |\n|---|---|---|\n| `a` | text | It. |\n";
    let row = ("a".to_owned(), ("text".to_owned(), "It.".to_owned()));
    assert_eq!(vocabulary(page), BTreeMap::from([row]));
}
