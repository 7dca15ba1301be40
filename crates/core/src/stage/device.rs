//! Where tensors live.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where tensors live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
    /// A Metal device by number.
    Metal(usize),
}

/// What devices have in common that give the same bits: results of one class can be compared bit by bit, of two within a tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceClass {
    /// Processors.
    Cpu,
    /// CUDA devices.
    Cuda,
    /// Metal devices.
    Metal,
}

/// Where a cell is to compute, as people say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceChoice {
    /// Where the run's cells compute.
    #[default]
    Usual,
    /// On an accelerator where there is one, else on the processor.
    Auto,
    /// On the processor.
    Cpu,
    /// On a CUDA device: on this one, or on any.
    Cuda(Option<usize>),
    /// On a Metal device: on this one, or on any.
    Metal(Option<usize>),
}

impl Device {
    /// What it has in common with others.
    pub fn class(self) -> DeviceClass {
        match self {
            Self::Cpu => DeviceClass::Cpu,
            Self::Cuda(_) => DeviceClass::Cuda,
            Self::Metal(_) => DeviceClass::Metal,
        }
    }

    /// The number under which this process sees the device. A worker sees a CUDA device alone, as the first.
    pub fn ordinal(self) -> usize {
        match self {
            Self::Cpu => 0,
            Self::Cuda(id) => {
                let alone = visible().is_some_and(|list| list.split(',').count() == 1);
                if alone { 0 } else { id }
            }
            Self::Metal(id) => id,
        }
    }

    /// The value of `CUDA_VISIBLE_DEVICES` with which a process that this one starts sees this device and no other.
    /// Numbers count within what this process sees.
    pub fn visible_alone(self) -> String {
        match self {
            Self::Cuda(id) => one_of(visible().as_deref(), id),
            Self::Cpu | Self::Metal(_) => String::new(),
        }
    }
}

/// The name of the variable that tells which CUDA devices a process sees.
pub const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// Which CUDA devices this process sees, where somebody said so.
fn visible() -> Option<String> {
    std::env::var(VISIBLE).ok().filter(|list| !list.trim().is_empty())
}

/// Device `id` of a list of visible ones; of a list of one that one, which is what an executor has chosen.
fn one_of(visible: Option<&str>, id: usize) -> String {
    let Some(list) = visible else { return id.to_string() };
    let all: Vec<_> = list.split(',').map(str::trim).collect();
    match all.as_slice() {
        [one] => (*one).to_owned(),
        all => all.get(id).map_or_else(|| id.to_string(), |one| (*one).to_owned()),
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(id) => write!(f, "cuda:{id}"),
            Self::Metal(id) => write!(f, "metal:{id}"),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            DeviceChoice::Cpu => Ok(Self::Cpu),
            DeviceChoice::Cuda(id) => Ok(Self::Cuda(id.unwrap_or(0))),
            DeviceChoice::Metal(id) => Ok(Self::Metal(id.unwrap_or(0))),
            DeviceChoice::Usual | DeviceChoice::Auto => {
                Err(format!("`{text}`: expected `cpu`, `cuda`, `cuda:N`, `metal` or `metal:N`"))
            }
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        })
    }
}

impl DeviceChoice {
    /// What can be said.
    pub const EXPECTED: &str = "`auto`, `cpu`, `cuda`, `cuda:N` or `metal`";
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("the run's"),
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(id)) => write!(f, "cuda:{id}"),
            Self::Metal(None) => f.write_str("metal"),
            Self::Metal(Some(id)) => write!(f, "metal:{id}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}`: expected {}", Self::EXPECTED);
        let (name, id) = match text.split_once(':') {
            Some((name, id)) => (name, Some(id.parse().map_err(|_| expected())?)),
            None => (text, None),
        };
        match (name, id) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None | Some(0)) => Ok(Self::Cpu),
            ("cuda", id) => Ok(Self::Cuda(id)),
            ("metal", id) => Ok(Self::Metal(id)),
            _ => Err(expected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda", "cuda:3", "metal", "metal:1"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["gpu", "cuda:", "cuda:x", "cuda:-1", "auto:1", "cpu:2", ""] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert_eq!(
                error,
                format!("`{text}`: expected `auto`, `cpu`, `cuda`, `cuda:N` or `metal`")
            );
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        assert!("auto".parse::<Device>().is_err());
        assert_eq!(Device::Cuda(3).class().to_string(), "cuda");
    }

    #[test]
    fn a_number_counts_within_what_is_visible() {
        assert_eq!(one_of(None, 2), "2");
        assert_eq!(one_of(Some("4, 6"), 1), "6");
        assert_eq!(one_of(Some("GPU-aa,GPU-bb"), 0), "GPU-aa");
        // What a parent has chosen, whatever its number there.
        assert_eq!(one_of(Some("6"), 1), "6");
    }
}
