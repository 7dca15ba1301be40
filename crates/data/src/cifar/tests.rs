use super::*;

/// A file's name and content.
type File = (&'static str, Vec<u8>);

/// Records of `n` images: labels from `label(image, place)`, samples from a formula that tells channels, rows and images apart.
///
/// The numbers below are numpy's (2.4.6), from these bytes laid out as the files' publisher says:
///
/// ```python
/// import zlib, numpy as np
/// def samples(seed, n):
///     i = np.arange(n * 3072, dtype=np.int64)
///     return ((i * 7 + (i >> 8) * 13 + (i >> 14) * 5 + seed * 31) % 251).astype(np.uint8).reshape(n, 3, 32, 32)
/// train = np.concatenate([samples(b, 2) for b in range(1, 6)]).transpose(0, 2, 3, 1)
/// test = samples(6, 3).transpose(0, 2, 3, 1)
/// for a in train, test: print(zlib.crc32(np.ascontiguousarray(a).tobytes()))
/// print(train[3, 1, 2], test[2, 31, 30])
/// ```
pub(crate) fn records(
    seed: usize,
    n: usize,
    labels: usize,
    label: fn(usize, usize) -> u8,
) -> Vec<u8> {
    let sample = |i: usize| ((i * 7 + (i >> 8) * 13 + (i >> 14) * 5 + seed * 31) % 251) as u8;
    let record = |image: usize| {
        let labels = (0..labels).map(move |place| label(image, place));
        labels.chain((image * IMAGE..(image + 1) * IMAGE).map(sample))
    };
    (0..n).flat_map(record).collect()
}

/// Six small files, named as CIFAR-10's.
pub(crate) fn files_10() -> Vec<File> {
    let label = |image, _| [3, 9, 0][image];
    let train =
        BATCHES[..5].iter().zip(1..).map(|(name, seed)| (*name, records(seed, 2, 1, label)));
    train.chain([("test_batch.bin", records(6, 3, 1, label))]).collect()
}

fn place(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Vec<Files>) {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let files = Files::from_folder(place.path()).unwrap();
    (place, vec![files])
}

fn crc(images: &ImageSet, range: std::ops::Range<usize>) -> u32 {
    let mut crc = flate2::Crc::new();
    range.for_each(|i| crc.update(images.decode(i).unwrap().samples()));
    crc.sum()
}

fn pixel(images: &ImageSet, i: usize, row: usize, column: usize) -> Vec<u8> {
    let at = 3 * (row * SIDE + column);
    images.decode(i).unwrap().samples()[at..at + 3].to_vec()
}

#[test]
fn ten_classes_as_numpy_reads_them() {
    let (_place, files) = place(&files_10());
    let images = read_10(&files).unwrap();
    let examples = images.examples();
    assert_eq!((images.color(), images.size()), (Color::Rgb, Some((32, 32))));
    assert_eq!(examples.splits, ["train", "test"]);
    assert_eq!(examples.split, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(examples.labels, [3, 9, 3, 9, 3, 9, 3, 9, 3, 9, 3, 9, 0]);
    assert_eq!(
        (examples.ids[2].as_str(), examples.ids[12].as_str()),
        ("train/00002", "test/00002")
    );
    assert_eq!((examples.class_of(0), examples.class_of(12)), (Some("cat"), Some("airplane")));
    assert_eq!((crc(&images, 0..10), crc(&images, 10..13)), (221_378_378, 659_577_250));
    assert_eq!(pixel(&images, 3, 1, 2), [123, 64, 5]);
    assert_eq!(pixel(&images, 12, 31, 30), [248, 189, 130]);
}

#[test]
fn a_file_names_the_classes_and_one_split_is_enough() {
    let names = "a\r\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    let mut all = files_10();
    let test = all.split_off(5);
    let named = ("batches.meta.txt", names.as_bytes().to_vec());
    let (_place, files) = place(&[test, vec![named]].concat());
    let images = read_10(&files).unwrap();
    assert_eq!((images.len(), &images.examples().splits[..]), (3, &["test".to_owned()][..]));
    assert_eq!(images.examples().classes, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let (_place, files) = place(&all);
    assert_eq!(read_10(&files).unwrap().examples().splits, ["train"]);
}

#[test]
fn a_hundred_classes_and_twenty_superclasses() {
    let label = |image: usize, place: usize| [[19, 99], [0, 42]][image][place];
    let names =
        |n: usize| (0..n).map(|class| format!("{n}-{class}\n")).collect::<String>().into_bytes();
    let all = [
        ("cifar-100-binary/train.bin", records(1, 2, 2, label)),
        ("cifar-100-binary/test.bin", records(2, 1, 2, label)),
        ("cifar-100-binary/fine_label_names.txt", names(100)),
        ("cifar-100-binary/coarse_label_names.txt", names(20)),
    ];
    let (_place, files) = place(&all);
    let images = read_100(&files, false).unwrap();
    let classes = |images: &ImageSet| -> Vec<String> {
        (0..3).map(|i| images.examples().class_of(i).unwrap().to_owned()).collect()
    };
    assert_eq!(classes(&images), ["100-99", "100-42", "100-99"]);
    assert_eq!(images.examples().split, [0, 0, 1]);
    // The same samples as those of CIFAR-10's first batch.
    let (_ten, ten) = place(&files_10());
    assert_eq!(crc(&images, 0..2), crc(&read_10(&ten).unwrap(), 0..2));
    assert_eq!(classes(&read_100(&files, true).unwrap()), ["20-19", "20-0", "20-19"]);

    let (_place, files) = place(&all[..3]);
    assert_eq!(
        read_100(&files, true).unwrap_err().to_string(),
        "expected the classes' names in `coarse_label_names.txt`: no such file"
    );
    let wrong = [(all[0].0, records(1, 2, 2, |_, _| 20)), all[3].clone()];
    let (_place, files) = place(&wrong);
    assert_eq!(
        read_100(&files, true).unwrap_err().to_string(),
        "`cifar-100-binary/train.bin`: byte 0: expected a label of 0 to 19, found 20"
    );
}

#[test]
fn damaged_and_missing_files_are_told() {
    let said = |change: &dyn Fn(&mut Vec<File>)| {
        let mut files = files_10();
        change(&mut files);
        let (_place, files) = place(&files);
        read_10(&files).unwrap_err().to_string()
    };
    assert_eq!(
        said(&|files| drop(files.remove(2))),
        "expected all five batches of `train`: `data_batch_3.bin` is missing beside data_batch_1.bin, \
         data_batch_2.bin, data_batch_4.bin, data_batch_5.bin"
    );
    assert_eq!(
        said(&|files| files[1].1.truncate(3073 + 40)),
        "`data_batch_2.bin`: expected records of 3073 bytes: 3113 bytes end after 1 records and 40 bytes, at \
         byte 3073"
    );
    assert_eq!(
        said(&|files| files[5].1.clear()),
        "`test_batch.bin`: expected records of 3073 bytes: 0 bytes end after 0 records and 0 bytes, at byte 0"
    );
    assert_eq!(
        said(&|files| files[4].1[3073] = 10),
        "`data_batch_5.bin`: byte 3073: expected a label of 0 to 9, found 10"
    );
    assert_eq!(
        said(&|files| files.push(("batches.meta.txt", b"cat\ndog\n".to_vec()))),
        "`batches.meta.txt`: expected the names of 10 classes, one a line, found 2"
    );
    let only_names = said(&|files| {
        *files = vec![("batches.meta.txt", CLASSES.join("\n").into_bytes())];
    });
    assert_eq!(only_names, "expected files of images beside the classes' names, found none");
    let none = said(&|files| *files = vec![("data_batch_1", vec![0])]);
    assert!(none.starts_with("expected `data_batch_1.bin` or"), "{none}");
    assert!(none.ends_with("there are: data_batch_1"), "{none}");
}
