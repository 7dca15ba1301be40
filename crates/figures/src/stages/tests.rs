//! Each kind run on a small input, as the engine runs it; what it writes is pinned to its version.

mod adversarial;
mod pictures;
mod samples;
mod study;
mod tables;

use std::collections::BTreeMap;

use sconce_core::{Digest, Files};
use sconce_data::{Color, Examples, ImageSet};
use serde_json::json;

use self::adversarial::attacked_cell;
use self::pictures::{
    activation_cell, animation_cell, captioned_cell, grid_cell, map_cell, sheet_cell, top5_cell,
};
use self::study::study_cell;
use self::tables::{confusion_cell, curve_cell, heat_cell, join_cell, scatter_cell, table_cell};
use super::KINDS;
use super::trial::Cell;
use crate::drawn::photograph;

/// Small images of three classes in two splits.
fn images(side: u32, count: u32) -> ImageSet {
    let examples = Examples {
        ids: (0..count).map(|i| format!("train/c{}/{i}.png", i % 3)).collect(),
        classes: ["cat", "dog", "bird"].map(str::to_owned).to_vec(),
        labels: (0..count).map(|i| i % 3).collect(),
        splits: ["train", "test"].map(str::to_owned).to_vec(),
        split: (0..count).map(|i| i % 2).collect(),
    };
    let samples = (0..count).flat_map(|i| photograph(side, side, i).into_raw()).collect();
    ImageSet::packed(examples, Color::Rgb, side as usize, side as usize, samples).unwrap()
}

/// The same parameters and inputs give the same bytes; what gives others needs a new version.
#[test]
fn results_are_pinned_to_versions() {
    let cells: [(&str, Cell); 15] = [
        ("activation-grid", activation_cell(vec![16, 13, 13])),
        ("adversarial-panel", attacked_cell(json!({}))),
        ("animation", animation_cell()),
        ("captioned-grid", captioned_cell()),
        ("confusion-matrix", confusion_cell()),
        ("heat-map", heat_cell()),
        ("image-grid", grid_cell()),
        ("join", join_cell()),
        ("map-grid", map_cell(vec![1, 64, 64])),
        ("plot", curve_cell()),
        ("sample-sheet", sheet_cell()),
        ("scatter", scatter_cell()),
        ("study", study_cell()),
        ("table", table_cell()),
        ("top5-panel", top5_cell()),
    ];
    assert_eq!(cells.len(), KINDS.len());
    let mut pins = String::new();
    for (kind, cell) in &cells {
        let digest = |outputs: BTreeMap<String, Files>| -> Vec<(String, Digest)> {
            outputs.into_iter().map(|(name, files)| (name, files.digest())).collect()
        };
        let first = digest(cell.run(kind).unwrap());
        assert_eq!(first, digest(cell.run(kind).unwrap()), "{kind} gives the same bytes twice");
        let row = KINDS.iter().find(|row| row.name == *kind).unwrap();
        for (output, digest) in first {
            pins.push_str(&format!("{row:?} {output} {}\n", &digest.hex()[..16]));
        }
    }
    insta::assert_snapshot!(pins);
}
