//! Profiles and settings: what may be laid over a pipeline file, and the laying over.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::{Diagnostic, MOST};
use super::document::Table;
use super::entries::unknown_keys;
use super::settings::Setting;
use super::source::Span;
use super::{defaults, overlay, words};
use crate::stage::kinds::{Kinds, Shapes};

/// Keys of a profile.
const PROFILE: [&str; 7] =
    ["description", "extends", "seed", "vars", "defaults", "labels", "stage"];
/// Keys of a setting.
const SETTING: [&str; 7] = ["name", "description", "seed", "vars", "defaults", "labels", "stage"];

/// The profiles that are asked for.
pub(super) struct Wanted<'n> {
    pub(super) names: &'n [String],
    /// Where a name that is no profile's is told.
    pub(super) place: Span,
}

/// Lays profiles over the file, then settings, in their order; all of them are checked, those
/// profiles among them that are not in use.
pub(super) fn apply<'a>(
    root: &mut Table<'a>,
    profiles: &Table<'a>,
    wanted: &Wanted<'_>,
    settings: Vec<Setting<'a>>,
    kinds: &Kinds,
    shapes: &Shapes,
    errors: &mut Vec<Diagnostic>,
) {
    check_profiles(root, profiles, kinds, shapes, errors);
    for name in wanted.names {
        let place = Some(wanted.place.clone());
        lay_over(root, profiles, name, place, &mut Vec::new(), (kinds, shapes), errors);
    }
    for setting in settings {
        if !setting.is_clear(root, kinds, shapes, errors) {
            continue;
        }
        let mut setting = setting.table;
        check_override(root, &setting, &SETTING, kinds, shapes, errors);
        drop_unknown_stages(root, &mut setting);
        overlay::file(root, setting, kinds, shapes);
    }
}

/// Lays profile `name` over the pipeline, after the one that it extends.
fn lay_over<'a>(
    root: &mut Table<'a>,
    profiles: &Table<'a>,
    name: &str,
    span: Option<Span>,
    within: &mut Vec<String>,
    (kinds, shapes): (&Kinds, &Shapes),
    errors: &mut Vec<Diagnostic>,
) {
    let Some(DeValue::Table(profile)) = profiles.get(name).map(Spanned::get_ref) else {
        // One that is no table has been said.
        if !profiles.contains_key(name) {
            let known = profiles.keys().map(|key| &**key.get_ref());
            errors.push(
                Diagnostic::new(format!("there is no profile `{name}`"), span)
                    .did_you_mean(name, known, "profiles"),
            );
        }
        return;
    };
    within.push(name.to_owned());
    if let Some(node) = profile.get("extends") {
        match node.get_ref().as_str() {
            Some(other) if within.iter().any(|outer| outer == other) => {
                errors.push(Diagnostic::new(
                    format!(
                        "profiles extend each other in a circle: {} → {other}",
                        within.join(" → ")
                    ),
                    node.span(),
                ))
            }
            Some(other) => {
                let span = Some(node.span());
                lay_over(root, profiles, other, span, within, (kinds, shapes), errors);
            }
            None => errors.push(words::diagnose(
                "extends",
                &format!("invalid type: {}, expected a string", node.get_ref().type_str()),
                node.span(),
            )),
        }
    }
    let mut profile = profile.clone();
    profile.remove("description");
    profile.remove("extends");
    drop_unknown_stages(root, &mut profile);
    overlay::file(root, profile, kinds, shapes);
}

/// A profile's keys, its stages and variables are checked even when it is not in use.
fn check_profiles(
    root: &Table<'_>,
    profiles: &Table<'_>,
    kinds: &Kinds,
    shapes: &Shapes,
    errors: &mut Vec<Diagnostic>,
) {
    for (name, profile) in profiles {
        match profile.get_ref() {
            DeValue::Table(profile) => {
                check_override(root, profile, &PROFILE, kinds, shapes, errors);
            }
            other => {
                let found = other.type_str();
                let message =
                    format!("profile `{}`: expected a table, found {found}", name.get_ref());
                errors.push(Diagnostic::new(message, profile.span()));
            }
        }
    }
}

/// Overrides must name what is there.
fn check_override(
    root: &Table<'_>,
    over: &Table<'_>,
    keys: &[&str],
    kinds: &Kinds,
    shapes: &Shapes,
    errors: &mut Vec<Diagnostic>,
) {
    unknown_keys(over, keys, "key of an override", errors);
    defaults::check(over, kinds, shapes, errors);
    let names = |key: &str| match root.get(key).map(Spanned::get_ref) {
        Some(DeValue::Table(table)) => {
            table.keys().map(|name| name.get_ref().to_string()).collect()
        }
        _ => Vec::new(),
    };
    for (section, what) in [("stage", "stage"), ("vars", "variable")] {
        let Some(DeValue::Table(entries)) = over.get(section).map(Spanned::get_ref) else {
            continue;
        };
        let known: Vec<String> = names(section);
        let is_known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        for (name, entry) in entries {
            // A profile may bring a stage of its own, which then has a kind.
            let own = section == "stage" && entry.get_ref().get("kind").is_some();
            if !own && !is_known.contains(&**name.get_ref()) {
                let message = format!("there is no {what} `{}`", name.get_ref());
                // Looking for a close name takes time, and only the first are told.
                let known = if errors.len() < MOST { &known[..] } else { &[] };
                errors.push(Diagnostic::new(message, name.span()).did_you_mean(
                    name.get_ref(),
                    known.iter().map(String::as_str),
                    &format!("{what}s"),
                ));
            }
        }
    }
}

/// Overrides of stages that are not there have been said; they do not become stages.
fn drop_unknown_stages(root: &Table<'_>, over: &mut Table<'_>) {
    let known = root.get("stage").map(Spanned::get_ref);
    let Some(DeValue::Table(stages)) = over.get_mut("stage").map(Spanned::get_mut) else {
        return;
    };
    let unknown: Vec<String> = stages
        .iter()
        .filter(|(name, stage)| {
            let name: &str = name.get_ref();
            known.and_then(|known| known.get(name)).is_none()
                && stage.get_ref().get("kind").is_none()
        })
        .map(|(name, _)| name.get_ref().to_string())
        .collect();
    for name in unknown {
        stages.remove(name.as_str());
    }
}
