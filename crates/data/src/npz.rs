//! Arrays of NumPy: `.npz` files, which are zip archives of `.npy` files, and lone `.npy` files.
//!
//! Read are plain numbers. Arrays of Python objects are pickles, which can run any code when they are loaded: they are
//! refused by name and never looked into. The format: NumPy Enhancement Proposal 1 and `numpy.lib.format`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Result};

use crate::examples::Examples;
use crate::image::Color;
use crate::image_set::ImageSet;

/// An array: the type, the shape, the bytes of the elements, the last dimension running fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// NumPy's name of the type: `|u1`, `<i8`.
    pub descr: String,
    /// Length along each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<u8>,
}

/// More bytes are refused: they would be held in memory.
const MAX_BYTES: usize = 4 << 30;
/// NumPy itself refuses headers beyond this.
const MAX_HEADER: usize = 10_000;

impl Array {
    /// Reads the array called `name` of an `.npz` file.
    ///
    /// # Errors
    /// When there is none (the message lists them), it holds objects or a type that is not known here, or the file is
    /// damaged.
    pub fn of_npz(path: &Path, name: &str) -> Result<Self> {
        let file = BufReader::new(File::open(path).at(path)?);
        let mut archive = zip::ZipArchive::new(file).map_err(Error::other)?;
        let names: Vec<String> = archive
            .file_names()
            .map(|name| name.map(|name| name.trim_end_matches(".npy").to_owned()))
            .collect::<Result<_, _>>()
            .map_err(Error::other)?;
        if !names.iter().any(|known| known == name) {
            return Err(Error::message(format!(
                "no array `{name}`; there are: {}",
                names.join(", ")
            )));
        }
        if archive.has_duplicate_names() {
            return Err(Error::message(
                "the file has two arrays of one name: expected one of each",
            ));
        }
        let member = archive.by_name(&format!("{name}.npy")).map_err(Error::other)?;
        Self::read(member).doing(|| format!("array `{name}`"))
    }

    /// Reads an `.npy` file. Elements in Fortran's order, the first dimension running fastest, are put into C's.
    ///
    /// # Errors
    /// As [`Array::of_npz`].
    pub fn read(mut reader: impl Read) -> Result<Self> {
        let short = |error: std::io::Error| Error::message(format!("the header: {error}"));
        let mut magic = [0; 8];
        reader.read_exact(&mut magic).map_err(short)?;
        let length = match magic {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => {
                let mut length = [0; 2];
                reader.read_exact(&mut length).map_err(short)?;
                usize::from(u16::from_le_bytes(length))
            }
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => {
                let mut length = [0; 4];
                reader.read_exact(&mut length).map_err(short)?;
                u32::from_le_bytes(length) as usize
            }
            _ => return Err(Error::message("expected an .npy file of version 1, 2 or 3")),
        };
        if length > MAX_HEADER {
            return Err(Error::message(format!(
                "expected a header of {MAX_HEADER} bytes at most, found {length}"
            )));
        }
        let mut header = vec![0; length];
        reader.read_exact(&mut header).map_err(short)?;
        let header =
            String::from_utf8(header).map_err(|_| Error::message("the header is not in UTF-8"))?;
        let (descr, fortran, shape) = parse_header(&header)?;
        let element = width(&descr)?;
        let expected = shape
            .iter()
            .try_fold(element, |bytes, &length| bytes.checked_mul(length))
            .filter(|&bytes| bytes <= MAX_BYTES)
            .ok_or_else(|| Error::message(format!("shape {shape:?} is too large")))?;
        let mut data = Vec::new();
        // One more than expected shows that there is too much, and bounds a hostile file.
        reader.take(expected as u64 + 1).read_to_end(&mut data).map_err(Error::other)?;
        if data.len() != expected {
            let found = if data.len() > expected { "more".into() } else { data.len().to_string() };
            return Err(Error::message(format!(
                "shape {shape:?} of {descr} asks for {expected} bytes, but there are {found}"
            )));
        }
        if fortran {
            data = last_fastest(&data, element, &shape);
        }
        Ok(Self { descr, shape, data })
    }

    /// The elements as whole numbers of 0 and more.
    ///
    /// # Errors
    /// When they are no integers, or one is negative or beyond `u32`.
    pub fn to_u32(&self) -> Result<Vec<u32>> {
        let order = self.descr.as_bytes().first().copied();
        let kind = self.descr.get(1..2).unwrap_or_default();
        if kind != "u" && kind != "i" {
            return Err(Error::message(format!("expected whole numbers, found {}", self.descr)));
        }
        let number = |bytes: &[u8]| {
            let mut wide = [0; 8];
            for (place, byte) in bytes.iter().enumerate() {
                let place = if order == Some(b'>') { bytes.len() - 1 - place } else { place };
                wide[place] = *byte;
            }
            let value = u64::from_le_bytes(wide);
            let negative = kind == "i" && value >> (8 * bytes.len() - 1) == 1;
            u32::try_from(value)
                .ok()
                .filter(|_| !negative)
                .ok_or_else(|| Error::message("expected whole numbers of 0 to 4,294,967,295"))
        };
        self.data.chunks_exact(width(&self.descr)?).map(number).collect()
    }
}

/// Bytes of an element.
fn width(descr: &str) -> Result<usize> {
    match descr {
        "|u1" | "|i1" | "|b1" => Ok(1),
        _ => match descr.get(..2).zip(descr.get(2..)) {
            Some(("<u" | "<i" | ">u" | ">i", "2")) => Ok(2),
            Some(("<u" | "<i" | ">u" | ">i" | "<f" | ">f", "4")) => Ok(4),
            Some(("<u" | "<i" | ">u" | ">i" | "<f" | ">f", "8")) => Ok(8),
            Some(("|O", _)) => Err(Error::message(
                "it holds Python objects (a pickle), which are not read: expected plain numbers",
            )),
            _ => Err(Error::message(format!("expected plain numbers, found the type {descr}"))),
        },
    }
}

/// Elements of `width` bytes of which the first dimension runs fastest, with the last one fastest instead.
fn last_fastest(data: &[u8], width: usize, shape: &[usize]) -> Vec<u8> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(width, |stride, &length| {
            let own = *stride;
            *stride *= length;
            Some(own)
        })
        .collect();
    let mut out = Vec::with_capacity(data.len());
    let (mut place, mut from) = (vec![0; shape.len()], 0);
    while out.len() < data.len() {
        out.extend_from_slice(&data[from..from + width]);
        // the next place, as an odometer counts
        for d in (0..shape.len()).rev() {
            place[d] += 1;
            from += strides[d];
            if place[d] < shape[d] {
                break;
            }
            from -= strides[d] * shape[d];
            place[d] = 0;
        }
    }
    out
}

/// Type, whether the elements are in Fortran's order, and shape from
/// `{'descr': '<i8', 'fortran_order': False, 'shape': (25,), }`.
fn parse_header(header: &str) -> Result<(String, bool, Vec<usize>)> {
    let wrong = |key: &str| Error::message(format!("the header has no plain `{key}`: {header}"));
    let after = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}':")).ok_or_else(|| wrong(key))?;
        Ok::<_, Error>(rest.trim_start())
    };
    let descr = after("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let (descr, _) = descr.ok_or_else(|| wrong("descr"))?;
    width(descr)?;
    let order = after("fortran_order")?;
    let fortran = order.starts_with("True");
    if !fortran && !order.starts_with("False") {
        return Err(wrong("fortran_order"));
    }
    let shape = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (shape, _) = shape.ok_or_else(|| wrong("shape"))?;
    let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    let shape: Result<Vec<usize>, _> = lengths.map(str::parse).collect();
    Ok((descr.to_owned(), fortran, shape.map_err(|_| wrong("shape"))?))
}

/// Whether it is an `.npy` file, by what it begins with.
///
/// # Errors
/// When it cannot be read.
pub fn is_npy(path: &Path) -> Result<bool> {
    let mut file = BufReader::new(File::open(path).at(path)?);
    Ok(file.fill_buf().at(path)?.starts_with(b"\x93NUMPY"))
}

/// The images of an `.npz` file: the array `images`, bytes of shape `(n, height, width)` or `(n, height, width, 1 or 3)`,
/// with classes from the array `labels`, `(n)` or `(n, 1)`. Class names are `classes`, or the labels' numbers where it is
/// empty. The images of an `.npy` file are its one array, and have no classes.
///
/// Images are named by their place: `00`, `01`, ….
///
/// # Errors
/// When an array is missing or has another type or shape, or a label has no name.
pub fn images(
    path: &Path,
    images: &str,
    labels: Option<&str>,
    classes: Vec<String>,
) -> Result<ImageSet> {
    let lone = is_npy(path)?;
    let array = if lone {
        Array::read(BufReader::new(File::open(path).at(path)?))?
    } else {
        Array::of_npz(path, images)?
    };
    let (n, height, width, color) = match (array.descr.as_str(), array.shape.as_slice()) {
        ("|u1", &[n, height, width] | &[n, height, width, 1]) => (n, height, width, Color::Grey),
        ("|u1", &[n, height, width, 3]) => (n, height, width, Color::Rgb),
        (descr, shape) => {
            let array = if lone { "the array".to_owned() } else { format!("array `{images}`") };
            return Err(Error::message(format!(
                "{array}: expected bytes (|u1) of shape (n, height, width) or (n, height, width, 1 or 3), found {descr} \
                 of shape {shape:?}"
            )));
        }
    };
    let digits = n.saturating_sub(1).to_string().len();
    let mut examples = Examples {
        ids: (0..n).map(|place| format!("{place:0digits$}")).collect(),
        ..Examples::default()
    };
    if let Some(name) = labels.filter(|_| !lone) {
        let labels = Array::of_npz(path, name)?;
        if labels.shape != [n] && labels.shape != [n, 1] {
            return Err(Error::message(format!(
                "array `{name}`: expected {n} labels, found shape {:?}",
                labels.shape
            )));
        }
        examples.labels = labels.to_u32().doing(|| format!("array `{name}`"))?;
        let count = examples.labels.iter().max().map_or(0, |&largest| largest as usize + 1);
        if count > 1 << 20 {
            return Err(Error::message(format!(
                "array `{name}`: label {} is too large",
                count - 1
            )));
        }
        examples.classes = match classes.len() {
            0 => (0..count).map(|class| class.to_string()).collect(),
            known if known < count => {
                return Err(Error::message(format!(
                    "array `{name}`: label {} has no name: there are {known}",
                    count - 1
                )));
            }
            _ => classes,
        };
    }
    ImageSet::packed(examples, color, width, height, array.data)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write as _;

    pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        ordered(descr, "False", shape, data)
    }

    fn ordered(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    pub(crate) fn npz(folder: &Path, arrays: &[(&str, Vec<u8>)]) -> std::path::PathBuf {
        let path = folder.join("a.npz");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in arrays {
            let name = format!("{name}.npy");
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
        path
    }

    #[test]
    fn images_with_labels() {
        let folder = tempfile::tempdir().unwrap();
        let samples: Vec<u8> = (0..2 * 2 * 3 * 3).collect();
        let path = npz(
            folder.path(),
            &[
                ("X", npy("|u1", "(2, 2, 3, 3)", &samples)),
                ("y", npy(">i2", "(2,)", &[0, 2, 0, 1])),
                ("map", npy("|O", "()", b"\x80\x02cposix\nsystem\n")),
                ("z", npy("<i4", "(2,)", &[255, 255, 255, 255, 0, 0, 0, 0])),
            ],
        );
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let set = images(&path, "X", Some("y"), names.clone()).unwrap();
        assert_eq!(set.examples().ids, ["0", "1"]);
        assert_eq!(
            (set.examples().class_of(0), set.examples().class_of(1)),
            (Some("c"), Some("b"))
        );
        assert_eq!(set.decode(1).unwrap().samples(), &samples[18..]);
        assert_eq!(
            images(&path, "X", Some("y"), vec![]).unwrap().examples().class_of(0),
            Some("2")
        );
        let said = |images_: &str, labels, names: &[String]| {
            images(&path, images_, labels, names.to_vec()).unwrap_err().to_string()
        };
        assert_eq!(said("Y", None, &[]), "no array `Y`; there are: X, y, map, z");
        assert_eq!(
            said("map", None, &[]),
            "array `map`: it holds Python objects (a pickle), which are not read: expected plain numbers"
        );
        assert_eq!(
            said("X", Some("z"), &[]),
            "array `z`: expected whole numbers of 0 to 4,294,967,295"
        );
        assert_eq!(
            said("X", Some("y"), &names[..2]),
            "array `y`: label 2 has no name: there are 2"
        );
        assert_eq!(
            said("X", Some("X"), &[]),
            "array `X`: expected 2 labels, found shape [2, 2, 3, 3]"
        );
        assert!(said("y", None, &[]).starts_with("array `y`: expected bytes (|u1) of shape"));
    }

    /// numpy.arange(24, dtype="<u2").reshape(2, 3, 4), with numpy.asfortranarray and without: one array.
    #[test]
    fn fortrans_order_is_put_into_cs() {
        let bytes = |order: &[u16]| order.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let plain = npy("<u2", "(2, 3, 4)", &bytes(&(0..24).collect::<Vec<_>>()));
        let fortrans =
            [0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23];
        let turned = ordered("<u2", "True", "(2, 3, 4)", &bytes(&fortrans));
        assert_eq!(Array::read(&turned[..]).unwrap(), Array::read(&plain[..]).unwrap());
        for shape in ["()", "(1,)"] {
            assert_eq!(Array::read(&ordered("|u1", "True", shape, &[7])[..]).unwrap().data, [7]);
        }
        let empty = ordered("|u1", "True", "(2, 0, 3)", &[]);
        assert!(Array::read(&empty[..]).unwrap().data.is_empty());
        let said = Array::read(&ordered("|u1", "maybe", "(1,)", &[7])[..]).unwrap_err().to_string();
        assert!(said.starts_with("the header has no plain `fortran_order`"), "{said}");
    }

    /// Labels as a column, as MedMNIST has them, are labels; a lone array has none.
    #[test]
    fn columns_of_labels_and_lone_arrays() {
        let folder = tempfile::tempdir().unwrap();
        let samples: Vec<u8> = (0..2 * 2 * 3).collect();
        let array = npy("|u1", "(2, 2, 3)", &samples);
        let path = npz(
            folder.path(),
            &[
                ("X", array.clone()),
                ("y", npy("|u1", "(2, 1)", &[1, 0])),
                ("z", npy("|u1", "(2, 2)", &[1, 0, 0, 1])),
            ],
        );
        let set = images(&path, "X", Some("y"), vec![]).unwrap();
        assert_eq!(set.examples().labels, [1, 0]);
        let said = images(&path, "X", Some("z"), vec![]).unwrap_err().to_string();
        assert_eq!(said, "array `z`: expected 2 labels, found shape [2, 2]");
        let path = folder.path().join("alone.npy");
        std::fs::write(&path, array).unwrap();
        let set = images(&path, "X", Some("y"), vec![]).unwrap();
        assert_eq!((set.len(), set.examples().labels.len()), (2, 0));
        assert_eq!(set.decode(1).unwrap().samples(), &samples[6..]);
        std::fs::write(&path, npy("<f4", "(1,)", &[0; 4])).unwrap();
        let said = images(&path, "X", None, vec![]).unwrap_err().to_string();
        assert!(said.starts_with("the array: expected bytes (|u1) of shape"), "{said}");
    }

    #[test]
    fn damaged_files_are_errors() {
        let said = |bytes: &[u8]| Array::read(bytes).unwrap_err().to_string();
        let whole = npy("<f4", "(3,)", &[0; 12]);
        assert!(Array::read(&whole[..]).is_ok());
        for end in 0..whole.len() {
            assert!(Array::read(&whole[..end]).is_err(), "{end}");
        }
        let mut more = whole;
        more.push(0);
        assert_eq!(said(&more), "shape [3] of <f4 asks for 12 bytes, but there are more");
        assert!(said(&npy("<f4", "(9999999999, 9999999999)", &[])).ends_with("is too large"));
        assert!(said(&npy("<f4", "(-1,)", &[])).starts_with("the header has no plain `shape`"));
        assert!(said(&npy("<U7", "(1,)", &[0; 28])).ends_with("found the type <U7"));
        assert_eq!(said(b"PK"), "the header: failed to fill whole buffer");
    }
}
