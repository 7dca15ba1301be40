use super::*;

/// MNIST-M as it is passed round, and the same with one table of several columns.
#[test]
fn labels_from_text_files() {
    let (place, _) = folder(&[
        ("mnist_m_train/00000000.png", 1),
        ("mnist_m_train/00000001.png", 2),
        ("mnist_m_test/00000000.png", 3),
    ]);
    write(place.path(), "mnist_m_train_labels.txt", b"00000000.png 2\n00000001.png 10\n");
    write(place.path(), "mnist_m_test_labels.txt", b"00000000.png 10\n");
    write(
        place.path(),
        "all.csv",
        b"n,\"file\",digit\n1,mnist_m_test/00000000.png,10\n2,00000001,10\n3,mnist_m_train/00000000,2\n",
    );
    let files = Files::from_folder(place.path()).unwrap();
    let images = image_folder(
        json!({
            "label_files": { "train": "mnist_m_train_labels.txt", "test": "mnist_m_test_labels.txt" }
        }),
        files.clone(),
    )
    .unwrap();
    let expected = Examples {
        ids: [
            "mnist_m_train/00000000.png",
            "mnist_m_train/00000001.png",
            "mnist_m_test/00000000.png",
        ]
        .map(str::to_owned)
        .to_vec(),
        classes: vec!["2".into(), "10".into()],
        labels: vec![0, 1, 1],
        splits: vec!["train".into(), "test".into()],
        split: vec![0, 0, 1],
    };
    assert_eq!(*images.examples(), expected);
    let table = json!({ "label_files": "all.csv", "label_columns": ["file", "digit"] });
    assert_eq!(*image_folder(table, files.clone()).unwrap().examples(), expected);
    let error = image_folder(json!({ "label_files": "all.csv" }), files.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "label file `all.csv`: line 1: expected a name and a label with a comma between them, found 3 fields"
    );
    let error = image_folder(json!({ "label_columns": ["file", "digit"] }), files).unwrap_err();
    assert_eq!(error.to_string(), "parameter `label_columns`: expected `label_files` beside it");
}

#[test]
fn label_files_are_a_text_or_a_table() {
    let parse = |label_files: Value| {
        serde_json::from_value::<ImageFolder>(
            json!({ "files": "files", "label_files": label_files }),
        )
    };
    for good in [json!("a.txt"), json!({ "train": "a.txt" })] {
        let stage = parse(good.clone()).unwrap();
        // What is keyed is what was written.
        assert_eq!(serde_json::to_value(&stage).unwrap()["label_files"], good);
    }
    for wrong in [json!(3), json!(["a.txt"]), json!({ "train": 3 })] {
        assert!(parse(wrong.clone()).is_err(), "{wrong}");
    }
    let error = parse(json!(3)).unwrap_err().to_string();
    assert!(error.contains("a file, or a table from splits to files"), "{error}");
}
