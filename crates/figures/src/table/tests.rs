//! Tables of a study as it is written: layer × normalisation with published figures beside ours.

use std::collections::BTreeMap;

use sconce_core::{Coordinates, Gathered};
use sconce_data::{Column, Metrics, Table};
use serde_json::{Value, json};

use super::*;
use crate::drawn::assert_well_drawn;

fn cell(stage: &str, coordinates: &[(&str, Value)], metrics: &[(&str, f64)]) -> Gathered<Metrics> {
    let coordinates: Coordinates =
        coordinates.iter().map(|(axis, value)| ((*axis).to_owned(), value.clone())).collect();
    let mut artifact = Metrics::default();
    for (name, value) in metrics {
        artifact.set(*name, *value);
    }
    Gathered { stage: stage.to_owned(), coordinates, artifact }
}

/// Accuracy of two layers, raw and normalised, over three splits.
fn study() -> Table {
    let mut cells = Vec::new();
    for (layer, raw, l2) in [("fire8", 0.842, 0.861), ("fire9", 0.851, 0.8728)] {
        for (normalize, accuracy) in [(false, raw), (true, l2)] {
            for split in 0..3 {
                let coordinates = [
                    ("layer", json!(layer)),
                    ("normalize", json!(normalize)),
                    ("split", json!(split)),
                ];
                let accuracy = accuracy + 0.01 * (f64::from(split) - 1.0);
                cells.push(cell(
                    "evaluate",
                    &coordinates,
                    &[("accuracy", accuracy), ("seconds", 1.5)],
                ));
            }
        }
    }
    long::of_metrics(&cells).unwrap()
}

fn layout() -> Layout {
    Layout {
        index: vec!["layer".into()],
        columns: Some("normalize".into()),
        values: vec!["accuracy".into()],
    }
}

fn style() -> Style {
    let labels = [("normalize=false", "raw"), ("normalize=true", "L2"), ("layer", "layer")];
    Style {
        words: Words::new(
            "Test accuracy",
            "Mean ± standard deviation over 3 splits; published: VGG16.",
        ),
        labels: labels.map(|(key, label)| (key.to_owned(), label.to_owned())).into(),
        best: BTreeMap::from([
            ("accuracy".to_owned(), Best::Max),
            ("seconds".to_owned(), Best::Min),
        ]),
        ..Style::default()
    }
}

fn published() -> Table {
    let mut table = Table::new(vec![
        Column::text("layer"),
        Column::boolean("normalize"),
        Column::number("accuracy"),
    ]);
    for (layer, normalize, accuracy) in
        [("relu6", false, 0.906), ("relu6", true, 0.912), ("fire9", true, 0.88)]
    {
        table.push(vec![json!(layer), json!(normalize), json!(accuracy)]).unwrap();
    }
    table
}

#[test]
fn metrics_become_a_long_table() {
    let table = study();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["layer", "normalize", "split", "accuracy", "seconds"]);
    assert_eq!(table.rows.len(), 12);
    let two = [
        cell("svm", &[], &[("accuracy", 0.9)]),
        cell("head", &[("c", json!([1, 2]))], &[("loss", 0.1)]),
    ];
    let table = long::of_metrics(&two).unwrap();
    insta::assert_snapshot!(table.to_csv(), @r#"
    stage,c,accuracy,loss
    svm,,0.9,
    head,"[1,2]",,0.1
    "#);
    let clash = [cell("svm", &[("accuracy", json!(1))], &[("accuracy", 0.9)])];
    let error = long::of_metrics(&clash).unwrap_err().to_string();
    assert_eq!(error, "`accuracy` is both an axis and a column: expected different names");
}

#[test]
fn a_pivot_averages_and_sets_published_values_beside() {
    let pivot = pivot(&study(), &layout(), Some(&published())).unwrap();
    let view = pivot.view(&style());
    insta::assert_snapshot!(view.markdown());
    insta::assert_snapshot!(pivot.table().to_csv());
    insta::assert_snapshot!(pivot.records()[1]);
    assert_well_drawn("table-published", &view.scene().unwrap());
}

#[test]
fn a_pivot_of_several_quantities() {
    let layout = Layout { values: vec!["accuracy".into(), "seconds".into()], ..layout() };
    let view =
        pivot(&study(), &layout, None).unwrap().view(&Style { best: BTreeMap::new(), ..style() });
    insta::assert_snapshot!(view.markdown());
    assert_well_drawn("table-groups", &view.scene().unwrap());
    let layout =
        Layout { index: vec!["layer".into(), "normalize".into()], columns: None, ..layout };
    let decimals = BTreeMap::from([("seconds".to_owned(), 1)]);
    let view = pivot(&study(), &layout, None).unwrap().view(&Style { decimals, ..style() });
    insta::assert_snapshot!(view.markdown());
    assert_well_drawn("table-flat", &view.scene().unwrap());
    insta::assert_snapshot!(view.html().unwrap());
}

#[test]
fn a_single_quantity_stands_over_its_columns() {
    let view = pivot(&study(), &layout(), None).unwrap().view(&Style { percent: true, ..style() });
    assert_eq!(view.heads[1].group, "accuracy");
    assert_eq!(view.rows[1][2].text, "87.3 ± 1.0 %");
    assert_eq!(view.rows[1][2].emphasis, Emphasis::Best);
    assert_well_drawn("table-percent", &view.scene().unwrap());
}

#[test]
fn numbers_that_are_equal_are_one_key() {
    let mut table = Table::new(vec![Column::number("c"), Column::number("accuracy")]);
    table.push(vec![json!(1), json!(0.5)]).unwrap();
    table.push(vec![json!(1.0), json!(0.7)]).unwrap();
    table.push(vec![json!(10.0), Value::Null]).unwrap();
    let layout = Layout { index: vec!["c".into()], columns: None, values: vec!["accuracy".into()] };
    let pivot = pivot(&table, &layout, None).unwrap();
    assert_eq!(pivot.rows.len(), 2);
    let summary = pivot.cells[0][0].unwrap();
    assert_eq!((summary.mean, summary.count), (0.6, 2));
    assert!((summary.deviation.unwrap() - 0.02_f64.sqrt()).abs() < 1e-15);
    assert_eq!(pivot.view(&Style::default()).rows[1][1].text, "–");
}

#[test]
fn what_is_missing_is_named() {
    let error = |layout: Layout| pivot(&study(), &layout, None).unwrap_err().to_string();
    assert_eq!(
        error(Layout { index: vec!["layr".into()], ..layout() }),
        "no column `layr`; there are: layer, normalize, split, accuracy, seconds; did you mean `layer`?"
    );
    assert_eq!(
        error(Layout { values: vec!["f1".into()], ..layout() }),
        "no value `f1`; there are: layer, normalize, split, accuracy, seconds"
    );
    assert_eq!(
        error(Layout { values: vec!["layer".into()], index: vec![], columns: None }),
        "column `layer`, row 1: expected a number, found \"fire8\""
    );
}

#[test]
fn text_of_any_kind_is_escaped() {
    let mut table =
        Table::new(vec![Column::text("a|b"), Column::decimals("x", 2), Column::boolean("<ok>")]);
    table.push(vec![json!("*x* <b>\n"), json!(-1.5), json!(true)]).unwrap();
    table.push(vec![Value::Null, json!(12345.678), Value::Null]).unwrap();
    let view = View::of(&table, Words::default());
    insta::assert_snapshot!(view.markdown());
    assert!(view.html().unwrap().contains("<td>*x* &lt;b&gt; </td>"));
    assert_well_drawn("table-escaped", &view.scene().unwrap());
}

#[test]
fn a_wide_cell_is_shortened() {
    let mut table = Table::new(vec![Column::text("name"), Column::number("x")]);
    table.push(vec![json!("a name of many words ".repeat(9)), json!(1.0)]).unwrap();
    assert_well_drawn("table-wide", &View::of(&table, Words::default()).scene().unwrap());
    let ragged = View { heads: vec![Head::default()], rows: vec![vec![]], ..View::default() };
    assert_eq!(
        ragged.scene().unwrap_err().to_string(),
        "a row of the table: expected 1 cells, found 0"
    );
}
