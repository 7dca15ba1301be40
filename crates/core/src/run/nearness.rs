//! How far the numbers of two results are apart, where devices of different classes made them: no two add in the same order, so
//! that bits differ where all is well.
//!
//! Files are held to one another by name. Of JSON, of tables (`.csv`) and of tensors (`.safetensors`) the numbers count, and
//! everything else has to be equal; other files have to be equal byte by byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Files, Result};

/// The difference up to which results of different classes of devices count as the same: of a tensor as a share of its largest
/// value, of a number in a table or in JSON as a share of itself, or of 1 where it is smaller.
pub const TOLERANCE: f64 = 1e-3;

/// How far two outputs are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nearness {
    /// No number by more than [`TOLERANCE`]; the largest difference.
    Within(f64),
    /// What cannot be compared, or differs by more, and how.
    Beyond(String),
}

/// How far two trees of files are apart.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn nearness(stored: &Files, again: &Files) -> Result<Nearness> {
    let names = |files: &Files| files.iter().map(|(name, ..)| name.to_owned()).collect::<Vec<_>>();
    if names(stored) != names(again) {
        return Ok(Nearness::Beyond("other files".to_owned()));
    }
    let mut largest: f64 = 0.0;
    for name in names(stored) {
        let (a, b) = (stored.read(&name)?, again.read(&name)?);
        if a == b {
            continue;
        }
        match apart(&name, &a, &b) {
            None => return Ok(Nearness::Beyond(format!("`{name}` differs in more than numbers"))),
            // What is no number is beyond.
            Some(share) if share.is_nan() || share > TOLERANCE => {
                return Ok(Nearness::Beyond(format!("numbers in `{name}` differ by {share:.1e}")));
            }
            Some(share) => largest = largest.max(share),
        }
    }
    Ok(Nearness::Within(largest))
}

/// The largest difference of two files of the same name; `None` where they differ in more than numbers.
fn apart(name: &str, a: &[u8], b: &[u8]) -> Option<f64> {
    match name.rsplit('.').next()? {
        "json" => of_json(&serde_json::from_slice(a).ok()?, &serde_json::from_slice(b).ok()?),
        "csv" => of_tables(std::str::from_utf8(a).ok()?, std::str::from_utf8(b).ok()?),
        "safetensors" => of_tensors(a, b),
        _ => None,
    }
}

fn of_numbers(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()).max(1.0) }
}

fn largest(parts: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let mut largest: f64 = 0.0;
    for part in parts {
        let part = part?;
        // `max` would lose what is no number.
        largest = if part.is_nan() || part > largest { part } else { largest };
        if largest.is_nan() {
            return Some(largest);
        }
    }
    Some(largest)
}

fn of_json(a: &Value, b: &Value) -> Option<f64> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            if !a.keys().eq(b.keys()) {
                return None;
            }
            largest(a.values().zip(b.values()).map(|(a, b)| of_json(a, b)))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            largest(a.iter().zip(b).map(|(a, b)| of_json(a, b)))
        }
        (Value::Number(a), Value::Number(b)) => Some(of_numbers(a.as_f64()?, b.as_f64()?)),
        (a, b) => (a == b).then_some(0.0),
    }
}

/// Line by line, and between commas: a text with a comma is compared in its parts.
fn of_tables(a: &str, b: &str) -> Option<f64> {
    let cells = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let (a, b) = (cells(a), cells(b));
    let same_shape = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.len() == b.len());
    if !same_shape {
        return None;
    }
    largest(a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| {
        match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => Some(of_numbers(a, b)),
            _ => (a == b).then_some(0.0),
        }
    }))
}

/// A tensor as its file's header has it.
#[derive(Deserialize, PartialEq)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [usize; 2],
}

type Header = BTreeMap<String, Tensor>;

/// A file of tensors: eight bytes of the header's length, the header in JSON, the numbers.
fn of_tensors(a: &[u8], b: &[u8]) -> Option<f64> {
    let (of_a, a) = parts(a)?;
    let (of_b, b) = parts(b)?;
    if of_a != of_b {
        return None;
    }
    largest(of_a.values().map(|tensor| {
        let [from, to] = tensor.data_offsets;
        let (a, b) = (a.get(from..to)?, b.get(from..to)?);
        if a == b {
            return Some(0.0);
        }
        let (a, b) = (numbers(&tensor.dtype, a)?, numbers(&tensor.dtype, b)?);
        let scale = a.iter().fold(0.0, |scale: f64, value| scale.max(value.abs()));
        let differences = a.iter().zip(&b).map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() });
        largest(differences.map(Some)).map(|difference| difference / scale.max(f64::MIN_POSITIVE))
    }))
}

fn parts(file: &[u8]) -> Option<(Header, &[u8])> {
    let (length, rest) = file.split_first_chunk::<8>()?;
    let (header, data) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut header: BTreeMap<String, Value> = serde_json::from_slice(header).ok()?;
    header.remove("__metadata__");
    let read = |(name, value)| Some((name, serde_json::from_value(value).ok()?));
    Some((header.into_iter().map(read).collect::<Option<_>>()?, data))
}

fn numbers(dtype: &str, bytes: &[u8]) -> Option<Vec<f64>> {
    let (fours, twos) = (bytes.as_chunks::<4>().0, bytes.as_chunks::<2>().0);
    Some(match dtype {
        "F32" => fours.iter().map(|four| f64::from(f32::from_le_bytes(*four))).collect(),
        "F64" => bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect(),
        "BF16" => twos
            .iter()
            .map(|two| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(*two)) << 16)))
            .collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(values: &[f32]) -> Vec<u8> {
        let header = format!(
            "{{\"x\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[0,{}]}}}}",
            values.len(),
            4 * values.len()
        );
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        file
    }

    #[test]
    fn tensors_are_as_far_apart_as_their_largest_value_says() {
        let a = tensors(&[100.0, 1.0, 0.0]);
        let share = of_tensors(&a, &tensors(&[100.0, 1.05, 0.0])).unwrap();
        assert!((share - 5e-4).abs() < 1e-9, "{share}");
        assert_eq!(of_tensors(&a, &tensors(&[100.0, 1.0])), None);
        assert!(of_tensors(&a, &tensors(&[100.0, f32::NAN, 0.0])).unwrap().is_nan());
        assert_eq!(of_tensors(&a[..4], &a), None);
    }

    #[test]
    fn texts_differ_in_numbers_alone() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let a = json(r#"{"accuracy": 0.5, "of": [2000.0, "x"]}"#);
        let share = of_json(&a, &json(r#"{"accuracy": 0.5004, "of": [2000.2, "x"]}"#)).unwrap();
        assert!((share - 4e-4).abs() < 1e-9, "{share}");
        assert_eq!(of_json(&a, &json(r#"{"accuracy": 0.5, "of": [2000.0, "y"]}"#)), None);
        assert_eq!(of_json(&a, &json(r#"{"accuracy": 0.5}"#)), None);
        assert_eq!(of_tables("a,b\nx,1\n", "a,b\nx,3\n"), Some(2.0 / 3.0));
        assert_eq!(of_tables("a,b\nx,1\n", "a,b\ny,1\n"), None);
        assert_eq!(of_tables("a,b\n", "a\n"), None);
    }

    #[test]
    fn trees_are_near_or_told_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let tree = |name: &str, files: &[(&str, &[u8])]| {
            let at = folder.path().join(name);
            std::fs::create_dir(&at).unwrap();
            for (name, bytes) in files {
                std::fs::write(at.join(name), bytes).unwrap();
            }
            Files::from_folder(&at).unwrap()
        };
        let a = tree("a", &[("m.json", b"[1.0]"), ("p.png", b"p")]);
        let near = tree("b", &[("m.json", b"[1.0001]"), ("p.png", b"p")]);
        let Nearness::Within(share) = nearness(&a, &near).unwrap() else { panic!() };
        assert!(share > 0.0 && share < TOLERANCE);
        for (name, m, p, told) in [
            ("c", "[1.1]", "p", "numbers in `m.json` differ by 9.1e-2"),
            ("d", "[1.0]", "q", "`p.png` differs in more than numbers"),
        ] {
            let other = tree(name, &[("m.json", m.as_bytes()), ("p.png", p.as_bytes())]);
            assert_eq!(nearness(&a, &other).unwrap(), Nearness::Beyond(told.to_owned()));
        }
        let fewer = tree("e", &[("m.json", b"[1.0]")]);
        assert_eq!(nearness(&a, &fewer).unwrap(), Nearness::Beyond("other files".to_owned()));
    }
}
