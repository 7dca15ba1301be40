//! The invariants of `crates/README.md` that can be read off the tree, and the shipped pipelines.

use std::path::{Path, PathBuf};

use crate::bench::Bench;

pub(crate) fn root() -> PathBuf {
    // This is a test of `crates/cli`.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The workspace's crates that `package` depends on, outside its tests.
fn dependencies(package: &str) -> Vec<String> {
    let manifest = read(&root().join("crates").join(package).join("Cargo.toml"));
    let manifest = manifest.split("[dev-dependencies]").next().unwrap();
    let names = manifest.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names
        .filter(|name| name.starts_with("sconce-") || name.starts_with("candle"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn core_never_names_candle() {
    let core = root().join("crates/core");
    for path in files(&core.join("src"), "rs").into_iter().chain([core.join("Cargo.toml")]) {
        assert!(!read(&path).contains("candle"), "{}", path.display());
    }
}

#[test]
fn arrows_point_one_way() {
    let allowed: &[(&str, &[&str])] = &[
        ("core", &[]),
        ("data", &["sconce-core"]),
        ("figures", &["sconce-core", "sconce-data"]),
        ("remote", &["sconce-core"]),
        ("ops", &["candle-core"]),
        ("models", &["sconce-core", "sconce-data", "sconce-ops", "candle-core"]),
        (
            "interpretation",
            &["sconce-core", "sconce-data", "sconce-ops", "sconce-models", "candle-core"],
        ),
        (
            "adaptation",
            &["sconce-core", "sconce-data", "sconce-ops", "sconce-models", "candle-core"],
        ),
        (
            "generation",
            &["sconce-core", "sconce-data", "sconce-ops", "sconce-models", "candle-core"],
        ),
        ("transfer", &["sconce-core", "sconce-data", "sconce-ops", "sconce-models", "candle-core"]),
    ];
    for (package, allowed) in allowed {
        for dependency in dependencies(package) {
            assert!(allowed.contains(&dependency.as_str()), "{package} may not use {dependency}");
        }
    }
}

/// candle's Metal has no f64: neither conversions to it and from it, nor constants.
#[test]
fn no_device_is_asked_for_f64() {
    for package in ["ops", "models", "transfer", "interpretation", "adaptation", "generation"] {
        for path in files(&root().join("crates").join(package).join("src"), "rs") {
            let name = path.display().to_string();
            if ["test", "/cpu/", "ops/src/device.rs"].iter().any(|part| name.contains(part)) {
                continue;
            }
            let text = read(&path);
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let asks = (line.contains("to_dtype(") && line.contains("DType::F64)"))
                    || line.contains("Tensor::full(f64");
                assert!(!asks, "sconce_ops::device::{{in_f64, tensor_like}}: {name}: {line}");
            }
        }
    }
}

/// What candle or the system computes by the processor's means has a form of our own in `ops`, with the same bits on each.
#[test]
fn networks_compute_by_operations_with_the_same_bits_on_every_processor() {
    let refused = [
        (".matmul(", "sconce_ops::linear::matmul"),
        (".broadcast_matmul(", "sconce_ops::linear::matmul"),
        (".conv2d(", "sconce_ops::conv"),
        (".conv_transpose2d(", "sconce_ops::conv"),
        ("candle_nn::", "sconce_ops"),
        (".gelu", "sconce_ops::activation::gelu"),
        (".sum_all(", "sconce_ops::sum"),
        (".mean_all(", "sconce_ops::sum"),
        (".log_softmax(", "sconce_ops::loss::log_softmax"),
        (".tanh(", "sconce_ops::activation::tanh or sconce_ops::elementary::tanh"),
        (".atanh(", "sconce_ops::elementary::atanh"),
        (".hypot(", "sconce_ops::elementary::hypot"),
    ];
    for package in ["models", "transfer", "interpretation", "adaptation", "generation"] {
        for path in files(&root().join("crates").join(package).join("src"), "rs") {
            if path.display().to_string().contains("test") {
                continue;
            }
            let text = read(&path);
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                // sums of f64 have one order
                let exact = line.contains("in_f64(");
                let found = refused.iter().find(|(call, _)| !exact && line.contains(call));
                assert_eq!(found, None, "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn files_are_named_by_what_they_hold() {
    for path in files(&root().join("crates"), "rs") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let vague = ["util", "utils", "helper", "helpers", "common", "base", "misc"];
        assert!(!vague.contains(&stem.as_str()), "{}", path.display());
    }
}

/// The shipped pipelines.
pub(crate) fn pipelines() -> Vec<PathBuf> {
    let pipelines = files(&root().join("pipelines"), "toml");
    assert!(!pipelines.is_empty());
    pipelines
}

#[test]
#[cfg_attr(not(feature = "chapters"), ignore = "needs all kinds")]
fn every_profile_of_every_shipped_pipeline_can_be_planned() {
    for path in pipelines() {
        let text = read(&path);
        let heads = text.lines().filter_map(|line| line.strip_prefix("[profile."));
        let mut profiles: Vec<_> = heads.filter_map(|head| head.split(['.', ']']).next()).collect();
        profiles.dedup();
        assert!(profiles.contains(&"quick"), "{} has no quick profile", path.display());
        let bench = Bench::new("");
        let path = path.display().to_string();
        let said = bench.sconce(&["plan", &path]);
        assert_eq!(said.code, Some(0), "{path}: {}", said.err);
        for profile in profiles {
            let said = bench.sconce(&["plan", &path, "--profile", profile]);
            assert_eq!(said.code, Some(0), "{path}, profile {profile}: {}", said.err);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "chapters"), ignore = "needs all kinds")]
fn every_parameter_of_every_kind_is_documented_and_none_has_a_name_of_the_engine() {
    let bench = Bench::new("");
    let schema: serde_json::Value = serde_json::from_str(&bench.sconce(&["schema"]).out).unwrap();
    let kinds = schema["properties"]["stage"]["additionalProperties"]["oneOf"].as_array().unwrap();
    assert!(kinds.len() >= 20, "found {} kinds", kinds.len());
    for kind in kinds {
        let name = kind["properties"]["kind"]["const"].as_str().unwrap();
        for (parameter, field) in kind["properties"].as_object().unwrap() {
            let described = field["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described || parameter == "kind", "`{parameter}` of kind `{name}` has no docs");
        }
    }
}

/// Beside `crates/core/src/system` and `crates/cli/src/system.rs`: where code knows which system it is on, and why.
const DOORS: &[(&str, &str)] = &[
    ("crates/core/src/system/", "the doors"),
    ("crates/cli/src/system.rs", "the command line's"),
    ("crates/core/src/kinds/command/mod.rs", "which shell there is"),
    ("crates/core/src/kinds/command/cmd.rs", "Windows' shell"),
];

/// What only a door may say.
const OF_A_SYSTEM: &[&str] = &[
    "cfg(unix",
    "cfg(windows",
    "cfg(not(unix",
    "cfg(not(windows",
    "cfg!(unix",
    "cfg!(windows",
    "cfg_attr(windows",
    "cfg_attr(unix",
    "target_os",
    "std::os::",
    "rustix::",
    "windows_sys::",
    "ctrlc::",
    "fs::rename(",
    // The standard library's locks keep readers out on Windows.
    ".try_lock_shared()",
    ".lock_shared()",
];

#[test]
fn only_the_doors_know_the_system() {
    let root = root();
    let crates = ["core", "data", "remote", "figures", "models", "ops", "cli"];
    let chapters = ["transfer", "interpretation", "adaptation", "generation"];
    let mut seen = std::collections::BTreeSet::new();
    for package in crates.iter().chain(&chapters) {
        for path in files(&root.join("crates").join(package).join("src"), "rs") {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            // Tests may need a system to play damage on.
            if name.contains("tests") {
                continue;
            }
            let door = DOORS.iter().find(|(door, _)| name.starts_with(door));
            let text = read(&path);
            let lines: Vec<&str> = text.lines().take_while(|line| *line != "mod tests {").collect();
            for (number, line) in lines.iter().enumerate() {
                let code = line.split("//").next().unwrap();
                let knows = OF_A_SYSTEM.iter().any(|word| code.contains(word));
                let for_tests = lines[number..].iter().take(3).any(|next| *next == "mod tests;")
                    || code.contains("cfg(all(test")
                    || number + 1 == lines.len();
                assert!(
                    !knows || for_tests || door.is_some(),
                    "{name}:{}: `{}` belongs behind a door of `sconce_core::system`",
                    number + 1,
                    line.trim()
                );
                if knows && let Some((door, _)) = door {
                    seen.insert(*door);
                }
            }
        }
    }
    assert_eq!(seen.len(), DOORS.len(), "a door of the list is none any more: {seen:?}");
}

#[test]
fn workflows_pin_their_actions_and_ask_for_little() {
    let mut found = 0;
    for path in files(&root().join(".github/workflows"), "yml") {
        let (text, path) = (read(&path), path.display());
        assert!(text.contains("\npermissions:\n  contents: read\n"), "{path}");
        assert!(!text.contains("write-all"), "{path}");
        for line in text
            .lines()
            .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "))
        {
            let version = line.split_once("@v").map(|(_, version)| version.split('.').count());
            assert_eq!(version, Some(3), "{path}: `{line}` is no full version");
            found += 1;
        }
    }
    assert!(found >= 5);
}
