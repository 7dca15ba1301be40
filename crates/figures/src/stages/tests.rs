//! Each kind run on a small input, as the engine runs it; what it writes is pinned to its version.

use std::collections::BTreeMap;

use sconce_core::{Artifact as _, Digest, Files};
use sconce_data::{Array, Color, Column, Examples, Features, Figure, ImageSet, Metrics, Table};
use serde_json::{Value, json};

use super::KINDS;
use super::trial::Cell;
use crate::drawn::photograph;
use crate::raster;

fn metrics(values: &[(&str, f64)]) -> Metrics {
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

fn table_cell() -> Cell {
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
fn curve_cell() -> Cell {
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

fn confusion_cell() -> Cell {
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

fn sheet_cell() -> Cell {
    Cell::new(json!({ "images": "images", "per_class": 4, "title": "Samples" })).with(
        "images",
        "digits",
        json!({}),
        &images(28, 30),
    )
}

#[test]
fn sample_sheet_shows_every_class() {
    let figure = sheet_cell().figure("sample-sheet");
    assert_eq!(
        figure.caption,
        "30 images in 3 classes; those shown are taken evenly from first to last."
    );
    let mut cell = sheet_cell();
    cell.parameters["split"] = json!("test");
    cell.parameters["classes"] = json!(["dog"]);
    assert!(
        cell.figure("sample-sheet").caption.starts_with("15 images of the split test in 3 classes")
    );
    cell.parameters["classes"] = json!(["god"]);
    assert_eq!(
        cell.error("sample-sheet"),
        "parameter `classes`: no class `god`; there are: cat, dog, bird"
    );
    cell.parameters["split"] = json!("valid");
    assert_eq!(
        cell.error("sample-sheet"),
        "parameter `split`: no split `valid`; there are: train, test"
    );
}

fn grid_cell() -> Cell {
    Cell::new(json!({ "images": "images", "most": 3, "title": "Original and blurred" }))
        .with("images", "photographs", json!({}), &images(80, 6))
        .with("images", "blur", json!({ "sigma": 0.5 }), &images(80, 9))
}

#[test]
fn image_grid_matches_images_by_name() {
    grid_cell().figure("image-grid");
    let mut cell = grid_cell();
    cell.parameters["only"] = json!(["train/c0/9.png"]);
    assert!(
        cell.error("image-grid")
            .starts_with("input `images`: no image `train/c0/9.png`; there are: train/c0/0.png")
    );
    cell.parameters["only"] = json!([]);
    cell.parameters["heads"] = json!(["one"]);
    assert_eq!(
        cell.error("image-grid"),
        "parameter `heads`: expected a name for each of 2 columns, found 1"
    );
    let single = Cell::new(json!({ "images": "images", "cell": 40 })).with(
        "images",
        "z",
        json!({}),
        &images(28, 12),
    );
    assert!(single.figure("image-grid").files.contains_key("grid.png"));
}

fn activation_cell(shape: Vec<usize>) -> Cell {
    let set = images(64, 3);
    let count = 3 * shape.iter().product::<usize>();
    let values = (0..count).map(|i| ((i % 97) as f32 * 0.1).sin().max(0.0)).collect();
    let features = Features::new(set.examples().clone(), shape, values).unwrap();
    Cell::new(json!({ "activations": "activations", "images": "images", "most": 2, "title": "First layer" }))
        .with("activations", "maps", json!({}), &features)
        .with("images", "photographs", json!({}), &set)
}

#[test]
fn activation_grid_needs_maps() {
    activation_cell(vec![16, 13, 13]).figure("activation-grid");
    assert_eq!(
        activation_cell(vec![512]).error("activation-grid"),
        "input `activations`: expected maps of channels × height × width, found rows of shape [512] (extract them \
         without pooling)"
    );
}

fn top5_cell() -> Cell {
    let set = images(64, 3);
    let mut table = Table::new(vec![
        Column::text("image"),
        Column::text("class"),
        Column::number("probability"),
    ]);
    for id in &set.examples().ids {
        for (class, p) in [("dog", 0.2), ("cat", 0.7), ("bird", 0.1)] {
            table.push(vec![json!(id), json!(class), json!(p)]).unwrap();
        }
    }
    Cell::new(json!({
        "images": "images", "preprocessed": "preprocessed", "predictions": "predictions", "title": "Top 5", "most": 2,
    }))
    .with("images", "photographs", json!({}), &set)
    .with("preprocessed", "prepared", json!({}), &images(32, 3))
    .with("predictions", "predict", json!({}), &table)
}

#[test]
fn top5_panel_reads_predictions() {
    top5_cell().figure("top5-panel");
    let mut cell = top5_cell();
    cell.inputs.retain(|(slot, ..)| slot != "predictions");
    let other = Table::new(vec![Column::text("id")]);
    let cell = cell.with("predictions", "other", json!({}), &other);
    assert_eq!(cell.error("top5-panel"), "input `predictions`: no column `image`; there are: id");
}

fn attacked_cell(more: Value) -> Cell {
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
    let pairs =
        panel(json!({ "columns": ["original", "fooled"], "across": 3, "cell": 90, "mark": true }));
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

/// Pictures of two classes made in two ways, with two networks' verdicts.
fn captioned_cell() -> Cell {
    let columns = || {
        vec![
            Column::text("stage"),
            Column::text("class"),
            Column::text("image"),
            Column::decimals("probability", 2),
            Column::text("prediction"),
            Column::boolean("recognised"),
        ]
    };
    let (mut own, mut second) = (Table::new(columns()), Table::new(columns()));
    let mut cell = Cell::new(json!({
        "images": "images", "tables": "tables", "rows": "class", "columns": "stage", "mark": "recognised",
        "lines": ["p = {probability}", "second: {prediction}, {probability:%}"], "title": "Pictures of a class",
        "labels": { "stage=plain": "pixels", "fourier": "frequencies" },
    }));
    for (i, class) in ["tick", "snail"].into_iter().enumerate() {
        for (j, stage) in ["plain", "fourier"].into_iter().enumerate() {
            let mut picture = images(80, 4).select(&[2 * i + j]).unwrap();
            let examples =
                Examples { ids: vec![format!("{class}.png")], ..picture.examples().clone() };
            picture = picture.with_examples(examples).unwrap();
            cell = cell.with("images", stage, json!({ "class": class }), &picture);
            let row = |p: f64, says: &str| {
                vec![
                    json!(stage),
                    json!(class),
                    json!(format!("{class}.png")),
                    json!(p),
                    json!(says),
                    json!(says == class),
                ]
            };
            own.push(row(0.9 + 0.03 * (i + 2 * j) as f64, class)).unwrap();
            second.push(row(0.2, if i == j { class } else { "barn spider" })).unwrap();
        }
    }
    cell.with("tables", "own", json!({}), &own).with("tables", "second", json!({}), &second)
}

/// Each stage's own table tells of its own images, though their names are the same.
#[test]
fn captioned_grid_reads_the_images_own_tables() {
    let frames = |from: u32| {
        let examples = Examples {
            ids: ["00000.png", "00020.png"].map(str::to_owned).to_vec(),
            ..Examples::default()
        };
        let samples = (from..from + 2).flat_map(|i| photograph(80, 80, i).into_raw()).collect();
        ImageSet::packed(examples, Color::Rgb, 80, 80, samples).unwrap()
    };
    let history = |p: f64| {
        let mut table = Table::new(vec![Column::text("image"), Column::number("p")]);
        table.push(vec![json!("00000.png"), json!(0)]).unwrap();
        table.push(vec![json!(null), json!(0.5)]).unwrap();
        table.push(vec![json!("00020.png"), json!(p)]).unwrap();
        table
    };
    let cell = |second: f64| {
        Cell::new(json!({
            "images": "images", "tables": "tables", "rows": "stage", "columns": "image", "lines": "p = {p:.2}",
        }))
        .with("images", "cat", json!({}), &frames(0))
        .with("images", "hay", json!({}), &frames(2))
        .with("tables", "cat", json!({}), &history(0.9))
        .with("tables", "hay", json!({}), &history(second))
    };
    let picture = |second: f64| cell(second).figure("captioned-grid").files["grid.png"].clone();
    assert_eq!(picture(0.7), picture(0.7));
    assert_ne!(picture(0.7), picture(0.9), "the second table is read");
}

#[test]
fn captioned_grid_tells_cells_apart() {
    captioned_cell().figure("captioned-grid");
    let with = |key: &str, value: Value| {
        let mut cell = captioned_cell();
        cell.parameters[key] = value;
        cell.error("captioned-grid")
    };
    assert_eq!(
        with("rows", json!(null)),
        "parameter `columns`: two images fall on row ``, column `pixels`: expected `rows` and `columns` that tell them \
         apart"
    );
    assert_eq!(
        with("columns", json!("clas")),
        "parameter `columns`: no axis `clas`; there are: class, stage, image, class; did you mean `class`?"
    );
    assert_eq!(
        with("lines", json!(["{p}"])),
        "input `tables`: no column `p`; there are: stage, class, image, probability, prediction, recognised"
    );
    assert_eq!(
        with("lines", json!(["a", "b", "c"])),
        "parameter `lines`: expected a line for each of 2 stages of `tables`, found 3"
    );
    assert!(with("lines", json!("{p")).starts_with("parameter `lines`: `{p`: expected `{column}`"));
    assert!(with("mark", json!("right")).starts_with("parameter `mark`: no column `right`"));
}

fn animation_cell() -> Cell {
    Cell::new(
        json!({ "frames": "frames", "every": 2, "enlarge": 3, "caption": "A class appears." }),
    )
    .with("frames", "ascent", json!({}), &images(24, 6))
}

#[test]
fn animation_keeps_the_last_frame() {
    let figure = animation_cell().figure("animation");
    let last = raster::decode(&figure.files["last.png"]).unwrap();
    assert_eq!(last.dimensions(), (72, 72));
    assert_eq!(last.get_pixel(0, 0), photograph(24, 24, 5).get_pixel(0, 0));
    assert!(figure.files["animation.gif"].starts_with(b"GIF89a"));
}

fn report_cell() -> Cell {
    let table = table_cell().figure("table");
    let plot = curve_cell().figure("plot");
    let animation = animation_cell().figure("animation");
    Cell::new(json!({ "figures": "figures", "title": "The study", "description": "What was done.\n\nAnd why." }))
        .with("figures", "table", json!({}), &table)
        .with("figures", "curve", json!({ "layer": "fire9" }), &plot)
        .with("figures", "matrix", json!({}), &confusion_cell().figure("confusion-matrix"))
        .with("figures", "ascent", json!({}), &animation)
}

#[test]
fn report_is_one_page() {
    let figure = report_cell().figure("report");
    let html = String::from_utf8_lossy(&figure.files["report.html"]).into_owned();
    assert_eq!(html.matches("<section").count(), 4);
    assert!(html.contains("<h2>curve <small>layer = fire9</small></h2>"));
    assert!(html.contains("data:image/gif;base64,") && html.contains("width=\"800\""));
    let empty = Cell::new(json!({ "figures": "figures" })).with(
        "figures",
        "x",
        json!({}),
        &Figure::new("nothing"),
    );
    assert_eq!(
        empty.error("report"),
        "input `figures`: `x`: expected a html, gif or png file, found: "
    );
}

/// Maps of two methods, one of them with signs, of three photographs.
fn map_cell(shape: Vec<usize>) -> Cell {
    let set = images(64, 3);
    let plane: usize = shape.iter().product();
    let maps = |signed: bool| {
        let value = |i: usize| {
            let (x, y) = ((i % 64) as f32, (i % plane / 64) as f32);
            let wave = (x * 0.15 + (i / plane) as f32).sin() * (y * 0.11).cos();
            if signed { wave } else { wave.abs() }
        };
        let values = (0..3 * plane).map(value).collect();
        Features::new(set.examples().clone(), shape.clone(), values).unwrap()
    };
    let mut said = Table::new(vec![
        Column::text("image"),
        Column::text("class"),
        Column::number("probability"),
    ]);
    let mut boxes = Table::new(
        [
            vec![Column::text("image")],
            ["left", "top", "width", "height"].map(Column::integer).to_vec(),
        ]
        .concat(),
    );
    for id in &set.examples().ids {
        said.push(vec![json!(id), json!("Egyptian cat"), json!(0.723)]).unwrap();
        boxes.push(vec![json!(id), json!(8), json!(20), json!(30), json!(25)]).unwrap();
    }
    Cell::new(json!({
        "maps": "maps", "images": "images", "predictions": "said", "boxes": "boxes", "title": "Maps",
        "caption": "SqueezeNet 1.1.", "overlay": "grad-cam",
    }))
    .with("maps", "maps", json!({ "method": "grad-cam" }), &maps(false))
    .with("maps", "maps", json!({ "method": "integrated-gradients" }), &maps(true))
    .with("maps", "random", json!({ "method": "grad-cam", "through": "fire9" }), &maps(false))
    .with("maps", "random", json!({ "method": "integrated-gradients", "through": "fire9" }), &maps(true))
    .with("images", "prepared", json!({}), &set)
    .with("said", "maps", json!({}), &said)
    .with("boxes", "boxes", json!({}), &boxes)
}

#[test]
fn map_grid_goes_across_or_down() {
    let mut cell = map_cell(vec![1, 64, 64]);
    let size = |cell: &Cell| {
        raster::decode(&cell.figure("map-grid").files["maps.png"]).unwrap().dimensions()
    };
    let (wide, _) = size(&cell);
    cell.parameters["rows"] = json!("method");
    cell.parameters["heads"] = json!(["trained", "through fire9"]);
    let (narrow, _) = size(&cell);
    assert!(narrow < wide, "{narrow} {wide}");
    cell.parameters["rows"] = json!("through");
    assert_eq!(cell.error("map-grid"), "parameter `rows`: `maps` has no axis `through`");
    cell.parameters["rows"] = json!(null);
    assert!(cell.error("map-grid").starts_with(
        "parameter `heads`: expected a name for each of 4 columns (grad-cam, integrated-gradients, grad-cam, fire9"
    ));
    let wrong = map_cell(vec![4, 32, 32]).error("map-grid");
    assert_eq!(wrong, "input `maps`: expected maps of shape 1 × height × width, found [4, 32, 32]");
}

#[test]
fn map_grid_shows_chosen_cases() {
    let mut cases = Table::new(["image", "group", "label"].map(Column::text).to_vec());
    for (id, group) in [("train/c2/2.png", "consistent"), ("train/c0/0.png", "inconsistent")] {
        cases.push(vec![json!(id), json!(group), json!("cat, seen as dog (70 %)")]).unwrap();
    }
    let mut cell = map_cell(vec![1, 64, 64]).with("cases", "cases", json!({}), &cases);
    cell.parameters["cases"] = json!("cases");
    cell.figure("map-grid");
}

/// The same parameters and inputs give the same bytes; what gives others needs a new version.
#[test]
fn results_are_pinned_to_versions() {
    let cells: [(&str, Cell); 12] = [
        ("activation-grid", activation_cell(vec![16, 13, 13])),
        ("adversarial-panel", attacked_cell(json!({}))),
        ("animation", animation_cell()),
        ("captioned-grid", captioned_cell()),
        ("confusion-matrix", confusion_cell()),
        ("image-grid", grid_cell()),
        ("map-grid", map_cell(vec![1, 64, 64])),
        ("plot", curve_cell()),
        ("report", report_cell()),
        ("sample-sheet", sheet_cell()),
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
