//! IDX, the file format of MNIST, plain or gzipped.
//!
//! Two zero bytes, the type of the elements (8: unsigned byte, 12: int), the number of dimensions,
//! then each dimension as a big-endian u32, then the elements, the last dimension running fastest
//! (Y. LeCun, "The MNIST database", the file formats). What MNIST's files hold is in
//! [`mnist`](crate::mnist).

use std::io::Read;

use sconce_core::{Error, Result};

/// The bytes of an IDX file, and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Length along each dimension.
    pub shape: Vec<usize>,
    /// Whether an element is a big-endian int of 4 bytes, not an unsigned byte.
    pub ints: bool,
    /// The elements' bytes.
    pub data: Vec<u8>,
}

/// More bytes are refused: they would be held in memory.
const MAX_BYTES: usize = 4 << 30;

impl Idx {
    /// Reads a file's bytes, plain or gzipped.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            Self::read(flate2::read::MultiGzDecoder::new(bytes))
        } else {
            Self::read(bytes)
        }
    }

    fn read(mut reader: impl Read) -> Result<Self> {
        let short = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::message("the header ends too early"),
            _ => Error::message(error.to_string()),
        };
        let mut magic = [0; 4];
        reader.read_exact(&mut magic).map_err(short)?;
        let (ints, dimensions) = match magic {
            [0, 0, kind @ (8 | 12), dimensions @ 1..=4] => (kind == 12, dimensions),
            [0, 0, 8 | 12, dimensions] => {
                return Err(Error::message(format!(
                    "expected 1 to 4 dimensions, found {dimensions}"
                )));
            }
            [0, 0, kind @ (9 | 0xb..=0xe), _] => {
                return Err(Error::message(format!(
                    "expected unsigned bytes (type 8) or ints (type 12), found type {kind}"
                )));
            }
            _ => {
                return Err(Error::message(
                    "expected an IDX file: it starts with two zero bytes, 8 and the dimensions",
                ));
            }
        };
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(short)?;
            shape.push(u32::from_be_bytes(length) as usize);
        }
        let expected = shape
            .iter()
            .try_fold(if ints { 4_usize } else { 1 }, |bytes, &length| bytes.checked_mul(length))
            .filter(|&bytes| bytes <= MAX_BYTES)
            .ok_or_else(|| Error::message(format!("shape {shape:?} is too large")))?;
        let mut data = Vec::new();
        // One more than expected shows that there is too much, and bounds a hostile file.
        reader.take(expected as u64 + 1).read_to_end(&mut data).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    Error::message(format!("the gzip data end after {} bytes", data.len()))
                }
                _ => Error::message(error.to_string()),
            }
        })?;
        match data.len() {
            n if n == expected => Ok(Self { shape, ints, data }),
            n if n < expected => Err(Error::message(format!(
                "shape {shape:?} asks for {expected} bytes, but there are {n}"
            ))),
            _ => Err(Error::message(format!(
                "shape {shape:?} asks for {expected} bytes, but there are more"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|length| length.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn plain_and_gzipped() {
        let bytes = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let expected = Idx { shape: vec![2, 3], ints: false, data: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(Idx::parse(&bytes).unwrap(), expected);
        assert_eq!(Idx::parse(&gz(&bytes)).unwrap(), expected);
    }

    #[test]
    fn malformed_files_say_what_is_wrong() {
        let good = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let long = [good.clone(), vec![7]].concat();
        let cases: [(&[u8], &str); 8] = [
            (b"", "the header ends too early"),
            (&good[..6], "the header ends too early"),
            (&good[..14], "shape [2, 3] asks for 6 bytes, but there are 2"),
            (&long, "shape [2, 3] asks for 6 bytes, but there are more"),
            (
                &[0, 0, 13, 1, 0, 0, 0, 0],
                "expected unsigned bytes (type 8) or ints (type 12), found type 13",
            ),
            (&[0, 0, 8, 9], "expected 1 to 4 dimensions, found 9"),
            (
                b"<html>",
                "expected an IDX file: it starts with two zero bytes, 8 and the dimensions",
            ),
            (
                &idx(&[u32::MAX; 4], &[]),
                "shape [4294967295, 4294967295, 4294967295, 4294967295] is too large",
            ),
        ];
        for (bytes, message) in cases {
            assert_eq!(Idx::parse(bytes).unwrap_err().to_string(), message);
        }
        let packed = gz(&good);
        let cut = Idx::parse(&packed[..packed.len() - 10]).unwrap_err().to_string();
        assert!(cut.starts_with("the gzip data end after "), "{cut}");
        assert!(Idx::parse(&packed[..20]).is_err());
    }
}
