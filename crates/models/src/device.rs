//! Where tensors are computed.

use sconce_core::error::ResultExt;
use sconce_core::{Error, Result};

/// The device that a stage was given, opened.
///
/// # Errors
/// When there is no such device, or the program was built without support for it.
pub fn device(device: sconce_core::Device) -> Result<candle_core::Device> {
    use sconce_core::Device;
    let opened = match device {
        Device::Cpu => Ok(candle_core::Device::Cpu),
        Device::Cuda(id) => candle_core::Device::new_cuda(id),
        Device::Metal(id) => candle_core::Device::new_metal(id),
    };
    opened.map_err(Error::other).doing(|| format!("opening device {device}"))
}
