use super::*;

#[test]
fn mnist_m_of_what_the_program_brings_along() {
    let read = Mnist { files: Inputs::new(["files"]), emnist: None };
    let fetched_digits = fetched(DIGITS, "embedded:digits");
    let digits = run(&read, &[("files", fetched_digits.files("files"))]).unwrap();
    let fetched_photographs = fetched(PHOTOGRAPHS, "embedded:photographs");
    let read: ImageFolder = stage(json!({ "files": "files", "splits": [] }));
    let photographs = run(&read, &[("files", fetched_photographs.files("files"))]).unwrap();
    let every: Vec<usize> = (0..6000).step_by(100).collect();
    let before = digits.load::<ImageSet>("images").select(&every).unwrap();
    let place = tempfile::tempdir().unwrap();
    before.save(place.path()).unwrap();
    let few = Files::from_folder(place.path()).unwrap();
    let inputs = [("images", few), ("photographs", photographs.files("images"))];

    let build = |parameters: Value, seed: u64| -> ImageSet {
        let mut all = json!({ "images": "images", "photographs": "photographs" });
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        run_seeded(&stage::<MnistM>(all), &inputs, seed).unwrap().load("images")
    };
    let shared = build(json!({}), 0);
    assert_eq!(shared.examples(), before.examples());
    assert_eq!((shared.size(), shared.color()), (Some((28, 28)), Color::Rgb));
    let digests = shared.digests().unwrap();
    assert_eq!(build(json!({}), 0).digests().unwrap(), digests);
    assert_ne!(build(json!({}), 1).digests().unwrap(), digests);

    // Of two photographs in six, a third of the test digits lie there by chance already.
    let disjoint = build(json!({ "backgrounds": "disjoint" }), 0);
    assert_ne!(disjoint.digests().unwrap(), digests);
    let other = build(json!({ "backgrounds": "disjoint", "test_split": "train" }), 0);
    assert_ne!(other.digests().unwrap(), disjoint.digests().unwrap());
    let more = build(json!({ "backgrounds": "disjoint", "test_share": 0.5 }), 0);
    assert_ne!(more.digests().unwrap(), disjoint.digests().unwrap());
}

#[test]
fn a_share_is_between_none_and_all() {
    for share in [0.0, 1.0, -0.5, 7.0] {
        let stage: MnistM =
            stage(json!({ "images": "images", "photographs": "photographs", "test_share": share }));
        assert_eq!(
            stage.check().unwrap_err().to_string(),
            "parameter `test_share`: expected more than 0 and less than 1"
        );
    }
}

/// Pairs of domains have the same classes, whatever the size and colour of their digits.
#[test]
fn usps_svhn_and_mnist_are_domains_of_one_task() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "a/train_32x32.mat", include_bytes!("../../fixtures/train_32x32.mat"));
    write(place.path(), "a/test_32x32.mat", include_bytes!("../../fixtures/test_32x32.mat"));
    write(place.path(), "b/usps.bz2", include_bytes!("../../fixtures/usps.bz2"));
    let files = |folder: &str| Files::from_folder(&place.path().join(folder)).unwrap();
    let svhn = run(&stage::<Svhn>(json!({ "files": "files" })), &[("files", files("a"))]).unwrap();
    let usps = run(&stage::<Usps>(json!({ "files": "files" })), &[("files", files("b"))]).unwrap();
    let mnist = fetched(DIGITS, "embedded:digits");
    let read = Mnist { files: Inputs::new(["files"]), emnist: None };
    let mnist = run(&read, &[("files", mnist.files("files"))]).unwrap();
    let sets: Vec<ImageSet> = [&svhn, &usps, &mnist].map(|ran| ran.load("images")).into();
    for set in &sets {
        assert_eq!(set.examples().classes, sets[2].examples().classes);
    }
    assert_eq!(sets[0].examples().splits, ["train", "test"]);

    // Digits of any size can lie on photographs.
    let photographs = fetched(PHOTOGRAPHS, "embedded:photographs");
    let read: ImageFolder = stage(json!({ "files": "files", "splits": [] }));
    let photographs = run(&read, &[("files", photographs.files("files"))]).unwrap();
    let inputs = [("images", usps.files("images")), ("photographs", photographs.files("images"))];
    let build: MnistM = stage(json!({ "images": "images", "photographs": "photographs" }));
    let built: ImageSet = run(&build, &inputs).unwrap().load("images");
    assert_eq!((built.size(), built.color()), (Some((16, 16)), Color::Rgb));
    assert_eq!(built.examples(), sets[1].examples());
}
