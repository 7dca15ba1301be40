use std::io::Write;

use super::*;

/// Bytes of a file, in either order.
struct Order {
    big: bool,
}

impl Order {
    fn word(&self, word: u32) -> [u8; 4] {
        if self.big { word.to_be_bytes() } else { word.to_le_bytes() }
    }

    fn element(&self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [self.word(kind), self.word(data.len() as u32)].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// An element of up to four bytes.
    fn small(&self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = self.word((data.len() as u32) << 16 | kind).to_vec();
        bytes.extend(data);
        bytes.resize(8, 0);
        bytes
    }

    fn words(&self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| self.word(*word)).collect()
    }

    fn array(&self, name: &str, class: u32, shape: &[u32], numbers: &[u8]) -> Vec<u8> {
        let parts = [
            self.element(6, &self.words(&[class, 0])),
            self.element(5, &self.words(shape)),
            self.small(1, name.as_bytes()),
            numbers.to_vec(),
        ];
        self.element(MATRIX, &parts.concat())
    }

    fn file(&self, elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![b' '; 124];
        bytes[..10].copy_from_slice(b"MATLAB 5.0");
        bytes.extend(if self.big { *b"\x01\x00MI" } else { *b"\x00\x01IM" });
        bytes.extend(elements.concat());
        bytes
    }

    fn compressed(&self, element: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(element).unwrap();
        let packed = packed.finish().unwrap();
        [&self.word(COMPRESSED)[..], &self.word(packed.len() as u32), &packed].concat()
    }
}

fn parse(bytes: &[u8], names: &[&str]) -> Result<Vec<Array>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read(file.path(), names).map_err(|error| error.to_string())
}

/// Shorts of an array of doubles, plain and compressed, beside arrays that nobody asked for.
fn file(order: &Order) -> Vec<u8> {
    let shorts: Vec<u8> = [1_i16, -2, 3, 4, 5, 6]
        .iter()
        .flat_map(|n| if order.big { n.to_be_bytes() } else { n.to_le_bytes() })
        .collect();
    let plain = order.array("a", 6, &[2, 3], &order.element(3, &shorts));
    let bytes = order.array("b", 9, &[1, 3], &order.small(2, &[7, 8, 9]));
    let cell = order.array("c", 1, &[1, 1], &order.array("", 6, &[1, 1], &order.small(2, &[1])));
    order.file(&[order.compressed(&cell), cell.clone(), order.compressed(&bytes), plain])
}

#[test]
fn arrays_of_either_byte_order() {
    for big in [false, true] {
        let arrays = parse(&file(&Order { big }), &["a", "b"]).unwrap();
        let [a, b] = &arrays[..] else { panic!("{arrays:?}") };
        assert_eq!(
            (a.name.as_str(), a.shape.as_slice(), a.element),
            ("a", &[2, 3][..], Element::I16)
        );
        assert_eq!(a.data, [1, 0, 254, 255, 3, 0, 4, 0, 5, 0, 6, 0]);
        assert_eq!(
            a.to_u32().unwrap_err().to_string(),
            "expected whole numbers of 0 to 4,294,967,295"
        );
        assert_eq!((b.shape.as_slice(), b.to_u32().unwrap()), (&[1, 3][..], vec![7, 8, 9]));
    }
}

#[test]
fn whole_numbers_of_all_types() {
    let numbers = |element, data: &[u8]| {
        let array = Array { name: String::new(), shape: vec![], element, data: data.to_vec() };
        array.to_u32().ok()
    };
    assert_eq!(numbers(Element::I8, &[127]), Some(vec![127]));
    assert_eq!(numbers(Element::I8, &[128]), None);
    assert_eq!(numbers(Element::U32, &[255; 4]), Some(vec![u32::MAX]));
    assert_eq!(numbers(Element::I32, &[255; 4]), None);
    assert_eq!(numbers(Element::U64, &[0, 0, 0, 0, 1, 0, 0, 0]), None);
    assert_eq!(numbers(Element::I64, &[9, 0, 0, 0, 0, 0, 0, 0]), Some(vec![9]));
    assert_eq!(numbers(Element::F32, &3.0_f32.to_le_bytes()), Some(vec![3]));
    for (number, expected) in
        [(10.0, Some(vec![10])), (0.5, None), (-1.0, None), (f64::NAN, None), (5e9, None)]
    {
        assert_eq!(numbers(Element::F64, &f64::to_le_bytes(number)), expected);
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let order = Order { big: false };
    let said =
        |elements: &[Vec<u8>], names: &[&str]| parse(&order.file(elements), names).unwrap_err();
    let bytes =
        |name: &str, n: usize| order.array(name, 9, &[n as u32, 1], &order.element(2, &vec![1; n]));
    assert_eq!(said(&[bytes("x", 3), bytes("y", 3)], &["y", "z"]), "no array `z`; there are: y, x");
    assert_eq!(said(&[bytes("x", 3), bytes("x", 3)], &["x"]), "two arrays `x`");
    let cell = order.array("c", 1, &[1, 1], &[]);
    assert_eq!(said(&[cell], &["c"]), "array `c`: expected a full array of real numbers");
    let complex = order.array("c", 6 | 1 << 11, &[1, 1], &order.small(2, &[1]));
    assert_eq!(said(&[complex], &["c"]), "array `c`: expected a full array of real numbers");
    let odd = order.array("c", 9, &[2, 2], &order.small(2, &[1]));
    assert_eq!(
        said(&[odd], &["c"]),
        "array `c`: shape [2, 2] of elements of 1 bytes does not fit 1 bytes"
    );
    let long = order.array("c", 9, &[1, 1], &[order.small(2, &[1]), order.small(2, &[1])].concat());
    assert_eq!(said(std::slice::from_ref(&long), &["c"]), "array `c`: 8 bytes too many");
    assert_eq!(said(&[order.compressed(&long)], &["c"]), "array `c`: 8 bytes too many");
    assert_eq!(
        said(&[order.element(2, &[1])], &["c"]),
        "expected an array (type 14), found type 2"
    );
    let mut newer = order.file(&[]);
    newer[125] = 2;
    assert!(parse(&newer, &["c"]).unwrap_err().starts_with("a .mat file of version 7.3 (HDF5)"));
    assert_eq!(parse(&[b'x'; 200], &["c"]).unwrap_err(), "expected a .mat file of level 5");
}

/// Cut short or with a bit turned, a file is an error or reads as something: never a panic.
#[test]
fn damaged_files_are_errors() {
    let whole = file(&Order { big: false });
    for end in 0..whole.len() {
        assert!(parse(&whole[..end], &["a", "b"]).is_err(), "{end}");
    }
    for place in 120..whole.len() {
        for bit in [0, 3, 7] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << bit;
            let _ = parse(&damaged, &["a", "b"]);
        }
    }
    // The checksum of what is compressed is looked at.
    let order = Order { big: false };
    let mut packed = order.compressed(&order.array("b", 9, &[1, 3], &order.small(2, &[7, 8, 9])));
    let last = packed.len() - 1;
    packed[last] ^= 1;
    let error = parse(&order.file(&[packed]), &["b"]).unwrap_err();
    assert!(error.starts_with("the data are damaged: "), "{error}");
}
