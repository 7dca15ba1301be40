//! Arrays in `.mat` files of level 5, as MATLAB writes them by default and `scipy.io.savemat` does.
//!
//! Read are full arrays of real numbers, plain or compressed, in either byte order. Others (cells, structures, sparse and
//! complex arrays, texts) are passed over, and refused where one is asked for. The format: "MAT-File Format", The MathWorks,
//! chapter 1, level 5.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::ZlibDecoder;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Result};

/// An array of real numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// Its name in the file.
    pub name: String,
    /// Length along each dimension.
    pub shape: Vec<usize>,
    /// How an element is stored.
    pub element: Element,
    /// The elements, little-endian, the first dimension running fastest.
    pub data: Vec<u8>,
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Rust's names")]
pub enum Element {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
}

impl Element {
    /// By its number in the file.
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::I8,
            2 => Self::U8,
            3 => Self::I16,
            4 => Self::U16,
            5 => Self::I32,
            6 => Self::U32,
            7 => Self::F32,
            9 => Self::F64,
            12 => Self::I64,
            13 => Self::U64,
            _ => return None,
        })
    }

    /// In bytes.
    fn width(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

/// More bytes are refused: they would be held in memory.
const MAX_BYTES: usize = 2 << 30;
/// Longer names and more dimensions than that are no array.
const MAX_SMALL: usize = 4096;
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;

impl Array {
    /// The elements as whole numbers of 0 and more.
    ///
    /// # Errors
    /// When one has a fraction, is negative or beyond `u32`.
    pub fn to_u32(&self) -> Result<Vec<u32>> {
        let number = |bytes: &[u8]| {
            let mut wide = [0; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            let unsigned = u64::from_le_bytes(wide);
            let unused = 64 - 8 * bytes.len() as u32;
            let signed = (unsigned << unused) as i64 >> unused;
            let value = match self.element {
                Element::U8 | Element::U16 | Element::U32 | Element::U64 => {
                    u32::try_from(unsigned).ok()
                }
                Element::I8 | Element::I16 | Element::I32 | Element::I64 => {
                    u32::try_from(signed).ok()
                }
                Element::F32 => whole(f64::from(f32::from_bits(unsigned as u32))),
                Element::F64 => whole(f64::from_bits(unsigned)),
            };
            value.ok_or_else(|| Error::message("expected whole numbers of 0 to 4,294,967,295"))
        };
        self.data.chunks_exact(self.element.width()).map(number).collect()
    }
}

fn whole(number: f64) -> Option<u32> {
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    fits.then_some(number as u32)
}

/// The arrays called `names` of a file, in that order.
///
/// # Errors
/// When one is missing or is no full array of real numbers, or the file is damaged or of another level.
pub fn read(path: &Path, names: &[&str]) -> Result<Vec<Array>> {
    let mut reader = Reader { bytes: BufReader::new(File::open(path).at(path)?), big: false };
    reader.header()?;
    let mut found: Vec<Option<Array>> = vec![None; names.len()];
    let mut others = Vec::new();
    while !reader.bytes.fill_buf().at(path)?.is_empty() {
        let (kind, length) = reader.plain_tag()?;
        let big = reader.big;
        let limited = (&mut reader.bytes).take(length as u64);
        let ((name, array), rest) = if kind == COMPRESSED {
            let mut inner = Reader { bytes: BufReader::new(ZlibDecoder::new(limited)), big };
            let (kind, length) = inner.plain_tag()?;
            let read = (inner.matrix(kind, length, names)?, inner.rest()?);
            Reader { bytes: inner.bytes.into_inner().into_inner(), big }.rest()?;
            read
        } else {
            let mut inner = Reader { bytes: limited, big };
            (inner.matrix(kind, length, names)?, inner.rest()?)
        };
        if array.is_some() && rest > 0 {
            return Err(Error::message(format!("array `{name}`: {rest} bytes too many")));
        }
        match names.iter().position(|wanted| *wanted == name) {
            Some(place) if found[place].is_some() => {
                return Err(Error::message(format!("two arrays `{name}`")));
            }
            Some(place) => found[place] = array,
            None => others.push(name),
        }
    }
    let missing = names.iter().zip(&found).find(|(_, array)| array.is_none());
    if let Some((name, _)) = missing {
        let there = names.iter().zip(&found).filter(|(_, array)| array.is_some());
        let there: Vec<&str> =
            there.map(|(name, _)| *name).chain(others.iter().map(String::as_str)).collect();
        return Err(Error::message(format!("no array `{name}`; there are: {}", there.join(", "))));
    }
    Ok(found.into_iter().flatten().collect())
}

struct Reader<R> {
    bytes: R,
    big: bool,
}

fn damaged(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::message("the data end too early"),
        _ => Error::message(format!("the data are damaged: {error}")),
    }
}

impl<R: Read> Reader<R> {
    fn exactly<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.bytes.read_exact(&mut bytes).map_err(damaged)?;
        Ok(bytes)
    }

    /// Reads to the end, so that checksums are looked at: how many bytes there were.
    fn rest(&mut self) -> Result<u64> {
        std::io::copy(&mut self.bytes, &mut std::io::sink()).map_err(damaged)
    }

    fn word(&mut self) -> Result<u32> {
        let bytes = self.exactly()?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// 128 bytes: a text, the version and the byte order.
    fn header(&mut self) -> Result<()> {
        let header: [u8; 128] = self.exactly()?;
        self.big = match &header[126..] {
            b"IM" => false,
            b"MI" => true,
            _ => return Err(Error::message("expected a .mat file of level 5")),
        };
        if header.starts_with(b"MATLAB 7.3") || header[if self.big { 124 } else { 125 }] != 1 {
            return Err(Error::message(
                "a .mat file of version 7.3 (HDF5): expected level 5, as MATLAB's `save -v7` writes it",
            ));
        }
        Ok(())
    }

    /// Type and length in bytes of an element that is not small.
    fn plain_tag(&mut self) -> Result<(u32, usize)> {
        Ok((self.word()?, self.word()? as usize))
    }

    /// Type and bytes of an element of an array: `limit` at most, of which `left` are in the array.
    fn element(&mut self, left: &mut usize, limit: usize) -> Result<(u32, Vec<u8>)> {
        let short = || Error::message("an array is longer than it says");
        let kind = self.word()?;
        // Up to four bytes may stand in the tag itself.
        let (kind, length, space) = match kind >> 16 {
            0 => {
                let length = self.word()? as usize;
                (kind, length, length.next_multiple_of(8))
            }
            length => (kind & 0xffff, length as usize, 4),
        };
        *left = left.checked_sub(if space == 4 { 8 } else { 8 + space }).ok_or_else(short)?;
        if length > space || length > limit {
            return Err(Error::message(format!("an element of {length} bytes is too long")));
        }
        let mut bytes = Vec::new();
        let read =
            (&mut self.bytes).take(length as u64).read_to_end(&mut bytes).map_err(damaged)?;
        let padding = (&mut self.bytes).take((space - length) as u64);
        let padded = { padding }.read_to_end(&mut Vec::new()).map_err(damaged)?;
        if read + padded < space {
            return Err(Error::message("the data end too early"));
        }
        Ok((kind, bytes))
    }

    fn words(&self, bytes: &[u8]) -> Vec<u32> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |word: &[u8; 4]| {
            if self.big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) }
        };
        words.iter().map(word).collect()
    }

    /// An array behind its tag: its name, and the array itself when it is one of `wanted`.
    fn matrix(
        &mut self,
        kind: u32,
        length: usize,
        wanted: &[&str],
    ) -> Result<(String, Option<Array>)> {
        if kind != MATRIX {
            return Err(Error::message(format!(
                "expected an array (type {MATRIX}), found type {kind}"
            )));
        }
        let mut left = length;
        let (_, flags) = self.element(&mut left, 8)?;
        let [flags, _] = self.words(&flags)[..] else {
            return Err(Error::message("an array without flags"));
        };
        let (_, dimensions) = self.element(&mut left, MAX_SMALL)?;
        let shape: Vec<usize> = self.words(&dimensions).into_iter().map(|n| n as usize).collect();
        let (_, name) = self.element(&mut left, MAX_SMALL)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        if !wanted.contains(&name.as_str()) {
            return Ok((name, None));
        }
        let array = self.numbers(flags, shape, &mut left).doing(|| format!("array `{name}`"))?;
        Ok((name.clone(), Some(Array { name, ..array })))
    }

    fn numbers(&mut self, flags: u32, shape: Vec<usize>, left: &mut usize) -> Result<Array> {
        const COMPLEX: u32 = 1 << 11;
        // Doubles to 64-bit integers; below are cells, structures, objects, texts and sparse arrays.
        if !(6..=15).contains(&(flags & 0xff)) || flags & COMPLEX != 0 {
            return Err(Error::message("expected a full array of real numbers"));
        }
        let (kind, mut data) = self.element(left, MAX_BYTES)?;
        let element = Element::of(kind)
            .ok_or_else(|| Error::message(format!("expected numbers, found type {kind}")))?;
        let bytes =
            shape.iter().try_fold(element.width(), |bytes, &length| bytes.checked_mul(length));
        if bytes != Some(data.len()) {
            return Err(Error::message(format!(
                "shape {shape:?} of elements of {} bytes does not fit {} bytes",
                element.width(),
                data.len()
            )));
        }
        if self.big {
            data.chunks_exact_mut(element.width()).for_each(<[u8]>::reverse);
        }
        Ok(Array { name: String::new(), shape, element, data })
    }
}

#[cfg(test)]
mod tests;
