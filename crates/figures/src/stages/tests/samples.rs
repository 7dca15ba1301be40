//! What shows a generator's samples: tables with images, grids, animations.

use image::AnimationDecoder as _;
use sconce_data::{Color, Examples, ImageSet, Metrics};
use serde_json::{Value, json};

use crate::drawn::photograph;
use crate::raster;
use crate::stages::trial::Cell;

const SIDE: usize = 32;

/// Grey images of one side, `each` in every split and of classes in turn; `kind` tells sets apart.
fn samples(kind: u32, splits: &[&str], each: usize) -> ImageSet {
    let mut examples = Examples { classes: vec!["0".into(), "1".into()], ..Examples::default() };
    for split in splits {
        examples.add_split(split, (0..each as u32).map(|i| i % 2).collect());
    }
    let image = |i: usize| photograph(SIDE as u32, SIDE as u32, 1000 * kind + i as u32);
    let grey = |i: usize| image(i).pixels().map(|pixel| pixel[0]).collect::<Vec<u8>>();
    let pixels = (0..examples.len()).flat_map(grey).collect();
    ImageSet::packed(examples, Color::Grey, SIDE, SIDE, pixels).unwrap()
}

/// Measurements of two losses and two seeds, and the samples of each.
fn study(parameters: Value) -> Cell {
    let mut cell = Cell::new(parameters);
    for (i, loss) in ["non-saturating", "hinge"].into_iter().enumerate() {
        for seed in 0..2 {
            let mut metrics = Metrics::default();
            metrics.set("fid", 20.0 + 5.0 * i as f64 + f64::from(seed));
            metrics.set("classes", 10.0 - i as f64);
            let coordinates = json!({ "loss": loss, "seed": seed });
            cell = cell.with("rows", "fid", coordinates.clone(), &metrics);
            let set = samples(2 * i as u32 + seed, &["step 0", "step 100"], 12);
            cell = cell.with("images", "samples", coordinates, &set);
        }
    }
    cell
}

fn pivoted() -> Value {
    json!({
        "rows": "rows", "images": "images", "value": ["fid", "classes"], "over": "seed", "max_images": 6,
        "labels": { "fid": "FID", "images": "samples" }, "title": "Losses", "best": { "fid": "min" },
        "caption": "Two seeds.",
    })
}

#[test]
fn a_table_shows_images_of_each_row() {
    let cell = study(pivoted());
    let figure = cell.figure("table");
    let text = |name: &str| String::from_utf8(figure.files[name].clone()).unwrap();
    insta::assert_snapshot!(text("table.md"), @r"
    **Losses**

    | loss           |                FID |        classes |
    | :------------- | -----------------: | -------------: |
    | non-saturating | **20.500 ± 0.707** | 10.000 ± 0.000 |
    | hinge          |     25.500 ± 0.707 |  9.000 ± 0.000 |

    samples: see `table.png`.

    Two seeds. Mean ± sample standard deviation over 2 values of seed. Images: seed=0.
    ");
    assert!(figure.caption.ends_with("Images: seed=0."), "{}", figure.caption);
    let html = text("table.html");
    let tiles: Vec<&str> = html.split("data:image/png;base64,").skip(1).collect();
    assert_eq!(tiles.len(), 2);
    for (row, tile) in tiles.iter().enumerate() {
        use base64::Engine as _;
        let png = tile.split('"').next().unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
        let tile = raster::decode(&png).unwrap();
        // Six images and five gaps of two pixels.
        assert_eq!(tile.dimensions(), (6 * 32 + 10, 32));
        // The first image of the last split, the third one behind it, and the gap between.
        let set = 1000 * (2 * row as u32);
        for (place, seed) in [(0, 12), (3, 15)] {
            let expected = photograph(32, 32, set + seed).get_pixel(9, 21)[0];
            assert_eq!(tile.get_pixel(place * 34 + 9, 21).0, [expected; 3], "{row} {place}");
        }
        assert_eq!(tile.get_pixel(33, 5).0, [255; 3]);
    }
    assert_eq!(text("table.svg").matches("<image ").count(), 12);
    assert!(!text("table.csv").contains("samples"));
    // As the rows are: every cell is one, and shows its own.
    let mut plain = pivoted();
    for key in ["value", "over", "best"] {
        plain.as_object_mut().unwrap().remove(key);
    }
    let figure = study(plain).figure("table");
    assert_eq!(String::from_utf8_lossy(&figure.files["table.svg"]).matches("<image ").count(), 24);
    assert_eq!(figure.caption, "Two seeds.");
}

#[test]
fn images_that_no_row_can_be_told_of_are_refused() {
    let with = |stage: &str, coordinates: Value| {
        study(pivoted()).with("images", stage, coordinates, &samples(9, &["a"], 2)).error("table")
    };
    assert_eq!(
        with("samples", json!({ "loss": "saturating", "seed": 0 })),
        "parameter `images`: no row is of `samples[loss=saturating,seed=0]`"
    );
    assert_eq!(
        with("real", json!({})),
        "parameter `images`: `real` could be of any row: expected one of their axes (loss)"
    );
    assert_eq!(
        with("samples", json!({ "loss": "hinge", "seed": 0, "mode": "eval" })),
        "parameter `images`: `samples[loss=hinge,seed=0]` and `samples[loss=hinge,seed=0,mode=eval]` both fit the row of \
         hinge: expected sets that the rows tell apart, or `over` with the axis"
    );
    let mut none = study(pivoted());
    none.parameters["max_images"] = json!(0);
    assert_eq!(none.error("table"), "parameter `max_images`: expected 1 or more, found 0");
}

/// Rows of several stages: a stage's images are those of its own row.
#[test]
fn a_stage_tells_rows_apart() {
    let mut cell = Cell::new(json!({ "rows": "rows", "images": "images", "value": "fid" }));
    for (i, stage) in ["plain", "conditional"].into_iter().enumerate() {
        let mut metrics = Metrics::default();
        metrics.set("fid", i as f64);
        cell = cell.with("rows", stage, json!({}), &metrics);
        if i == 1 {
            cell = cell.with("images", stage, json!({}), &samples(0, &["a"], 3));
        }
    }
    let figure = cell.figure("table");
    let html = String::from_utf8_lossy(&figure.files["table.html"]);
    let rows: Vec<&str> = html.split("<tr>").skip(2).collect();
    assert!(rows[0].contains("plain") && !rows[0].contains("<img"), "{}", rows[0]);
    assert!(rows[1].contains("conditional") && rows[1].contains("<img"), "{}", rows[1]);
}

#[test]
fn splits_are_the_frames_of_an_animation() {
    let names: Vec<String> = (0..12).map(|i| format!("step {}", 100 * i)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let set = samples(0, &names, 64);
    let animated =
        |parameters: Value| Cell::new(parameters).with("frames", "samples", json!({}), &set);
    let figure = animated(json!({ "frames": "frames", "across": 8 })).figure("animation");
    let gif =
        image::codecs::gif::GifDecoder::new(std::io::Cursor::new(&figure.files["animation.gif"]));
    let frames = gif.unwrap().into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 12);
    let side = 8 * 32 + 7 * 2;
    for (frame, shown) in frames.iter().enumerate() {
        assert_eq!(shown.buffer().dimensions(), (side, side));
        // The second image of the third row.
        let expected = photograph(32, 32, (frame * 64 + 17) as u32).get_pixel(4, 7)[0];
        assert_eq!(shown.buffer().get_pixel(34 + 4, 2 * 34 + 7).0[0], expected, "{frame}");
        assert_eq!(shown.buffer().get_pixel(32, 3).0, [255; 4]);
    }
    let last = raster::decode(&figure.files["last.png"]).unwrap();
    assert_eq!(last.get_pixel(1, 1)[0], photograph(32, 32, 11 * 64).get_pixel(1, 1)[0]);
    let without = ImageSet::packed(
        Examples { ids: vec!["a".into()], ..Examples::default() },
        Color::Grey,
        1,
        1,
        vec![0],
    );
    let cell = Cell::new(json!({ "frames": "frames", "across": 8 }));
    assert_eq!(
        cell.with("frames", "one", json!({}), &without.unwrap()).error("animation"),
        "parameter `across`: expected images in splits, a frame each; these have none"
    );
    assert_eq!(
        animated(json!({ "frames": "frames", "across": 0 })).error("animation"),
        "parameter `across`: expected 1 or more, found 0"
    );
    let some = animated(json!({ "frames": "frames", "across": 8, "max_images": 16 }));
    let last = raster::decode(&some.figure("animation").files["last.png"]).unwrap();
    assert_eq!(last.dimensions(), (side, 2 * 32 + 2));
    assert_eq!(
        animated(json!({ "frames": "frames", "max_images": 16 })).error("animation"),
        "parameter `max_images`: each image is a frame: expected `across` beside it"
    );
}

/// Each row a class, each column one z; and one row from a z to another.
#[test]
fn small_samples_stand_in_a_grid_without_names() {
    for (count, across) in [(150, 15), (11, 11)] {
        let cell = Cell::new(json!({
            "images": "images", "across": across, "names": false, "max_images": 150, "cell": 40, "gap": 2,
            "title": "Each row a class, each column one z",
        }));
        let set = samples(0, &["samples"], count);
        let figure = cell.with("images", "samples", json!({}), &set).figure("image-grid");
        let (width, height) = raster::decode(&figure.files["grid.png"]).unwrap().dimensions();
        assert!(width >= 2 * (across * 42 - 2), "{width}");
        assert!(height >= 2 * (count as u32 / across * 42 - 2), "{height}");
    }
}
