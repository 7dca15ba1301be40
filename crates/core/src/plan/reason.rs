//! Why a cell runs: what differs between its key and that of its last result.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::cell::Plain;
use crate::key::{KeyParts, same};
use crate::{DeviceClass, Digest, Kind};

/// Why a cell runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// There is no receipt of this cell.
    New,
    /// The last result was of another kind.
    Kind {
        /// The kind then.
        old: String,
        /// The kind now.
        new: String,
    },
    /// The kind gives other results now.
    Version {
        /// The kind.
        kind: String,
        /// Its version then.
        old: u32,
        /// Its version now.
        new: u32,
    },
    /// Keys are made in another way now, and so is this one's.
    Recipe {
        /// The recipe then.
        old: u32,
        /// The recipe now.
        new: u32,
    },
    /// A parameter changed; `None` where it was not there.
    Parameter {
        /// Its path, such as `c` or `sources.0`.
        path: String,
        /// The value then.
        old: Option<Value>,
        /// The value now.
        new: Option<Value>,
    },
    /// The content of an input changed; `None` where it was not there.
    Input {
        /// The slot, and for gathering inputs the cell.
        slot: String,
        /// The digest then.
        old: Option<Digest>,
        /// The digest now.
        new: Option<Digest>,
    },
    /// The seed changed.
    Seed {
        /// The seed then.
        old: Option<u64>,
        /// The seed now.
        new: Option<u64>,
    },
    /// An environment variable that counts changed.
    Environment {
        /// Its name.
        name: String,
        /// The value then.
        old: Option<String>,
        /// The value now.
        new: Option<String>,
    },
    /// The content of the local file or folder changed.
    Content {
        /// The digest then.
        old: Option<Digest>,
        /// The digest now.
        new: Option<Digest>,
    },
    /// The class of the device, which the key names, changed; `None` where it named none.
    Device {
        /// The class then.
        old: Option<DeviceClass>,
        /// The class now.
        new: Option<DeviceClass>,
    },
    /// The result was there, but its content is gone.
    Missing,
    /// The result was there, but its content was found damaged.
    Damaged,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn change<T: fmt::Display>(
            f: &mut fmt::Formatter<'_>,
            what: fmt::Arguments<'_>,
            old: Option<T>,
            new: Option<T>,
        ) -> fmt::Result {
            match (old, new) {
                (Some(old), Some(new)) => write!(f, "{what} changed: {old} → {new}"),
                (None, Some(new)) => write!(f, "{what} is new: {new}"),
                (Some(old), None) => write!(f, "{what} is gone: {old}"),
                (None, None) => write!(f, "{what} changed"),
            }
        }
        let short = |digest: &Option<Digest>| digest.map(|digest| digest.short());
        match self {
            Self::New => f.write_str("never ran here"),
            Self::Kind { old, new } => change(f, format_args!("kind"), Some(old), Some(new)),
            Self::Version { kind, old, new } => {
                change(f, format_args!("version of kind `{kind}`"), Some(old), Some(new))
            }
            Self::Recipe { old, new } => {
                change(f, format_args!("recipe of keys"), Some(old), Some(new))
            }
            Self::Parameter { path, old, new } => change(
                f,
                format_args!("parameter `{path}`"),
                old.as_ref().map(Plain),
                new.as_ref().map(Plain),
            ),
            Self::Input { slot, old, new } => {
                change(f, format_args!("input `{slot}`"), short(old), short(new))
            }
            Self::Seed { old, new } => change(f, format_args!("seed"), *old, *new),
            Self::Environment { name, old, new } => {
                change(f, format_args!("environment variable `{name}`"), old.as_ref(), new.as_ref())
            }
            Self::Content { old, new } => {
                change(f, format_args!("content"), short(old), short(new))
            }
            Self::Device { old, new } => change(f, format_args!("class of the device"), *old, *new),
            Self::Missing => f.write_str("its stored content is gone"),
            Self::Damaged => f.write_str("its stored content is damaged"),
        }
    }
}

/// What differs between the parts of two keys.
///
/// `kind` is the new key's. A parameter that the old key knows nothing of, because the kind got it
/// later, stood at its default.
pub fn explain(old: &KeyParts, new: &KeyParts, kind: &Kind) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if old.kind != new.kind {
        reasons.push(Reason::Kind { old: old.kind.clone(), new: new.kind.clone() });
        return reasons;
    }
    if old.version != new.version {
        let kind = new.kind.clone();
        reasons.push(Reason::Version { kind, old: old.version, new: new.version });
    }
    let (mut before, mut after) = (old.all_parameters(), new.all_parameters());
    let mut changes = Vec::new();
    parameters("", Some(&before), Some(&after), &mut changes);
    let added = |reason: &Reason| matches!(reason, Reason::Parameter { old: None, .. });
    if old.version == new.version && changes.iter().any(added) {
        let defaults = kind.defaults();
        (before, after) = (defaults.fill_in(&before), defaults.fill_in(&after));
        changes.clear();
        parameters("", Some(&before), Some(&after), &mut changes);
    }
    reasons.append(&mut changes);
    for (axis, value) in new.axes.iter() {
        parameters(axis, old.axes.get(axis), Some(value), &mut reasons);
    }
    let (before, after) = (inputs(old), inputs(new));
    for slot in before.keys().chain(after.keys().filter(|slot| !before.contains_key(*slot))) {
        let (old, new) = (before.get(slot).copied(), after.get(slot).copied());
        if old != new {
            reasons.push(Reason::Input { slot: slot.clone(), old, new });
        }
    }
    if old.seed != new.seed {
        reasons.push(Reason::Seed { old: old.seed, new: new.seed });
    }
    for (name, new) in &new.environment {
        let old = old.environment.get(name).cloned().flatten();
        if old != *new {
            reasons.push(Reason::Environment { name: name.clone(), old, new: new.clone() });
        }
    }
    if old.content != new.content {
        reasons.push(Reason::Content { old: old.content, new: new.content });
    }
    if old.device != new.device {
        reasons.push(Reason::Device { old: old.device, new: new.device });
    }
    if reasons.is_empty() && old.recipe != new.recipe {
        reasons.push(Reason::Recipe { old: old.recipe, new: new.recipe });
    }
    if reasons.is_empty() {
        // The order of a gathered list, or an environment variable that no longer counts.
        reasons.push(Reason::Parameter {
            path: "order of inputs".to_owned(),
            old: None,
            new: None,
        });
    }
    reasons
}

fn inputs(parts: &KeyParts) -> BTreeMap<String, Digest> {
    let mut inputs = BTreeMap::new();
    for (slot, artifacts) in &parts.inputs {
        for (position, artifact) in artifacts.iter().enumerate() {
            let name = match &artifact.from {
                Some(from) => format!("{slot}: {from}"),
                None if position == 0 => slot.clone(),
                None => format!("{slot}.{position}"),
            };
            inputs.insert(name, artifact.digest);
        }
    }
    inputs
}

fn parameters(path: &str, old: Option<&Value>, new: Option<&Value>, reasons: &mut Vec<Reason>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for (key, value) in old {
                parameters(&join(key), Some(value), new.get(key), reasons);
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                parameters(&join(key), None, Some(value), reasons);
            }
        }
        (None, None) => {}
        (Some(old), Some(new)) if same(old, new) => {}
        (old, new) => reasons.push(Reason::Parameter {
            path: path.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::key::InputPart;

    /// Fits.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct FitSvm {
        /// Inverse of the penalty's weight.
        #[serde(default = "one")]
        c: f64,
        /// Steps at most.
        #[serde(default = "one")]
        steps: f64,
    }

    fn one() -> f64 {
        1.0
    }

    crate::outputs! { FitSvm: }

    impl crate::Stage for FitSvm {
        const KIND: &'static str = "fit-svm";
        const VERSION: u32 = 1;

        fn run(&self, _: &crate::Context<Self>) -> crate::Result<()> {
            Ok(())
        }
    }

    fn parts() -> KeyParts {
        KeyParts {
            inputs: BTreeMap::from([(
                "features".to_owned(),
                vec![InputPart { digest: Digest::of(b"a"), from: None }],
            )]),
            seed: Some(3),
            ..KeyParts::of("fit-svm", 1, json!({ "c": 10.0, "nested": { "list": [1, 2] } }))
        }
    }

    fn reasons(change: impl Fn(&mut KeyParts)) -> Vec<String> {
        let mut new = parts();
        change(&mut new);
        assert_ne!(new.key(), parts().key());
        explain(&parts(), &new, &Kind::of::<FitSvm>()).iter().map(Reason::to_string).collect()
    }

    #[test]
    fn reasons_name_what_changed_with_its_old_and_new_value() {
        assert_eq!(
            reasons(|parts| parts.parameters["c"] = json!(100.0)),
            ["parameter `c` changed: 10.0 → 100.0"]
        );
        assert_eq!(
            reasons(|parts| parts.parameters["nested"]["list"] = json!([1])),
            ["parameter `nested.list` changed: [1,2] → [1]"]
        );
        assert_eq!(
            reasons(|parts| parts.parameters["loss"] = json!("hinge")),
            ["parameter `loss` is new: hinge"]
        );
        assert_eq!(
            reasons(|parts| {
                parts.inputs.get_mut("features").unwrap()[0].digest = Digest::of(b"b");
                parts.seed = Some(4);
            }),
            [
                format!(
                    "input `features` changed: {} → {}",
                    Digest::of(b"a").short(),
                    Digest::of(b"b").short()
                ),
                "seed changed: 3 → 4".to_owned()
            ]
        );
        assert_eq!(
            reasons(|parts| parts.version = 2),
            ["version of kind `fit-svm` changed: 1 → 2"]
        );
        assert_eq!(
            reasons(|parts| {
                parts.environment.insert("LANG".to_owned(), Some("C".to_owned()));
            }),
            ["environment variable `LANG` is new: C"]
        );
    }

    #[test]
    fn a_parameter_moves_from_its_default_to_a_value_and_back() {
        let kind = Kind::of::<FitSvm>();
        let parts = |differing: Value, defaults: Value| KeyParts {
            defaults,
            ..KeyParts::of("fit-svm", 1, differing)
        };
        let told = |old: &KeyParts, new: &KeyParts| -> Vec<String> {
            explain(old, new, &kind).iter().map(Reason::to_string).collect()
        };
        let at_default = parts(json!({}), json!({ "c": 1.0, "steps": 1.0 }));
        let other = parts(json!({ "c": 10.0 }), json!({ "steps": 1.0 }));
        assert_eq!(told(&at_default, &other), ["parameter `c` changed: 1.0 → 10.0"]);
        assert_eq!(told(&other, &at_default), ["parameter `c` changed: 10.0 → 1.0"]);
        // The old result was made before the kind had `steps`.
        let before = parts(json!({}), json!({ "c": 1.0 }));
        assert_eq!(before.key(), at_default.key());
        let now = parts(json!({ "steps": 5.0 }), json!({ "c": 1.0 }));
        assert_eq!(told(&before, &now), ["parameter `steps` changed: 1.0 → 5.0"]);
        // It stands at its default now: no reason.
        assert_eq!(told(&before, &other), ["parameter `c` changed: 1.0 → 10.0"]);
        // Recipe 1 had all in the key.
        let first = KeyParts { recipe: 1, ..parts(json!({ "c": 1.0, "steps": 1.0 }), Value::Null) };
        assert_eq!(told(&first, &at_default), ["recipe of keys changed: 1 → 2"]);
        assert_eq!(told(&first, &other), ["parameter `c` changed: 1.0 → 10.0"]);
    }
}
