//! The registry: the kinds of all crates.

use sconce_core::{Kind, Kinds, Result};

/// The slices of the crates, the engine's own first.
const SLICES: &[&[Kind]] = &[
    sconce_core::kinds::KINDS,
    #[cfg(feature = "chapters")]
    sconce_data::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_models::KINDS,
    #[cfg(feature = "chapters")]
    sconce_transfer::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_interpretation::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_adaptation::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_generation::stages::KINDS,
    #[cfg(feature = "chapters")]
    sconce_figures::stages::KINDS,
];

/// All kinds that pipeline files can name: Sconce's, and those that the program adds.
///
/// # Errors
/// A name that is there twice.
pub(crate) fn registry(own: &[Kind]) -> Result<Kinds> {
    Kinds::new(SLICES.iter().copied().chain([own]))
}

#[cfg(all(test, feature = "chapters"))]
mod tests {
    use std::collections::BTreeMap;

    use super::registry;

    /// The snapshot below, as it is committed.
    const PINNED: &str = include_str!("snapshots/sconce__kinds__tests__defaults.snap");

    /// A key leaves out what stands at its default, so a changed default would find results of the
    /// old one. It raises the kind's version. A further parameter does not: its default is one
    /// more line.
    #[test]
    fn defaults_are_pinned_to_versions() {
        let kinds = registry(&[]).unwrap();
        let mut now = BTreeMap::new();
        for kind in kinds.iter() {
            for (path, value) in kind.defaults().list() {
                now.insert(format!("{kind:?} {path}"), value.to_string());
            }
        }
        assert!(now.len() > 100, "found {} defaults", now.len());
        for (name, then) in PINNED.lines().filter_map(|line| line.split_once(" = ")) {
            if let Some(now) = now.get(name) {
                assert_eq!(now, then, "the default of {name} changed: raise the kind's VERSION");
            }
        }
        let now: Vec<_> = now.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        insta::assert_snapshot!("defaults", now.join("\n"));
    }
}
