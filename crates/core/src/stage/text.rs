//! Texts of a stage with metrics in them, filled in before the stage runs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::metrics::{FILE, Numbers};
use crate::error::ResultExt;
use crate::text::reference::{self, Name, Part, Reference, string_at, strings};
use crate::{Error, Files, Gathered, Kind, Result};

/// The type of artifacts whose rows texts can go through.
pub const TABLE: &str = "table";

/// The slot through which a text reads metrics: `{lenet.metrics}`. No parameter has such a name.
pub(crate) fn slot(edge: &str) -> String {
    format!("{{{edge}}}")
}

/// Whether `slot` belongs to a text.
pub(crate) fn is_text_slot(slot: &str) -> bool {
    slot.starts_with('{')
}

/// Puts the metrics that came through the text's slots into the texts of `parameters`. Without such
/// slots all texts are as they are.
pub(crate) fn fill(
    kind: &Kind,
    parameters: &mut Value,
    inputs: &BTreeMap<String, Vec<Gathered<Files>>>,
) -> Result<()> {
    let mut slots: BTreeMap<&str, Numbers> = BTreeMap::new();
    for (slot, artifacts) in inputs.iter().filter(|(slot, _)| is_text_slot(slot)) {
        let [one] = artifacts.as_slice() else {
            let message = "expected one artifact".to_owned();
            return Err(Error::Input { slot: slot.clone(), message });
        };
        let numbers = one.artifact.read_json(FILE).doing(|| format!("reading input `{slot}`"))?;
        slots.insert(slot, numbers);
    }
    if slots.is_empty() {
        return Ok(());
    }
    for key in kind.texts() {
        let Some(value) = parameters.get_mut(&key) else { continue };
        let mut found = Vec::new();
        strings(value, &mut Vec::new(), &mut found);
        let mut filled = Vec::new();
        for (path, text) in found {
            let text =
                filled_text(text, &slots).map_err(|message| Error::parameter(&key, message))?;
            filled.push((path, text));
        }
        for (path, text) in filled {
            if let Some(place) = string_at(value, &path) {
                *place = text;
            }
        }
    }
    Ok(())
}

fn filled_text(text: &str, slots: &BTreeMap<&str, Numbers>) -> Result<String, String> {
    let parts = reference::parse(text).map_err(|bad| bad.message)?;
    let mut filled = String::new();
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(&text),
            Part::Place(reference, _) => filled.push_str(&number(&reference, slots)?),
        }
    }
    Ok(filled)
}

fn number(reference: &Reference, slots: &BTreeMap<&str, Numbers>) -> Result<String, String> {
    let written = &reference.written;
    // As the plan writes it: `stage[selection].output.metric`.
    let (edge, name) = match &reference.name {
        Name::Path { .. } => written.rsplit_once('.'),
        Name::Variable(_) => None,
    }
    .ok_or_else(|| format!("`{{{written}}}` is no metric"))?;
    let numbers = slots
        .get(slot(edge).as_str())
        .ok_or_else(|| format!("`{{{written}}}`: there is no input `{edge}`"))?;
    let value = numbers.values.get(name).ok_or_else(|| {
        let names: Vec<_> = numbers.values.keys().map(|name| format!("`{name}`")).collect();
        format!("`{{{written}}}`: `{edge}` has no metric `{name}`; it has {}", names.join(", "))
    })?;
    let value = Value::from(*value);
    reference.format.write(&value).ok_or_else(|| format!("`{{{written}}}` is not finite"))
}
