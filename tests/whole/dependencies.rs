//! What the workspace depends on: every dependency is used, and its licence fits.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::layout::{files, read, root};

/// Licences under which Sconce can be given away as MIT or Apache 2.0. All ask for no more than their own text.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

fn manifest(path: &Path) -> toml::Table {
    toml::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in all tables of dependencies: a package's own, and those of a target.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values);
    let tables = targets.filter_map(toml::Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables
        .flat_map(|table| kinds.map(|kind| table.get(kind)))
        .filter_map(|table| table?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Whether code names a crate: not as a part of a longer name, and not in a comment alone.
fn names(code: &str, package: &str) -> bool {
    let name = package.replace('-', "_");
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&name).any(|(at, _)| {
            !line[..at].ends_with(part) && !line[at + name.len()..].starts_with(part)
        })
    })
}

#[test]
fn every_dependency_is_named_by_the_code() {
    let mut used = BTreeSet::new();
    let mut unused = Vec::new();
    for package in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = package.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let mut sources = files(&folder, "rs");
        if folder.ends_with("cli") {
            sources.extend(files(&root().join("tests"), "rs"));
        }
        let code: String = sources.iter().map(|path| read(path)).collect();
        for dependency in dependencies(&manifest(&folder.join("Cargo.toml"))) {
            if !names(&code, &dependency) {
                unused.push(format!("{}: {dependency}", folder.display()));
            }
            used.insert(dependency);
        }
    }
    let workspace = manifest(&root().join("Cargo.toml"));
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap().keys();
    unused.extend(
        shared.filter(|name| !used.contains(*name)).map(|name| format!("workspace: {name}")),
    );
    assert!(unused.is_empty(), "no code names these dependencies: {unused:#?}");
}

#[test]
fn names_of_crates_are_whole_words_of_code() {
    assert!(names("use serde_json::json;", "serde-json"));
    assert!(names("fn f() -> toml::Table {}", "toml"));
    assert!(!names("use serde_json::json;", "serde"));
    assert!(!names("// tracing tells where time goes\n", "tracing"));
}

/// Whether one of the ways that an SPDX expression offers is allowed as a whole.
///
/// `OR` binds weaker than `AND`; a slash is an old way to write `OR`.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let tokens = expression.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = tokens.split_whitespace().collect();
    let mut at = 0;
    let fits = any(&tokens, &mut at);
    assert_eq!(at, tokens.len(), "not understood: {expression}");
    fits
}

fn any(tokens: &[&str], at: &mut usize) -> bool {
    let mut fits = all(tokens, at);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        fits |= all(tokens, at);
    }
    fits
}

fn all(tokens: &[&str], at: &mut usize) -> bool {
    let mut fits = one(tokens, at);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        fits &= one(tokens, at);
    }
    fits
}

fn one(tokens: &[&str], at: &mut usize) -> bool {
    let first = tokens[*at];
    *at += 1;
    if first == "(" {
        let fits = any(tokens, at);
        assert_eq!(tokens.get(*at), Some(&")"), "a bracket is not closed: {tokens:?}");
        *at += 1;
        return fits;
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens[*at + 1];
        *at += 2;
        return LICENCES.contains(&format!("{first} WITH {exception}").as_str());
    }
    LICENCES.contains(&first)
}

#[test]
fn licences_of_all_dependencies_fit() {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(rustc.stdout).unwrap();
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "found {} packages", packages.len());
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str());
        let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
        assert!(allowed(licence), "{name} is given under {licence}");
    }
}

#[test]
fn licences_are_read_as_expressions() {
    for fits in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Unicode-3.0"] {
        assert!(allowed(fits), "{fits}");
    }
    for not in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0 WITH other", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!allowed(not), "{not}");
    }
}
