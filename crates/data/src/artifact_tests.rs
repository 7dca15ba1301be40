//! Every artifact type, saved and loaded.

use sconce_core::{Artifact, Files};
use serde_json::json;

use crate::image::{Color, Image};
use crate::preprocess::{Channels, Preprocessing};
use crate::resize::{Filter, Fit};
use crate::*;

fn round_trip<T: Artifact>(artifact: &T) -> (tempfile::TempDir, T) {
    let folder = tempfile::tempdir().unwrap();
    artifact.save(folder.path()).unwrap();
    let loaded = T::load(&Files::from_folder(folder.path()).unwrap()).unwrap();
    (folder, loaded)
}

fn examples(n: usize) -> Examples {
    Examples {
        ids: (0..n).map(|i| format!("train/{i}.png")).collect(),
        classes: vec!["a".into(), "b".into()],
        labels: (0..n as u32).map(|i| i % 2).collect(),
        splits: vec!["train".into(), "test".into()],
        split: (0..n as u32).map(|i| u32::from(i >= 3)).collect(),
    }
}

#[test]
fn features_are_mapped_and_streamed() {
    let values: Vec<f32> = (0..24).map(|i| i as f32 / 8.0).collect();
    let features = Features::new(examples(4), vec![3, 2], values.clone()).unwrap();
    let (_folder, loaded) = round_trip(&features);
    assert_eq!(loaded.values(), values);
    assert_eq!(loaded.shape(), [3, 2]);
    assert_eq!(loaded.examples(), features.examples());
    assert_eq!(loaded.row(2), &values[12..18]);
    assert_eq!(loaded.gather(&[3, 0]), [&values[18..], &values[..6]].concat());
    assert_eq!(loaded.examples().in_split("test").unwrap(), [3]);
    assert_eq!(
        loaded.examples().in_split("tset").unwrap_err().to_string(),
        "no split `tset`; there are: train, test"
    );

    let folder = tempfile::tempdir().unwrap();
    let mut writer = FeaturesWriter::create(folder.path(), &examples(4), &[6]).unwrap();
    writer.push(&values[..12]).unwrap();
    assert!(writer.push(&[0.0; 13]).is_err());
    let mut writer = FeaturesWriter::create(folder.path(), &examples(4), &[6]).unwrap();
    for part in values.chunks(5) {
        writer.push(part).unwrap();
    }
    writer.finish().unwrap();
    let streamed = Features::load(&Files::from_folder(folder.path()).unwrap()).unwrap();
    assert_eq!(streamed.values(), values);

    assert!(Features::new(examples(4), vec![7], values).is_err());
}

#[test]
fn features_that_are_not_finite_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = FeaturesWriter::create(folder.path(), &examples(4), &[3]).unwrap();
    writer.push(&[0.0, 1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0]).unwrap();
    writer.push(&[f32::NEG_INFINITY, f32::NAN, 9.0, 10.0, 11.0]).unwrap();
    assert_eq!(
        writer.finish().unwrap_err().to_string(),
        "expected finite numbers: of 12 numbers 2 are NaN and 1 are infinite, first of row 1 (`train/1.png`) in column 2"
    );
    let infinite = Features::new(examples(1), vec![1], vec![f32::INFINITY]).unwrap();
    assert!(infinite.save(folder.path()).is_err());
}

#[test]
fn image_sets_of_both_sorts() {
    let picture = |i: usize| {
        let samples = (0..5 * 4 * 3).map(|s| (s * 3 + i * 50) as u8).collect();
        Image::new(5, 4, Color::Rgb, samples).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for i in 0..4 {
        let path = folder.path().join(format!("{i}.png"));
        std::fs::write(&path, picture(i).to_png().unwrap()).unwrap();
        files.push(path);
    }
    let encoded = ImageSet::encoded(examples(4), Color::Rgb, files).unwrap();
    let samples = (0..4).flat_map(|i| picture(i).into_samples()).collect();
    let packed = ImageSet::packed(examples(4), Color::Rgb, 5, 4, samples).unwrap();
    for set in [encoded, packed] {
        let (_folder, loaded) = round_trip(&set);
        assert_eq!(loaded.examples(), set.examples());
        assert_eq!(loaded.size(), set.size());
        let sum = |i: usize, image: Image| Ok((i, image));
        let all: Vec<_> = loaded.batches(&[3, 1, 0], 2, sum).map(Result::unwrap).collect();
        assert_eq!(all, [vec![(3, picture(3)), (1, picture(1))], vec![(0, picture(0))]]);
        let two = loaded.select(&[2, 0]).unwrap();
        assert_eq!(two.examples().ids, ["train/2.png", "train/0.png"]);
        assert_eq!(two.decode(0).unwrap(), picture(2));
        assert_eq!(loaded.digests().unwrap().len(), 4);
    }
}

#[test]
fn broken_images_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken");
    std::fs::write(&path, "not an image").unwrap();
    let set = ImageSet::encoded(examples(2), Color::Rgb, vec![path.clone(), path]).unwrap();
    insta::assert_snapshot!(set.check_images(|_| Ok(())).unwrap_err(), @r"
    2 images cannot be used:
      image `train/0.png`: expected a JPEG, PNG or GIF file
      image `train/1.png`: expected a JPEG, PNG or GIF file
    ");
}

#[test]
fn ids_cannot_leave_the_folder_or_clash() {
    for id in ["../x", "/x", "a//b", "a/./b", "a\\b", ""] {
        let examples = Examples { ids: vec![id.into()], ..Examples::default() };
        assert!(ImageSet::encoded(examples, Color::Rgb, vec!["x".into()]).is_err(), "{id}");
    }
    let examples = Examples { ids: vec!["a".into(), "a".into()], ..Examples::default() };
    assert!(ImageSet::encoded(examples, Color::Rgb, vec!["x".into(); 2]).is_err());
}

fn preprocessing() -> Preprocessing {
    Preprocessing {
        channels: Channels::Bgr,
        scale: 255.0,
        mean: vec![1.0, 2.0, 3.0],
        std: vec![1.0, 2.0, 4.0],
        instance: false,
        size: None,
        fit: Fit::Crop,
        filter: Filter::Bilinear,
    }
}

#[test]
fn preprocessing_orders_and_normalises() {
    let image = Image::new(2, 1, Color::Rgb, vec![10, 20, 30, 40, 50, 60]).unwrap();
    let planes = preprocessing().apply(&image).unwrap();
    // Blue 30 60, green 20 50, red 10 40.
    assert_eq!(planes, [29.0, 59.0, 9.0, 24.0, 1.75, 9.25]);
    assert_eq!(preprocessing().denormalize(&planes, 2, 1).unwrap(), image);
    let unit =
        Preprocessing { scale: 1.0, mean: vec![0.0; 3], std: vec![1.0; 3], ..preprocessing() };
    assert_eq!(unit.apply(&image).unwrap()[0], 30.0 / 255.0);
    let grey = Image::new(1, 1, Color::Grey, vec![51]).unwrap();
    assert_eq!(unit.apply(&grey).unwrap(), [0.2; 3]);
    let wrong = Preprocessing { mean: vec![1.0], ..preprocessing() };
    assert_eq!(
        wrong.apply(&image).unwrap_err().to_string(),
        "parameter `preprocessing.mean`: expected 3 finite number(s), one a channel, found [1.0]"
    );
}

#[test]
fn weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w");
    let data = [0_u8; 8];
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data).unwrap();
    std::fs::write(&path, safetensors::serialize([("a", view)], None).unwrap()).unwrap();
    let info = WeightsInfo {
        architecture: "net".into(),
        preprocessing: preprocessing(),
        classes: vec!["cat".into()],
    };
    let (_folder, loaded) = round_trip(&Weights::open(&path, info.clone()).unwrap());
    assert_eq!(loaded.info, info);
    assert_eq!(loaded.tensors().unwrap().tensor("a").unwrap().shape(), [2]);
    std::fs::write(&path, "no tensors").unwrap();
    assert!(Weights::open(&path, info).is_err());
}

#[test]
fn tables() {
    let mut table = Table::new(vec![
        Column::text("layer"),
        Column::decimals("accuracy", 3),
        Column::integer("n"),
    ]);
    table.push(vec![json!("fire9, \"L2\""), json!(0.87341), json!(3)]).unwrap();
    table.push(vec![json!("raw"), json!(null), json!(4)]).unwrap();
    let (folder, loaded) = round_trip(&table);
    assert_eq!(loaded, table);
    let csv = std::fs::read_to_string(folder.path().join("table.csv")).unwrap();
    assert_eq!(csv, "layer,accuracy,n\n\"fire9, \"\"L2\"\"\",0.87341,3\nraw,,4\n");
    assert_eq!(table.columns[1].show(&table.rows[0][1]), "0.873");
    assert_eq!(table.numbers("n").unwrap(), [3.0, 4.0]);
    assert_eq!(
        table.numbers("accuracy").unwrap_err().to_string(),
        "column `accuracy`, row 1: expected a number, found null"
    );
    assert_eq!(
        table.push(vec![json!(1), json!(1), json!(1)]).unwrap_err().to_string(),
        "column `layer` holds text, not 1"
    );
    assert!(table.push(vec![json!("x")]).is_err());
    assert_eq!(ColumnType::of(&[json!(1), json!(null), json!(2.5)]), ColumnType::Number);
    assert_eq!(ColumnType::of(&[json!(1), json!("x")]), ColumnType::Text);
}

#[test]
fn metrics() {
    let mut metrics = Metrics::default();
    metrics.set("accuracy", 0.5);
    let confusion = Array::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    metrics.arrays.insert("confusion".into(), confusion);
    let (_folder, loaded) = round_trip(&metrics);
    assert_eq!(loaded, metrics);
    assert_eq!(
        loaded.get("loss").unwrap_err().to_string(),
        "no metric `loss`; there are: accuracy"
    );
    metrics.set("loss", f64::NAN);
    let error = metrics.save(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert_eq!(error.to_string(), "metric `loss` is NaN: expected a finite number");
}

#[test]
fn figures() {
    let figure = Figure::new("A curve.").with("curve.svg", "<svg/>").with("curve.png", vec![1, 2]);
    let (_folder, loaded) = round_trip(&figure);
    assert_eq!(loaded, figure);
    assert_eq!(loaded.with_extension("png"), Some(("curve.png", &[1, 2][..])));
    for name in ["figure.json", "../x.svg", ".hidden"] {
        let figure = Figure::new("").with(name, "");
        assert!(figure.save(tempfile::tempdir().unwrap().path()).is_err(), "{name}");
    }
}
