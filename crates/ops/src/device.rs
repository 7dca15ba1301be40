//! Which code an operation runs: this crate's kernels, or what it is composed of on other devices.

use std::cell::Cell;

use candle_core::{DType, Device, Result, Shape, Tensor};

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, in which this thread composes all operations from candle's own, as on another device than the CPU: so that what runs
/// there can be tested, and compared, on a machine without one.
pub fn composed<R>(f: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            COMPOSED.set(self.0);
        }
    }
    let _before = Before(COMPOSED.replace(true));
    f()
}

/// Whether this thread composes all operations.
pub(crate) fn is_composed() -> bool {
    COMPOSED.get()
}

/// Numbers in the type and on the device of `like`. They have that type before they go there: Metal has no f64.
pub fn tensor_like(values: Vec<f64>, shape: impl Into<Shape>, like: &Tensor) -> Result<Tensor> {
    let here = Tensor::from_vec(values, shape.into(), &Device::Cpu)?;
    here.to_dtype(like.dtype())?.to_device(like.device())
}

/// The numbers of a tensor in f64, on the processor. Reading them waits for a device.
pub fn in_f64(x: &Tensor) -> Result<Tensor> {
    x.to_device(&Device::Cpu)?.to_dtype(DType::F64)
}

/// A scalar's value, in f64. Reading it waits for a device.
pub fn number(scalar: &Tensor) -> Result<f64> {
    in_f64(scalar)?.to_scalar()
}

#[cfg(test)]
mod tests;
