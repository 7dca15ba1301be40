use std::io::Write;

use super::*;

fn idx_of(kind: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|length| length.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
    idx_of(8, shape, data)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn read_as(files: &[(&str, Vec<u8>)], emnist: Option<Emnist>) -> Result<ImageSet> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    read(&[Files::from_folder(folder.path()).unwrap()], emnist)
}

fn set(files: &[(&str, Vec<u8>)]) -> Result<ImageSet> {
    read_as(files, None)
}

#[test]
fn image_sets_of_one_or_two_pairs() {
    let images = idx(&[2, 1, 2], &[1, 2, 3, 4]);
    let labels = idx(&[2], &[0, 2]);
    let train =
        [("data/train-images-idx3-ubyte.gz", gz(&images)), ("train-labels.idx1-ubyte", labels)];
    let one = set(&train).unwrap();
    assert_eq!(one.examples().classes, ["0", "1", "2"]);
    assert_eq!(one.examples().splits, ["train"]);
    assert_eq!(one.decode(1).unwrap().samples(), [3, 4]);
    let [images_file, labels_file] = train;
    let test = ("t10k-images-idx3-ubyte", idx(&[1, 1, 2], &[9, 9]));
    let test_labels = ("t10k-labels-idx1-ubyte", idx(&[1], &[1]));
    let both = set(&[images_file.clone(), labels_file.clone(), test.clone(), test_labels]).unwrap();
    assert_eq!(both.examples().ids, ["train/00000", "train/00001", "test/00000"]);

    let error = |files: &[(&str, Vec<u8>)]| set(files).unwrap_err().to_string();
    assert_eq!(
        error(std::slice::from_ref(&images_file)),
        "`data/train-images-idx3-ubyte.gz` is there, the labels of train are not"
    );
    let three = ("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 2]));
    assert_eq!(error(&[images_file.clone(), three]), "train: 2 images, but 3 labels");
    assert!(error(&[]).starts_with("expected `train-images-idx3-ubyte` and"));
    assert!(
        error(&[
            images_file.clone(),
            ("train-images-2", idx(&[2, 1, 2], &[1, 2, 3, 5])),
            labels_file
        ])
        .starts_with("expected one file, or files of one content: `data/train-images")
    );
    let flat = ("train-labels-idx1-ubyte", idx(&[2, 1], &[0, 1]));
    assert!(
        error(&[images_file, flat])
            .ends_with("expected one dimension, or ints in columns, found shape [2, 1]")
    );
}

/// An `L` of 3 × 2 pixels as EMNIST has it: column by column.
const L: [u8; 6] = [1, 1, 1, 0, 0, 1];

fn emnist(set: &str, split: &str, labels: &[u8]) -> Vec<(String, Vec<u8>)> {
    let images = L.repeat(labels.len());
    let n = labels.len() as u32;
    vec![
        (format!("gzip/emnist-{set}-{split}-images-idx3-ubyte.gz"), gz(&idx(&[n, 2, 3], &images))),
        (format!("gzip/emnist-{set}-{split}-labels-idx1-ubyte.gz"), gz(&idx(&[n], labels))),
    ]
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
}

/// The names are those of torchvision's `EMNIST.classes` (without the `N/A` of letters).
#[test]
fn emnists_sets_stand_upright_and_have_names() {
    let mut files = emnist("letters", "train", &[1, 26, 12]);
    files.extend(emnist("letters", "test", &[2]));
    let letters = set(&borrowed(&files)).unwrap();
    let examples = letters.examples();
    assert_eq!((letters.size(), letters.len()), (Some((2, 3)), 4));
    assert_eq!(letters.decode(0).unwrap().samples(), [1, 0, 1, 0, 1, 1]);
    let names: Vec<_> = (0..4).map(|i| examples.class_of(i).unwrap()).collect();
    assert_eq!((names, examples.classes.len()), (vec!["a", "z", "l", "b"], 26));
    assert_eq!(examples.in_split("test").unwrap(), [3]);

    for (name, most, count, some) in [
        ("balanced", 46, 47, [(10, "A"), (36, "a"), (37, "b"), (38, "d"), (46, "t")]),
        ("bymerge", 46, 47, [(10, "A"), (36, "a"), (40, "f"), (42, "h"), (43, "n")]),
        ("byclass", 61, 62, [(10, "A"), (35, "Z"), (36, "a"), (38, "c"), (61, "z")]),
        ("digits", 9, 10, [(0, "0"), (1, "1"), (2, "2"), (3, "3"), (9, "9")]),
        ("mnist", 9, 10, [(0, "0"), (1, "1"), (2, "2"), (3, "3"), (9, "9")]),
    ] {
        let read = set(&borrowed(&emnist(name, "train", &[0, most]))).unwrap();
        assert_eq!(read.examples().classes.len(), count, "{name}");
        for (label, class) in some {
            assert_eq!(read.examples().classes[label], class, "{name}");
        }
        let error = set(&borrowed(&emnist(name, "train", &[0, most + 1]))).unwrap_err();
        assert!(error.to_string().starts_with("parameter `emnist`: the labels of"), "{error}");
    }
}

#[test]
fn one_of_emnists_sets_is_meant() {
    let mut files = emnist("letters", "train", &[1]);
    files.extend(emnist("digits", "train", &[7]));
    let error = set(&borrowed(&files)).unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter `emnist`: there are the files of several sets: expected one of `digits`, `letters`"
    );
    let letters = read_as(&borrowed(&files), Some(Emnist::Letters)).unwrap();
    assert_eq!(letters.examples().class_of(0), Some("a"));
    let error = read_as(&borrowed(&files), Some(Emnist::Balanced)).unwrap_err().to_string();
    assert!(error.starts_with("parameter `emnist`: no files of `balanced`"), "{error}");
}

#[test]
fn renamed_letters_are_no_digits() {
    let renamed = [
        ("train-images-idx3-ubyte", idx(&[2, 2, 3], &L.repeat(2))),
        ("train-labels-idx1-ubyte", idx(&[2], &[1, 26])),
    ];
    let error = set(&renamed).unwrap_err().to_string();
    assert!(error.contains("say `emnist = \"letters\"`, or `emnist = \"none\"`"), "{error}");
    let letters = read_as(&renamed, Some(Emnist::Letters)).unwrap();
    assert_eq!(letters.decode(1).unwrap().samples(), [1, 0, 1, 0, 1, 1]);
    assert_eq!(letters.examples().class_of(1), Some("z"));
}

#[test]
fn qmnists_labels_are_the_first_column() {
    let ints = |rows: &[[i32; 8]]| -> Vec<u8> {
        rows.as_flattened().iter().flat_map(|int| int.to_be_bytes()).collect()
    };
    let rows = [[5, 4, 267, 8, 53, 12645, 0, 0], [0, 0, 1, 2, 3, 4, 0, 0]];
    let images = ("qmnist-train-images-idx3-ubyte.gz", gz(&idx(&[2, 1, 2], &[1, 2, 3, 4])));
    let labels = ("qmnist-train-labels-idx2-int.gz", gz(&idx_of(12, &[2, 8], &ints(&rows))));
    let read = set(&[images.clone(), labels]).unwrap();
    assert_eq!(read.examples().labels, [5, 0]);
    assert_eq!(read.decode(1).unwrap().samples(), [3, 4]);
    let wrong = idx_of(12, &[2, 8], &ints(&[[-1; 8]; 2]));
    let error = set(&[images, ("train-labels-idx2-int", wrong)]).unwrap_err().to_string();
    assert_eq!(error, "`train-labels-idx2-int`: expected labels of 0 to 255, found -1");
}

#[test]
fn packed_and_unpacked_files_side_by_side_are_one() {
    let (images, labels) = (idx(&[2, 1, 2], &[1, 2, 3, 4]), idx(&[2], &[0, 2]));
    let mut files = vec![
        ("MNIST/raw/train-images-idx3-ubyte", images.clone()),
        ("MNIST/raw/train-images-idx3-ubyte.gz", gz(&images)),
        ("MNIST/raw/train-labels-idx1-ubyte", labels.clone()),
        ("MNIST/raw/train-labels-idx1-ubyte.gz", gz(&labels)),
    ];
    assert_eq!(set(&files).unwrap().len(), 2);
    files[3].1 = gz(&idx(&[2], &[0, 1]));
    assert_eq!(
        set(&files).unwrap_err().to_string(),
        "expected one file, or files of one content: `MNIST/raw/train-labels-idx1-ubyte` and \
         `MNIST/raw/train-labels-idx1-ubyte.gz` differ"
    );
    files[1].1.truncate(30);
    let error = set(&files).unwrap_err().to_string();
    assert!(error.starts_with("`MNIST/raw/train-images-idx3-ubyte.gz`: "), "{error}");
}
