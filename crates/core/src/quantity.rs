//! Sizes and durations as people write them: one grammar for pipeline files, configuration files
//! and the command line.
//!
//! A number, with a decimal point or without, then a unit, with a space between them or without;
//! capitals make no difference.
//!
//! | | units |
//! |---|---|
//! | sizes | `B`, or none; `kB`, `MB`, `GB`, `TB` (powers of 1000); `KiB`, `MiB`, `GiB`, `TiB`, or `K`, `M`, `G`, `T` (powers of 1024) |
//! | durations | `ms`, `s`, `m` or `min`, `h`, `d`, `w` |

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// What a size has to look like, in words.
pub const SIZE: &str = "a size such as `512MiB`, `1.5 GB` or `16G` (units: B; kB, MB, GB, TB; \
                        KiB, MiB, GiB, TiB, or K, M, G, T)";

/// What a duration has to look like, in words.
pub const DURATION: &str =
    "a duration such as `90s`, `1.5h` or `30d` (units: ms, s, m or min, h, d, w)";

/// A text that is no quantity of the kind that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: expected {expected}")]
pub struct QuantityError {
    text: String,
    expected: &'static str,
}

/// A number of bytes. In files: an integer, or a text with a unit; it is written as an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError { text: text.to_owned(), expected: SIZE };
        let (number, unit) = split(text);
        let bytes: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            _ => return Err(wrong()),
        };
        let bytes = times(number, bytes).and_then(|bytes| u64::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(wrong)
    }
}

/// For people: `1.4 GiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(value < 100.0);
        write!(f, "{value:.digits$} {}", UNITS[unit])
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number of bytes, or {SIZE}")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Signed(bytes), &self);
                u64::try_from(bytes).map(ByteSize).map_err(|_| wrong())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                let wrong = |_| E::invalid_value(serde::de::Unexpected::Str(text), &self);
                text.parse().map_err(wrong)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "minimum": 0 })
    }
}

/// The duration that a text says.
///
/// # Errors
/// A text that is no number with one of the units; a number alone is none, since it says no unit.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let wrong = || QuantityError { text: text.to_owned(), expected: DURATION };
    let (number, unit) = split(text);
    let milliseconds: u64 = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(wrong()),
    };
    let milliseconds = times(number, milliseconds).and_then(|all| u64::try_from(all).ok());
    milliseconds.map(Duration::from_millis).ok_or_else(wrong)
}

/// The number and the unit.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A decimal number times `unit`, rounded down; exact, however large.
fn times(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() {
        return None;
    }
    let unit = u128::from(unit);
    let digits = u32::try_from(fraction.len()).ok()?;
    let part = fraction.parse::<u128>().ok()?.checked_mul(unit)? / 10_u128.checked_pow(digits)?;
    whole.parse::<u128>().ok()?.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        for (text, bytes) in [
            ("7", 7),
            ("7B", 7),
            ("0", 0),
            ("512MiB", 512 << 20),
            (" 512 mib ", 512 << 20),
            ("1.5 g", 3 << 29),
            ("600 MB", 600_000_000),
            ("2kB", 2_000),
            ("2K", 2_048),
            ("2TB", 2_000_000_000_000),
            ("0.1kB", 100),
            // A double could not hold it.
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "x",
            "-1",
            "+1",
            "1e3",
            "5 q",
            ".5G",
            "5.",
            "1.2.3",
            "infG",
            "99999999TiB",
            "1 G B",
            "١",
            "5 µB",
        ] {
            let error = size(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}`: expected a size such as")), "{error}");
        }
    }

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("1.5h", 5_400_000),
            ("5 min", 300_000),
            ("5m", 300_000),
            ("30d", 30 * 86_400_000),
            ("2W", 14 * 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "x", "12", "-1h", "5 years", "nan d", "99999999999999999w"] {
            let error = duration(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}`: expected a duration")), "{error}");
        }
    }

    #[test]
    fn sizes_in_files_are_integers_or_texts() {
        let read = |value: Value| from_value::<ByteSize>(value).map_err(|error| error.to_string());
        assert_eq!(read(json!(5)), Ok(ByteSize(5)));
        assert_eq!(read(json!("5 GiB")), Ok(ByteSize(5 << 30)));
        assert_eq!(to_value(ByteSize(5 << 30)).unwrap(), json!(5_u64 << 30));
        for wrong in [json!(-1), json!("5 parsecs"), json!(1.5), json!(true)] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("expected a number of bytes, or a size such as"), "{error}");
        }
    }

    #[test]
    fn sizes_for_people() {
        let shown = [0, 1023, 1536, 300 << 30, 5 << 50].map(|bytes| ByteSize(bytes).to_string());
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "300 GiB", "5120 TiB"]);
    }
}
