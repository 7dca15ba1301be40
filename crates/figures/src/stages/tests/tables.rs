//! Tables, plots and the confusion matrix: what draws numbers.

use sconce_core::Artifact as _;
use sconce_data::{Array, Column, Metrics, Table};
use serde_json::{Value, json};

use crate::raster;
use crate::stages::trial::Cell;

pub(super) fn metrics(values: &[(&str, f64)]) -> Metrics {
    let mut metrics = Metrics::default();
    for (name, value) in values {
        metrics.set(*name, *value);
    }
    metrics
}

/// Accuracy and time over layer × normalisation × split.
fn study(mut cell: Cell) -> Cell {
    for (i, layer) in ["fire7", "fire8", "fire9"].iter().enumerate() {
        for normalize in [false, true] {
            for split in 0..3 {
                let accuracy = 0.8
                    + 0.02 * i as f64
                    + if normalize { 0.03 } else { 0.0 }
                    + 0.004 * f64::from(split);
                let coordinates = json!({ "layer": layer, "normalize": normalize, "split": split });
                let metrics = metrics(&[("accuracy", accuracy), ("seconds", 1.0 + i as f64)]);
                cell = cell.with("rows", "evaluate", coordinates, &metrics);
            }
        }
    }
    cell
}

pub(super) fn table_cell() -> Cell {
    study(Cell::new(json!({
        "rows": "rows", "columns": "normalize", "value": "accuracy", "over": "split", "title": "Test accuracy",
        "caption": "SqueezeNet 1.1.", "labels": { "normalize=false": "raw", "normalize=true": "L2" },
        "best": { "accuracy": "max" },
        "published": { "source": "the practical, VGG16", "rows": [
            { "layer": "relu6", "normalize": false, "accuracy": 0.906 },
            { "layer": "relu6", "normalize": true, "accuracy": 0.912 },
        ] },
    })))
}

pub(super) fn join_cell() -> Cell {
    study(Cell::new(json!({ "rows": "rows", "value": ["accuracy"] })))
}

#[test]
fn table_gathers_a_matrix() {
    let cell = table_cell();
    let figure = cell.figure("table");
    let names: Vec<&str> = figure.files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["table.csv", "table.html", "table.json", "table.md", "table.png", "table.svg"]
    );
    insta::assert_snapshot!(String::from_utf8_lossy(&figure.files["table.md"]));
    assert!(figure.caption.ends_with("over 3 values of split. Published: the practical, VGG16."));
    let records: Value = serde_json::from_slice(&figure.files["table.json"]).unwrap();
    assert_eq!(records[2]["accuracy[normalize=true] n"], json!(3));
    let rows = Table::load(&cell.run("table").unwrap()["rows"]).unwrap();
    assert_eq!(rows.rows.len(), 18);
}

#[test]
fn table_refuses_what_it_cannot_place() {
    let with = |key: &str, value: Value| {
        let mut cell = table_cell();
        cell.parameters["index"] = json!("layer");
        cell.parameters[key] = value;
        cell.error("table")
    };
    assert_eq!(
        with("over", json!([])),
        "parameter `over`: rows differ along `split` (0, 1, 2): expected it in `index`, in `columns`, or in `over` to \
         average over it"
    );
    assert_eq!(
        with("columns", json!("normalise")),
        "parameter `columns`: no column `normalise`; there are: layer, normalize, split, accuracy, seconds; did you \
         mean `normalize`?"
    );
    assert_eq!(
        with("value", json!(["acuracy"])),
        "parameter `best`: no value `accuracy`; there are: acuracy; did you mean `acuracy`?"
    );
    let published =
        json!({ "source": "", "rows": [{ "layr": "relu6", "normalize": true, "accuracy": 0.9 }] });
    assert_eq!(
        with("published", published),
        "parameter `published`: no index, column or value `layr`; there are: layer, normalize, accuracy; did you mean \
         `layer`?"
    );
    let neither = Cell::new(json!({ "value": "accuracy" })).error("table");
    assert_eq!(neither, "parameter `rows`: expected `rows` (metrics) or `tables`, found neither");
}

#[test]
fn table_shows_a_table_as_it_is() {
    let mut table = Table::new(vec![
        Column::text("layer"),
        Column::integer("parameters"),
        Column::decimals("share", 1),
    ]);
    table.push(vec![json!("fc6"), json!(102_764_544), json!(74.2727)]).unwrap();
    let cell = Cell::new(json!({ "tables": "tables", "labels": { "share": "share / %" } })).with(
        "tables",
        "count",
        json!({}),
        &table,
    );
    let figure = cell.figure("table");
    insta::assert_snapshot!(String::from_utf8_lossy(&figure.files["table.md"]));
}

fn plot_cell() -> Cell {
    study(Cell::new(json!({
        "rows": "rows", "x": "layer", "y": ["accuracy", "seconds"], "series": "normalize", "over": ["split"],
        "title": "Accuracy and time", "best": { "accuracy": "max" }, "labels": { "normalize=true": "L2", "normalize=false": "raw" },
        "rules": [{ "of": "accuracy", "at": 0.912, "label": "published" }],
    })))
}

/// Accuracy against C with the spread of folds, as cross-validation yields it.
pub(super) fn curve_cell() -> Cell {
    let columns = vec![Column::number("C"), Column::number("mean"), Column::number("deviation")];
    let curve = |shift: f64| {
        let mut table = Table::new(columns.clone());
        for (i, c) in [0.01, 0.1, 1.0, 10.0].into_iter().enumerate() {
            table
                .push(vec![
                    json!(c),
                    json!(0.8 + shift + 0.03 * (i as f64 - 0.3 * (i * i) as f64)),
                    json!(0.01),
                ])
                .unwrap();
        }
        table
    };
    Cell::new(json!({
        "tables": "tables", "x": "C", "x_scale": "log", "y": "mean", "error": "deviation", "series": "layer",
        "labels": { "mean": "cross-validated accuracy" }, "title": "Choosing C", "best": { "mean": "max" },
    }))
    .with("tables", "curve", json!({ "layer": "fire8" }), &curve(0.0))
    .with("tables", "curve", json!({ "layer": "fire9" }), &curve(0.02))
}

#[test]
fn plot_draws_metrics_and_tables() {
    for (name, cell) in [("metrics", plot_cell()), ("curve", curve_cell())] {
        let figure = cell.figure("plot");
        let svg = String::from_utf8_lossy(&figure.files["plot.svg"]);
        assert!(svg.contains("best: "), "{name}");
        let (width, _) = raster::decode(&figure.files["plot.png"]).unwrap().dimensions();
        assert_eq!(width, 1600);
    }
    let mut bars = plot_cell();
    bars.parameters["y"] = json!("accuracy");
    bars.parameters["form"] = json!("bars");
    assert!(bars.figure("plot").files.contains_key("plot.svg"));
}

#[test]
fn plot_names_what_is_missing() {
    let with = |key: &str, value: Value| {
        let mut cell = curve_cell();
        cell.parameters[key] = value;
        cell.error("plot")
    };
    assert_eq!(
        with("x", json!("c")),
        "parameter `x`: no column `c`; there are: layer, C, mean, deviation; did you mean `C`?"
    );
    assert_eq!(
        with("series", json!([])).split(':').nth(1),
        Some(" rows differ along `layer` (fire8, fire9)")
    );
    assert_eq!(
        with("error", json!(["a", "b"])),
        "parameter `error`: expected one column for each of `y` (1), found 2"
    );
    assert_eq!(
        with("best", json!({ "maen": "max" })),
        "parameter `best`: no quantity `maen`; there are: mean, C; did you mean `mean`?"
    );
    assert_eq!(with("width", json!(3)), "parameter `width`: expected 200 to 4000, found 3");
    assert!(with("colour", json!(1)).contains("unknown field `colour`"));
}

pub(super) fn confusion_cell() -> Cell {
    let mut metrics = metrics(&[("accuracy", 0.9)]);
    metrics.classes = ["coast", "forest", "highway"].map(str::to_owned).to_vec();
    let counts = vec![90.0, 4.0, 6.0, 1.0, 99.0, 0.0, 10.0, 9.0, 81.0];
    metrics.arrays.insert("confusion".to_owned(), Array::new([3, 3], counts).unwrap());
    metrics
        .arrays
        .insert("class_accuracy".to_owned(), Array::new([3], vec![0.9, 0.99, 0.81]).unwrap());
    Cell::new(json!({ "metrics": "metrics", "title": "Confusion" })).with(
        "metrics",
        "evaluate",
        json!({}),
        &metrics,
    )
}

#[test]
fn confusion_matrix_says_its_accuracy() {
    let figure = confusion_cell().figure("confusion-matrix");
    assert!(figure.caption.ends_with("270 of 300 right: accuracy 0.900."), "{}", figure.caption);
    let mut wrong = confusion_cell();
    wrong.parameters["array"] = json!("class_accuracy");
    assert_eq!(
        wrong.error("confusion-matrix"),
        "parameter `array`: `class_accuracy` has shape [3]: expected [3, 3], a row and a column for each class"
    );
    wrong.parameters["array"] = json!("confusoin");
    assert!(wrong.error("confusion-matrix").ends_with("did you mean `confusion`?"));
}

/// Accuracy by strength and schedule of three seeds; one cell is missing.
pub(super) fn heat_cell() -> Cell {
    let mut cell = Cell::new(json!({
        "rows": "rows", "down": "strength", "columns": "schedule", "value": "accuracy", "over": "seed", "percent": true,
        "title": "Strength and schedule of the reversal", "labels": { "schedule=constant": "constant", "schedule=gamma2": "γ = 2" },
    }));
    for (i, strength) in [0.0, 0.1, 0.3, 1.0, 3.0].into_iter().enumerate() {
        for (j, schedule) in ["constant", "gamma2", "gamma10"].into_iter().enumerate() {
            for seed in 0..3 {
                if (i, j) != (4, 0) {
                    let accuracy =
                        0.52 + 0.05 * i as f64 + 0.04 * j as f64 + 0.006 * f64::from(seed);
                    let coordinates =
                        json!({ "strength": strength, "schedule": schedule, "seed": seed });
                    cell =
                        cell.with("rows", "dann", coordinates, &metrics(&[("accuracy", accuracy)]));
                }
            }
        }
    }
    cell
}

#[test]
fn a_heat_map_averages_over_an_axis() {
    let figure = heat_cell().figure("heat-map");
    let svg = String::from_utf8_lossy(&figure.files["heat-map.svg"]);
    // .52, .526 and .532, in percent.
    assert!(svg.contains("52.6 ± 0.6"), "{svg}");
    assert!(svg.contains("γ = 2") && svg.contains("strength"));
    assert_eq!(figure.caption, "Mean ± sample standard deviation over 3 values of seed.");
    let mut cell = heat_cell();
    cell.parameters["over"] = json!([]);
    assert_eq!(
        cell.error("heat-map"),
        "parameter `over`: rows differ along `seed` (0, 1, 2): expected it in `down`, in `columns`, or in `over` to average \
         over it"
    );
    for (key, value, expected) in [
        ("limits", json!([1, 0]), "expected two numbers, the smaller first; found 1 and 0"),
        ("value", json!([]), "expected one metric or column, found 0"),
        ("columns", json!("strength"), "expected another axis than in `down`"),
    ] {
        let mut cell = heat_cell();
        cell.parameters[key] = value;
        assert_eq!(cell.error("heat-map"), format!("parameter `{key}`: {expected}"));
    }
}

/// An embedding of two domains before and after.
pub(super) fn scatter_cell() -> Cell {
    let embedding = |apart: f64| {
        let columns = [Column::text("id"), Column::text("domain"), Column::text("class")];
        let mut columns = columns.to_vec();
        columns.extend([Column::number("x"), Column::number("y")]);
        let mut table = Table::new(columns);
        for i in 0..400 {
            let (class, domain, turn) = (i % 10, i / 10 % 2, f64::from(i) * 2.4);
            let (angle, radius) = (f64::from(class) * 0.63, (f64::from(i) / 400.0).sqrt());
            let x = 7.0 * angle.cos() + radius * turn.cos() + apart * f64::from(domain);
            let y = 5.0 * angle.sin() + radius * turn.sin();
            let name = ["MNIST", "MNIST-M"][domain as usize];
            // Digits come in another order than theirs.
            let class = (class * 7 % 10).to_string();
            table
                .push(vec![json!(i.to_string()), json!(name), json!(class), json!(x), json!(y)])
                .unwrap();
        }
        table
    };
    Cell::new(json!({
        "tables": "tables", "color_by": ["class", "domain"], "mark_by": "domain", "columns": "method",
        "title": "Before and after", "labels": { "method=source": "source only", "method=dann": "DANN" },
    }))
    .with("tables", "embedding", json!({ "method": "source" }), &embedding(20.0))
    .with("tables", "embedding", json!({ "method": "dann" }), &embedding(0.3))
}

#[test]
fn a_scatter_has_a_row_for_each_quantity_and_a_column_for_each_table() {
    let figure = scatter_cell().figure("scatter");
    let svg = String::from_utf8_lossy(&figure.files["scatter.svg"]);
    for text in ["source only", "DANN", "class", "domain", "MNIST-M"] {
        assert!(svg.contains(text), "{text}");
    }
    // Two rows of two panels: half of the points are discs, beside those of the legends.
    assert_eq!(svg.matches("<circle").count(), 2 * 400 + 1 + 10 + 2);
    let digits = |text: &str| svg.find(&format!(">{text}<")).unwrap();
    assert!(digits("0") < digits("1") && digits("1") < digits("7"));
    let mut cell = scatter_cell();
    cell.parameters.as_object_mut().unwrap().remove("columns");
    assert_eq!(
        cell.error("scatter"),
        "parameter `columns`: rows differ along `method` (source, dann): expected it in `columns`, in `color_by` or in \
         `mark_by`"
    );
}
