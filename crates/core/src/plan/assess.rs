//! What has to run, and why.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{CellIndex, PerCell, Plan, Source};
use crate::cell::Plain;
use crate::key::KeyParts;
use crate::store::Receipt;
use crate::store::Store;
use crate::{Digest, Error, Result};

/// What a run would do with a cell.
#[derive(Debug, Clone)]
pub enum State {
    /// The store holds the result.
    Hit(Box<Receipt>),
    /// It runs.
    Run {
        /// The key under which the result will be stored.
        key: Digest,
        /// Why, compared with the cell's last receipt; never empty.
        reasons: Vec<Reason>,
    },
    /// It may run: that is decided by the outputs of these cells, which run before it.
    Depends(Vec<CellIndex>),
}

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
    /// The result was there, but its content is gone or damaged.
    Missing,
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
            Self::Missing => f.write_str("its stored content is gone or damaged"),
        }
    }
}

/// Finds the state of every cell from the store alone. Runs nothing.
///
/// `contents` gives the digest of the local path of each `file` cell.
pub fn assess(
    plan: &Plan,
    store: &Store,
    contents: &BTreeMap<CellIndex, Digest>,
) -> Result<PerCell<State>> {
    let _span = tracing::info_span!("assess", cells = plan.indices().len()).entered();
    let last = store.last(&plan.pipeline)?;
    let mut states = PerCell::new(plan, |_| State::Depends(Vec::new()));
    for cell in plan.indices() {
        let mut waits = plan.upstream(cell);
        // What a local file yields is known before it is taken in.
        waits.retain(|upstream| {
            !matches!(states[*upstream], State::Hit(_)) && !contents.contains_key(upstream)
        });
        states[cell] = if waits.is_empty() {
            let digest = |upstream: CellIndex, source: &Source| match &states[upstream] {
                State::Hit(receipt) => output_digest(receipt, source),
                _ => contents
                    .get(&upstream)
                    .copied()
                    .ok_or_else(|| Error::message("the upstream cell has no result")),
            };
            let parts = plan.key_parts(cell, digest, contents.get(&cell).copied())?;
            assess_cell(plan, cell, &parts, store, &last)?
        } else {
            State::Depends(waits)
        };
    }
    Ok(states)
}

/// The digest of the output that `source` names.
pub fn output_digest(receipt: &Receipt, source: &Source) -> Result<Digest> {
    let output = receipt.outputs.get(&*source.output).ok_or_else(|| {
        Error::message(format!(
            "the result of `{}` has no output `{}`",
            receipt.cell, source.output
        ))
    })?;
    Ok(output.digest)
}

/// The state of one cell whose inputs are known: a hit, or a run with its reasons.
pub fn assess_cell(
    plan: &Plan,
    cell: CellIndex,
    parts: &KeyParts,
    store: &Store,
    last: &BTreeMap<String, Digest>,
) -> Result<State> {
    let key = parts.key();
    if let Some(receipt) = store.receipt(&key)? {
        return Ok(State::Hit(Box::new(receipt)));
    }
    let id = plan[cell].id.to_string();
    let reasons = match last.get(&id) {
        Some(last) if *last == key => vec![Reason::Missing],
        Some(last) => match store.recorded(last)? {
            Some(old) => explain(&old.parts, parts),
            None => vec![Reason::New],
        },
        None => vec![Reason::New],
    };
    Ok(State::Run { key, reasons })
}

/// What differs between the parts of two keys.
pub fn explain(old: &KeyParts, new: &KeyParts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if old.kind != new.kind {
        reasons.push(Reason::Kind { old: old.kind.clone(), new: new.kind.clone() });
        return reasons;
    }
    if old.version != new.version {
        let kind = new.kind.clone();
        reasons.push(Reason::Version { kind, old: old.version, new: new.version });
    }
    parameters("", Some(&old.parameters), Some(&new.parameters), &mut reasons);
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
        (old, new) if old == new => {}
        (old, new) => reasons.push(Reason::Parameter {
            path: path.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key::InputPart;

    fn parts() -> KeyParts {
        KeyParts {
            kind: "fit-svm".to_owned(),
            version: 1,
            parameters: json!({ "c": 1.0, "nested": { "list": [1, 2] } }),
            inputs: BTreeMap::from([(
                "features".to_owned(),
                vec![InputPart { digest: Digest::of(b"a"), from: None }],
            )]),
            seed: Some(3),
            axes: crate::Coordinates::none(),
            environment: BTreeMap::new(),
            content: None,
        }
    }

    fn reasons(change: impl Fn(&mut KeyParts)) -> Vec<String> {
        let mut new = parts();
        change(&mut new);
        assert_ne!(new.key(), parts().key());
        explain(&parts(), &new).iter().map(Reason::to_string).collect()
    }

    #[test]
    fn reasons_name_what_changed_with_its_old_and_new_value() {
        assert_eq!(
            reasons(|parts| parts.parameters["c"] = json!(10.0)),
            ["parameter `c` changed: 1.0 → 10.0"]
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
}
