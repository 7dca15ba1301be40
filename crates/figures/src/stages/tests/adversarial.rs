//! The panel of adversarial images.

use sconce_data::{Color, Column, ImageSet, Table};
use serde_json::{Value, json};

use super::images;
use crate::raster;
use crate::stages::trial::Cell;

pub(super) fn attacked_cell(more: Value) -> Cell {
    attacked_cell_where(|place| place != 1, more)
}

/// The same; `fools` says which of the three images fool.
fn attacked_cell_where(fools: impl Fn(usize) -> bool, more: Value) -> Cell {
    let set = images(64, 3);
    let mut changed = Vec::new();
    for place in 0..3 {
        let mut samples = set.decode(place).unwrap().samples().to_vec();
        samples.iter_mut().step_by(7).for_each(|sample| *sample = sample.saturating_add(9));
        changed.extend(samples);
    }
    let changed = ImageSet::packed(set.examples().clone(), Color::Rgb, 64, 64, changed).unwrap();
    let mut results = Table::new(vec![
        Column::text("image"),
        Column::text("before"),
        Column::number("before_probability"),
        Column::text("target"),
        Column::boolean("rounded_fooled"),
        Column::text("rounded"),
        Column::number("rounded_probability"),
        Column::number("rounded_l2"),
        Column::number("rounded_linf"),
    ]);
    for (i, id) in set.examples().ids.iter().enumerate() {
        let target = if i == 2 { Value::Null } else { json!("modem") };
        let row = vec![
            json!(id),
            json!("tench, Tinca tinca"),
            json!(0.61),
            target,
            json!(fools(i)),
            json!("bee eater"),
            json!(0.42),
            json!(123.4),
            json!(9),
        ];
        results.push(row).unwrap();
    }
    let mut parameters =
        json!({ "images": "images", "fooled": "fooled", "results": "results", "title": "Attack" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Cell::new(parameters)
        .with("images", "attack", json!({}), &set)
        .with("fooled", "attack", json!({}), &changed)
        .with("results", "attack", json!({}), &results)
}

#[test]
fn adversarial_panel_shows_all_where_none_fools() {
    let picture = |fools: fn(usize) -> bool, successes: bool| {
        let cell = attacked_cell_where(fools, json!({ "successes": successes }));
        cell.figure("adversarial-panel").files["adversarial.png"].clone()
    };
    assert_ne!(picture(|place| place == 1, true), picture(|place| place == 1, false));
    assert_eq!(picture(|_| false, true), picture(|_| false, false));
}

#[test]
fn adversarial_panel_shows_what_was_changed() {
    let panel = |more: Value| {
        raster::decode(&attacked_cell(more).figure("adversarial-panel").files["adversarial.png"])
            .unwrap()
    };
    let whole = panel(json!({}));
    assert!(whole.height() > panel(json!({ "successes": true })).height());
    let pairs = panel(
        json!({ "show": ["original", "fooled"], "across": 3, "cell": 90, "mark_pixels": true }),
    );
    assert!(pairs.height() < whole.height() / 2);
    let error = |more: Value| attacked_cell(more).error("adversarial-panel");
    assert_eq!(
        error(json!({ "only": "nobody" })),
        format!(
            "input `images`: no image `nobody`; there are: {}",
            images(64, 3).examples().ids.join(", ")
        )
    );
    assert_eq!(
        error(json!({ "amplify": 0 })),
        "parameter `amplify`: expected a number above 0, found 0"
    );
    let mut cell = attacked_cell(json!({}));
    cell.inputs.retain(|(slot, ..)| slot != "results");
    let other = Table::new(vec![Column::text("id")]);
    let cell = cell.with("results", "other", json!({}), &other);
    assert_eq!(
        cell.error("adversarial-panel"),
        "input `results`: no column `image`; there are: id"
    );
}
