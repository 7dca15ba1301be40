//! Where tensors are computed: the devices that there are, and the one that a stage was given.

use std::fmt;

use sconce_core::error::ResultExt;
use sconce_core::{DeviceClass, Error, Result};

/// What a program was built with to compute elsewhere than on the processor: the features of Cargo.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "cudnn")]
    "cudnn",
    #[cfg(feature = "metal")]
    "metal",
];

/// A device that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accelerator {
    /// Its number, within what this process sees.
    pub device: sconce_core::Device,
    /// What its maker calls it; empty where nobody tells.
    pub name: String,
    /// Bytes of its memory, where it tells.
    pub memory: Option<u64>,
}

/// The device that a stage was given, opened.
///
/// # Errors
/// When there is no such device, or the program was built without support for it.
pub fn device(device: sconce_core::Device) -> Result<candle_core::Device> {
    use sconce_core::Device;
    let opened = match device {
        Device::Cpu => Ok(candle_core::Device::Cpu),
        Device::Cuda(_) => candle_core::Device::new_cuda(device.ordinal()),
        Device::Metal(_) => candle_core::Device::new_metal(device.ordinal()),
    };
    let doing = || format!("opening device {device} (built with {})", built_with());
    opened.map_err(Error::other).doing(doing)
}

/// [`FEATURES`] in words.
pub fn built_with() -> String {
    match FEATURES {
        [] => "no feature for devices: `cuda`, `cudnn` or `metal`".to_owned(),
        features => format!("`{}`", features.join("`, `")),
    }
}

/// The devices of a class. One is opened, since nothing else tells whether computing there works.
///
/// # Errors
/// Why there is none.
pub fn accelerators(class: DeviceClass) -> std::result::Result<Vec<Accelerator>, String> {
    match class {
        DeviceClass::Cpu => Ok(Vec::new()),
        DeviceClass::Cuda => cuda(),
        DeviceClass::Metal => metal(),
    }
}

fn why(error: impl fmt::Display) -> String {
    error.to_string()
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> std::result::Result<Vec<Accelerator>, String> {
    candle_core::Device::new_cuda(0).map(|_| Vec::new()).map_err(why)
}

#[cfg(feature = "cuda")]
fn cuda() -> std::result::Result<Vec<Accelerator>, String> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    // With its libraries, which a driver alone does not bring.
    candle_core::Device::new_cuda(0).map_err(why)?;
    let count = CudaContext::device_count().map_err(why)?;
    let count = usize::try_from(count).map_err(why)?;
    (0..count)
        .map(|number| {
            let context = CudaContext::new(number).map_err(why)?;
            Ok(Accelerator {
                device: sconce_core::Device::Cuda(number),
                name: context.name().unwrap_or_default(),
                memory: context.total_mem().ok().map(|bytes| bytes as u64),
            })
        })
        .collect()
}

/// candle takes the system's first.
fn metal() -> std::result::Result<Vec<Accelerator>, String> {
    candle_core::Device::new_metal(0).map_err(why)?;
    let device = sconce_core::Device::Metal(0);
    Ok(vec![Accelerator { device, name: String::new(), memory: None }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_named_with_what_was_built() {
        assert!(device(sconce_core::Device::Cpu).unwrap().is_cpu());
        assert_eq!(accelerators(DeviceClass::Cpu), Ok(Vec::new()));
        // With number 99 this holds on any machine.
        let error = device(sconce_core::Device::Cuda(99)).unwrap_err().to_string();
        assert!(error.contains("opening device cuda:99 (built with "), "{error}");
        assert_eq!(built_with().contains("no feature"), FEATURES.is_empty());
    }
}
