use std::path::Path;

use super::*;

/// `fixtures/digits.py` made the files and says what scipy reads there.
const TRAIN: &[u8] = include_bytes!("../fixtures/train_32x32.mat");
const TEST: &[u8] = include_bytes!("../fixtures/test_32x32.mat");

fn place(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Files) {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let files = Files::from_folder(place.path()).unwrap();
    (place, files)
}

fn crc(samples: impl Iterator<Item = Vec<u8>>) -> u32 {
    let mut crc = flate2::Crc::new();
    samples.for_each(|samples| crc.update(&samples));
    crc.sum()
}

#[test]
fn files_as_scipy_reads_them() {
    let (_place, files) = place(&[("svhn/train_32x32.mat", TRAIN), ("test_32x32.mat", TEST)]);
    let images = read(&[files]).unwrap();
    let examples = images.examples();
    assert_eq!((images.color(), images.size()), (Color::Rgb, Some((5, 4))));
    assert_eq!(examples.splits, ["train", "test"]);
    assert_eq!(examples.split, [0, 0, 0, 0, 0, 0, 1, 1]);
    assert_eq!(examples.labels, [1, 0, 3, 9, 0, 2, 7, 0]);
    assert_eq!(examples.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!((examples.ids[0].as_str(), examples.ids[7].as_str()), ("train/00000", "test/00001"));
    let samples = |range: std::ops::Range<usize>| {
        crc(range.map(|i| images.decode(i).unwrap().into_samples()))
    };
    assert_eq!(samples(0..6), 1_286_244_548);
    assert_eq!(samples(6..8), 804_746_269);
}

#[test]
fn what_is_no_svhn_is_refused() {
    let said = |files: &[(&str, &[u8])]| {
        let (_place, files) = place(files);
        read(&[files]).unwrap_err().to_string()
    };
    assert_eq!(
        said(&[("a/test_32x32.mat", TEST), ("b/test_32x32.mat", TEST)]),
        "expected one `test_32x32.mat`: there are `a/test_32x32.mat` and `b/test_32x32.mat`"
    );
    assert_eq!(
        said(&[("digitStruct.mat", TEST)]),
        "expected `train_32x32.mat` or `test_32x32.mat` or `extra_32x32.mat`; there are: digitStruct.mat"
    );
    assert_eq!(
        said(&[("test_32x32.mat", &TEST[..300])]),
        "`test_32x32.mat`: array `X`: the data end too early"
    );
}

fn array(shape: &[usize], data: Vec<u8>) -> mat::Array {
    mat::Array { name: "X".into(), shape: shape.to_vec(), element: Element::U8, data }
}

#[test]
fn images_are_bytes_and_labels_digits() {
    // One image alone has no fourth dimension.
    let (height, width, samples) = pixels(array(&[1, 2, 3], vec![1, 2, 3, 4, 5, 6])).unwrap();
    assert_eq!((height, width, samples), (1, 2, vec![1, 3, 5, 2, 4, 6]));
    for shape in [&[1, 2, 1, 3][..], &[6], &[0, 2, 3, 1]] {
        let data = vec![0; shape.iter().product()];
        let error = pixels(array(shape, data)).unwrap_err().to_string();
        assert!(
            error.starts_with("array `X`: expected bytes of shape (height, width, 3, n)"),
            "{error}"
        );
    }
    let said = |shape: &[usize], labels: &[u8]| {
        digits(&array(shape, labels.to_vec()), 2).unwrap_err().to_string()
    };
    assert_eq!(said(&[2, 1], &[1, 0]), "expected 1 to 9, and 10 for the digit 0, found 0");
    assert_eq!(said(&[1, 2], &[11, 1]), "expected 1 to 9, and 10 for the digit 0, found 11");
    assert_eq!(said(&[3, 1], &[1, 1, 1]), "expected 2 labels, found shape [3, 1]");
    assert_eq!(digits(&array(&[1, 2], vec![10, 4]), 2).unwrap(), [0, 4]);
}
