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
