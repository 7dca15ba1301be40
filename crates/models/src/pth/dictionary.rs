//! Which dictionary of a checkpoint holds the network.

use std::collections::{BTreeMap, BTreeSet};

use sconce_core::{Error, Result};

use super::pickle::{Object, Pickle, Value};
use super::tensor::{Found, View, tensor};

/// Keys under which trainings keep what is no network.
const OTHERS: [&str; 9] = [
    "optimizer",
    "optimizers",
    "optimizer_state",
    "optimizer_state_dict",
    "optimizer_states",
    "lr_scheduler",
    "scheduler",
    "scaler",
    "rng_state",
];

/// What wrappers put before all names: `DataParallel`, `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The tensors of the network's state dictionary by name.
///
/// `key` names the dictionary (`state_dict`, `model`; parts separated by dots, `""` for the outermost one); without it there
/// has to be one alone. `prefix` is cut off the names, and tensors without it are left out; without it what wrappers put
/// before all names is.
///
/// # Errors
/// When there is no such dictionary or more than one, or a tensor of it cannot be read.
pub(super) fn tensors(
    pickle: &Pickle,
    key: Option<&str>,
    prefix: Option<&str>,
) -> Result<BTreeMap<String, View>> {
    let found = match key {
        Some(key) => at(pickle, key)?,
        None => the_only(pickle)?,
    };
    let mut tensors = BTreeMap::new();
    let mut unreadable = BTreeMap::new();
    for (name, value) in texts(pickle.dict(&found).unwrap_or_default()) {
        match tensor(pickle, value) {
            Found::Tensor(view) => drop(tensors.insert(name.to_owned(), view)),
            Found::Unreadable(why) => drop(unreadable.insert(name, why)),
            Found::No => {}
        }
    }
    if !unreadable.is_empty() {
        let listed: Vec<_> =
            unreadable.iter().map(|(name, why)| format!("`{name}` is {why}")).collect();
        return Err(Error::message(format!(
            "tensors that cannot be read exactly: {}; save the state dictionary without them, or as float32",
            listed.join(", ")
        )));
    }
    if tensors.is_empty() {
        return Err(Error::message("no tensors in the state dictionary"));
    }
    without_prefix(tensors, prefix)
}

fn without_prefix(
    mut tensors: BTreeMap<String, View>,
    prefix: Option<&str>,
) -> Result<BTreeMap<String, View>> {
    let Some(prefix) = prefix else {
        while let Some(wrapper) =
            WRAPPERS.into_iter().find(|w| tensors.keys().all(|name| name.starts_with(w)))
        {
            let cut = |(name, view): (String, View)| (name[wrapper.len()..].to_owned(), view);
            tensors = tensors.into_iter().map(cut).collect();
        }
        return Ok(tensors);
    };
    let some: Vec<String> = tensors.keys().take(4).cloned().collect();
    let cut = |(name, view): (String, View)| Some((name.strip_prefix(prefix)?.to_owned(), view));
    let tensors: BTreeMap<_, _> = tensors.into_iter().filter_map(cut).collect();
    if tensors.is_empty() {
        let found =
            format!("no tensor's name begins with `{prefix}`; there are: {}, …", some.join(", "));
        return Err(Error::parameter("prefix", found));
    }
    Ok(tensors)
}

/// Entries whose keys are texts.
fn texts(entries: &[(Value, Value)]) -> impl Iterator<Item = (&str, &Value)> {
    entries.iter().filter_map(|(key, value)| match key {
        Value::Text(key) => Some((&**key, value)),
        _ => None,
    })
}

/// The value behind `key`, of which parts are separated by dots.
fn at(pickle: &Pickle, key: &str) -> Result<Value> {
    let mut value = pickle.root.clone();
    let mut rest = key;
    while !rest.is_empty() {
        let entries = pickle.dict(&value).unwrap_or_default();
        let get = |key: &str| texts(entries).filter(|(name, _)| *name == key).last();
        let (part, behind) = rest.split_once('.').unwrap_or((rest, ""));
        let (next, behind) = match (get(rest), get(part)) {
            (Some((_, next)), _) => (next, ""),
            (None, Some((_, next))) => (next, behind),
            (None, None) => {
                let keys: Vec<_> = texts(entries).map(|(key, _)| key).take(12).collect();
                let found =
                    format!("no `{part}` in the checkpoint; there are: {}", keys.join(", "));
                return Err(Error::parameter("key", found));
            }
        };
        (value, rest) = (next.clone(), behind);
    }
    refuse_modules(pickle, &value)?;
    match pickle.dict(&value) {
        Some(_) => Ok(value),
        None => {
            Err(Error::parameter("key", format!("expected a dictionary of tensors at `{key}`")))
        }
    }
}

/// The only state dictionary that there is.
fn the_only(pickle: &Pickle) -> Result<Value> {
    refuse_modules(pickle, &pickle.root)?;
    if pickle.dict(&pickle.root).is_none() {
        return Err(Error::message("expected a state dictionary, found another object"));
    }
    let mut candidates = Vec::new();
    collect(pickle, &pickle.root, "", &mut candidates, &mut BTreeSet::new());
    // One number beside the network is a record, such as the best accuracy.
    if candidates.len() > 1 {
        candidates.retain(|candidate| !candidate.path.is_empty() || candidate.count > 1);
    }
    match candidates.as_slice() {
        [] => {
            for (_, value) in texts(pickle.dict(&pickle.root).unwrap_or_default()) {
                refuse_modules(pickle, value)?;
            }
            Err(Error::message("no tensors in the state dictionary"))
        }
        [only] => Ok(only.value.clone()),
        several => {
            let listed: Vec<_> =
                several.iter().map(|c| format!("\"{}\" ({} tensors)", c.path, c.count)).collect();
            Err(Error::parameter(
                "key",
                format!(
                    "expected the key of the network, since there are several dictionaries of tensors: {}",
                    listed.join(", ")
                ),
            ))
        }
    }
}

/// A dictionary with tensors.
struct Candidate {
    path: String,
    value: Value,
    count: usize,
}

/// The outermost dictionaries with tensors, each once, without those of optimisers.
fn collect(
    pickle: &Pickle,
    value: &Value,
    path: &str,
    candidates: &mut Vec<Candidate>,
    seen: &mut BTreeSet<usize>,
) {
    let Value::Object(place) = value else { return };
    let Some(entries) = pickle.dict(value).filter(|_| seen.insert(*place)) else { return };
    let is_tensor = |value: &Value| !matches!(tensor(pickle, value), Found::No);
    let count = texts(entries).filter(|(_, value)| is_tensor(value)).count();
    if count > 0 {
        candidates.push(Candidate { path: path.to_owned(), value: value.clone(), count });
    }
    for (key, value) in texts(entries).filter(|(key, _)| !OTHERS.contains(key)) {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        collect(pickle, value, &path, candidates, seen);
    }
}

/// Says what a saved module is, and how its tensors are saved.
fn refuse_modules(pickle: &Pickle, value: &Value) -> Result<()> {
    let Some(Object::Call { callable, state, .. }) = pickle.object(value) else { return Ok(()) };
    let Some((module, name)) = pickle.global(callable) else { return Ok(()) };
    if module.starts_with("__torch__") {
        return Err(torchscript());
    }
    let entries = state.as_ref().and_then(|state| pickle.dict(state)).unwrap_or_default();
    let is_module = texts(entries).any(|(key, _)| key == "_modules" || key == "_parameters");
    if !is_module {
        return Ok(());
    }
    Err(Error::message(format!(
        "a whole module (`{module}.{name}`), whose class would have to run: load it in Python and save its tensors with \
         `torch.save(model.state_dict(), \"weights.pth\")`"
    )))
}

/// What a TorchScript archive is, and how its tensors are saved.
pub(super) fn torchscript() -> Error {
    Error::message(
        "a TorchScript archive, a program with its tensors: save these alone with \
         `torch.save(torch.jit.load(\"model.pt\").state_dict(), \"weights.pth\")`",
    )
}
