//! What pins a content.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sconce_core::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The digest that a content must have: BLAKE3 of a file or of a tree of files, or the SHA-256
/// under which a single file was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// `blake3:…`, of a file's bytes or of a tree ([`sconce_core::stage::tree_digest`]).
    Blake3(Digest),
    /// `sha256:…`, of a file's bytes.
    Sha256([u8; 32]),
}

impl Pin {
    /// The digest of a file, of the kind that this pin is.
    pub(super) fn of_file(&self, file: &Path) -> io::Result<Self> {
        match self {
            Self::Blake3(_) => Digest::of_file(file).map(Self::Blake3),
            Self::Sha256(_) => {
                let mut hasher = Sha256::new();
                let (mut file, mut buffer) = (std::fs::File::open(file)?, vec![0; 1 << 16]);
                loop {
                    match io::Read::read(&mut file, &mut buffer)? {
                        0 => break,
                        read => hasher.update(&buffer[..read]),
                    }
                }
                Ok(Self::Sha256(hasher.finalize().into()))
            }
        }
    }
}

impl From<Digest> for Pin {
    fn from(digest: Digest) -> Self {
        Self::Blake3(digest)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blake3(digest) => digest.fmt(f),
            Self::Sha256(bytes) => {
                f.write_str("sha256:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl FromStr for Pin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected `blake3:` or `sha256:` and 64 hexadecimal digits";
        let Some(hex) = text.strip_prefix("sha256:") else {
            return text.parse().map(Self::Blake3).map_err(|_| EXPECTED);
        };
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(EXPECTED);
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| EXPECTED)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| EXPECTED)?;
        }
        Ok(Self::Sha256(bytes))
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Pin {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(blake3|sha256):[0-9a-fA-F]{64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_sha256_pins_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // sha256sum of the three bytes `abc`: FIPS 180-2, example B.1.
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pin: Pin = text.parse().unwrap();
        assert_eq!(pin.of_file(&path).unwrap(), pin);
        assert_eq!(pin.to_string(), text);
        let blake3 = Pin::from(Digest::of(b"abc"));
        assert_eq!(blake3.of_file(&path).unwrap(), blake3);
        for bad in ["", "sha256:ba78", "md5:ba78", "blake3:x", &text.replace('b', "ä")] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }
}
