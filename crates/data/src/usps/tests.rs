use super::*;

/// `fixtures/digits.py` made the files and says what scikit-learn reads there.
const TRAIN: &[u8] = include_bytes!("../fixtures/usps.bz2");
const TEST: &[u8] = include_bytes!("../fixtures/usps.t.bz2");

fn place(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Files) {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(place.path().join(name), bytes).unwrap();
    }
    let files = Files::from_folder(place.path()).unwrap();
    (place, files)
}

fn crc(images: &ImageSet, range: std::ops::Range<usize>) -> u32 {
    let mut crc = flate2::Crc::new();
    range.for_each(|i| crc.update(images.decode(i).unwrap().samples()));
    crc.sum()
}

#[test]
fn files_as_scikit_learn_reads_them() {
    let (_place, files) = place(&[("usps.bz2", TRAIN), ("usps.t.bz2", TEST)]);
    let images = read(&[files]).unwrap();
    let examples = images.examples();
    assert_eq!((images.color(), images.size()), (Color::Grey, Some((16, 16))));
    assert_eq!(examples.splits, ["train", "test"]);
    assert_eq!(examples.split, [0, 0, 0, 1, 1]);
    assert_eq!(examples.labels, [9, 1, 0, 0, 9]);
    assert_eq!(examples.classes[9], "9");
    assert_eq!((examples.ids[0].as_str(), examples.ids[4].as_str()), ("train/00000", "test/00001"));
    // -1, 1, and 0 that the line leaves out.
    assert_eq!(images.decode(0).unwrap().samples()[..6], [0, 255, 127, 241, 79, 107]);
    assert_eq!((crc(&images, 0..3), crc(&images, 3..5)), (3_498_380_291, 2_813_804_650));

    // Unpacked, a file gives the same.
    let mut plain = Vec::new();
    MultiBzDecoder::new(TEST).read_to_end(&mut plain).unwrap();
    let (_place, files) = place(&[("usps.t", &plain)]);
    let images = read(&[files]).unwrap();
    assert_eq!((images.len(), crc(&images, 0..2)), (2, 2_813_804_650));
    assert_eq!(images.examples().splits, ["test"]);
}

#[test]
fn what_is_no_usps_is_refused() {
    let said = |files: &[(&str, &[u8])]| {
        let (_place, files) = place(files);
        read(&[files]).unwrap_err().to_string()
    };
    assert_eq!(
        said(&[("usps", b"1 1:1"), ("usps.bz2", TRAIN)]),
        "expected one `usps`: there are `usps` and `usps.bz2`"
    );
    assert_eq!(
        said(&[("usps.h5", b"")]),
        "expected `usps` or `usps.t`, plain or with `.bz2`; there are: usps.h5"
    );
    assert_eq!(said(&[("usps", b"\n\n")]), "`usps`: expected lines of digits, found none");
    assert_eq!(
        said(&[("usps", b"1 1:1\n\n0 1:1")]),
        "`usps`: line 3: expected a label of 1 to 10, found `0`"
    );
    for field in [
        "0:1",
        "257:1",
        "2:1.01",
        "2:nan",
        "1:0.5",
        "2",
        "2:",
        ":1",
        "-3:1",
        "18446744073709551615:1",
    ] {
        assert_eq!(
            said(&[("usps", format!("7 1:-1 {field} 9:1\n").as_bytes())]),
            format!(
                "`usps`: line 1: expected `index:value` with 1 to 256, rising, and −1 to 1, found `{field}`"
            )
        );
    }
    assert_eq!(
        said(&[("usps", b"\xff\xfe")]),
        "`usps`: expected a text of LIBSVM, found other bytes"
    );
    let cut = said(&[("usps.bz2", &TRAIN[..TRAIN.len() - 20])]);
    assert!(cut.starts_with("`usps.bz2`: the bzip2 data are damaged: "), "{cut}");
    let mut broken = TRAIN.to_vec();
    broken[1000] ^= 1;
    let broken = said(&[("usps.bz2", &broken)]);
    assert!(broken.starts_with("`usps.bz2`: the bzip2 data are damaged: "), "{broken}");
}
