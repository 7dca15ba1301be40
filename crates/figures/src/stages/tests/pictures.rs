//! Sheets, grids and panels of pictures.

use sconce_data::{Color, Column, Examples, Features, ImageSet, Table};
use serde_json::{Value, json};

use super::images;
use crate::drawn::photograph;
use crate::raster;
use crate::stages::trial::Cell;

pub(super) fn sheet_cell() -> Cell {
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
    cell.parameters["only_classes"] = json!(["dog"]);
    assert!(
        cell.figure("sample-sheet").caption.starts_with("15 images of the split test in 3 classes")
    );
    cell.parameters["only_classes"] = json!(["god"]);
    assert_eq!(
        cell.error("sample-sheet"),
        "parameter `only_classes`: no class `god`; there are: cat, dog, bird"
    );
    cell.parameters["split"] = json!("valid");
    assert_eq!(
        cell.error("sample-sheet"),
        "parameter `split`: no split `valid`; there are: train, test"
    );
}

pub(super) fn grid_cell() -> Cell {
    Cell::new(json!({ "images": "images", "max_images": 3, "title": "Original and blurred" }))
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

#[test]
fn image_grid_has_a_row_for_each_split() {
    let of = |parameters: Value, set: &ImageSet| {
        let mut all = json!({ "images": "images", "split_rows": true, "cell": 40 });
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        Cell::new(all).with("images", "looks", json!({}), set)
    };
    // eleven looks at two images, each image of one grey
    let shade = |look: usize, image: usize| (look * 20 + image * 10) as u8;
    let mut examples = Examples::default();
    for look in 0..11 {
        examples.add_split(&format!("step {}", look * 100), vec![0; 2]);
    }
    examples.labels.clear();
    let images = (0..11).flat_map(|look| [0, 1].map(|image| (look, image)));
    let samples = images.flat_map(|(look, image)| [shade(look, image); 4]).collect();
    let set = ImageSet::packed(examples, Color::Grey, 2, 2, samples).unwrap();
    // which greys stand in a picture, row by row, without frames of few pixels
    let rows = |parameters: Value| -> Vec<Vec<u8>> {
        let figure = of(parameters, &set).figure("image-grid");
        let grid = image::load_from_memory(&figure.files["grid.png"]).unwrap().to_luma8();
        let lines = grid.rows().map(|line| {
            let greys = runs(line.map(|pixel| pixel.0[0]));
            greys.into_iter().filter(|(grey, _)| *grey < 250).map(|(grey, _)| grey).collect()
        });
        let rows = runs(lines).into_iter().map(|(row, _)| row);
        rows.filter(|row: &Vec<u8>| !row.is_empty()).collect()
    };
    // the first, the middle and the last look
    let shown = |images: &[usize]| -> Vec<Vec<u8>> {
        [0, 5, 10].map(|look| images.iter().map(|&image| shade(look, image)).collect()).to_vec()
    };
    assert_eq!(rows(json!({ "max_images": 3, "names": false, "density": 1.0 })), shown(&[0, 1]));
    let first = json!({ "max_images": 3, "names": false, "density": 1.0, "across": 1 });
    assert_eq!(rows(first), shown(&[0]));
    let one = json!({ "max_images": 1, "names": false, "density": 1.0 });
    assert_eq!(rows(one), shown(&[0, 1])[..1]);
    assert_eq!(rows(json!({ "max_images": 99, "names": false, "density": 1.0 })).len(), 11);
    // names of splits stand beside the rows
    let plain = of(json!({ "names": false }), &set).figure("image-grid");
    let named = of(json!({}), &set).figure("image-grid");
    let width = |figure: &sconce_data::Figure| {
        image::load_from_memory(&figure.files["grid.png"]).unwrap().width()
    };
    assert!(width(&named) >= width(&plain) && named.files["grid.png"] != plain.files["grid.png"]);

    let whole = images_without_splits();
    assert_eq!(
        of(json!({}), &whole).error("image-grid"),
        "input `images`: expected images with splits, a row for each"
    );
    assert!(
        of(json!({ "only": ["a"] }), &set)
            .error("image-grid")
            .starts_with("parameter `split_rows`")
    );
    let two = of(json!({}), &set).with("images", "other", json!({}), &set);
    assert_eq!(two.error("image-grid"), "parameter `split_rows`: expected one image set, found 2");
}

/// What comes more than ten times in a row, and how often.
fn runs<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut runs: Vec<(T, usize)> = Vec::new();
    for one in all {
        match runs.last_mut() {
            Some((last, count)) if *last == one => *count += 1,
            _ => runs.push((one, 1)),
        }
    }
    runs.into_iter().filter(|(_, count)| *count > 10).collect()
}

fn images_without_splits() -> ImageSet {
    let mut examples = images(28, 3).examples().clone();
    (examples.splits, examples.split) = (Vec::new(), Vec::new());
    ImageSet::packed(examples, Color::Grey, 1, 1, vec![0; 3]).unwrap()
}

pub(super) fn activation_cell(shape: Vec<usize>) -> Cell {
    let set = images(64, 3);
    let count = 3 * shape.iter().product::<usize>();
    let values = (0..count).map(|i| ((i % 97) as f32 * 0.1).sin().max(0.0)).collect();
    let features = Features::new(set.examples().clone(), shape, values).unwrap();
    Cell::new(json!({ "activations": "activations", "images": "images", "max_images": 2, "title": "First layer" }))
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

pub(super) fn top5_cell() -> Cell {
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
        "images": "images", "preprocessed": "preprocessed", "predictions": "predictions", "title": "Top 5", "max_images": 2,
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

/// Pictures of two classes made in two ways, with two networks' verdicts.
pub(super) fn captioned_cell() -> Cell {
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
        "images": "images", "tables": "tables", "down": "class", "columns": "stage", "mark": "recognised",
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
            "images": "images", "tables": "tables", "down": "stage", "columns": "image", "lines": "p = {p:.2}",
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

/// Predictions name their images in the column `id`; where a table has both, the image is in `image`.
#[test]
fn captioned_grid_finds_images_by_id() {
    let predictions = |second: &str, with_image: bool| {
        let mut columns = vec![Column::text("id"), Column::text("predicted")];
        columns.extend(with_image.then(|| Column::text("image")));
        let mut table = Table::new(columns);
        for (place, predicted) in [(1, "dog"), (0, second)] {
            let id = images(64, 2).examples().ids[place].clone();
            let mut row =
                vec![json!(if with_image { "other" } else { id.as_str() }), json!(predicted)];
            row.extend(with_image.then(|| json!(id)));
            table.push(row).unwrap();
        }
        table
    };
    let picture = |table: &Table| {
        let cell =
            Cell::new(json!({ "images": "images", "tables": "tables", "lines": "{predicted}" }));
        let cell = cell.with("images", "mistakes", json!({}), &images(64, 2));
        cell.with("tables", "said", json!({}), table).figure("captioned-grid").files["grid.png"]
            .clone()
    };
    assert_ne!(picture(&predictions("cat", false)), picture(&predictions("bird", false)));
    assert_eq!(picture(&predictions("cat", false)), picture(&predictions("cat", true)));
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
        with("down", json!(null)),
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

pub(super) fn animation_cell() -> Cell {
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

/// Maps of two methods, one of them with signs, of three photographs.
pub(super) fn map_cell(shape: Vec<usize>) -> Cell {
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
    cell.parameters["down"] = json!("method");
    cell.parameters["heads"] = json!(["trained", "through fire9"]);
    let (narrow, _) = size(&cell);
    assert!(narrow < wide, "{narrow} {wide}");
    cell.parameters["down"] = json!("through");
    assert_eq!(cell.error("map-grid"), "parameter `down`: `maps` has no axis `through`");
    cell.parameters["down"] = json!(null);
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
