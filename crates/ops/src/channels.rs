//! A number for each channel, added to its elements or multiplied with them.

use crate::cpu::kernel::Element;
use crate::cpu::{Map, Zip, build, by_dtype, contiguous, has_kernels, with_data};
use crate::sum::spread;
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// `x` with `values[c]` added to what lies at place `c` along dimension `dim`: a bias.
///
/// `x` is of any shape, `values` of shape `(x.dim(dim))`. Gradients go to both.
///
/// # Errors
/// When the shapes do not fit.
pub fn add_to_channels(x: &Tensor, values: &Tensor, dim: usize) -> Result<Tensor> {
    apply(x, values, dim, With::Sum)
}

/// `x` with what lies at place `c` along dimension `dim` multiplied by `values[c]`; else as [`add_to_channels`].
///
/// # Errors
/// When the shapes do not fit.
pub fn scale_channels(x: &Tensor, values: &Tensor, dim: usize) -> Result<Tensor> {
    apply(x, values, dim, With::Product)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    Sum,
    Product,
}

fn apply(x: &Tensor, values: &Tensor, dim: usize, with: With) -> Result<Tensor> {
    if x.dims().get(dim).is_none_or(|&channels| values.dims() != [channels]) {
        bail!(
            "expected a number for each place along dimension {dim} of {:?}, got numbers of shape {:?}",
            x.dims(),
            values.dims()
        );
    }
    // of a constant only: the gradient of others is a sum over the rest
    if has_kernels(x) && values.dtype() == x.dtype() && !values.track_op() {
        let inner = x.dims()[dim + 1..].iter().product();
        return apply1(&x.contiguous()?, Channels { values: values.clone(), inner, with });
    }
    let mut shape = vec![1; x.rank()];
    shape[dim] = values.elem_count();
    let values = spread(&values.reshape(shape)?, x.shape())?;
    match with {
        With::Sum => x.add(&values),
        With::Product => x.mul(&values),
    }
}

struct Channels {
    values: Tensor,
    /// Neighbours of one channel.
    inner: usize,
    with: With,
}

/// Elements that a thread takes at a time.
const PART: usize = 1 << 14;

fn forward<T: Element>(op: &Channels, (s, l): (&CpuStorage, &Layout)) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    with_data::<T, _>(&op.values, |values| {
        let with = op.with;
        let f = move |x: T, v: T| if with == With::Sum { x + v } else { x * v };
        let (channels, inner) = (values.len().max(1), op.inner.max(1));
        // whole rows of channels, or whole planes of one
        let unit = if inner == 1 { channels } else { inner };
        let part = unit * (PART / unit).max(1);
        let y = build(x.len(), part, |i, out| {
            let x = &x[i * part..][..out.len()];
            let first = i * (part / unit);
            for (at, (x, out)) in x.chunks(unit).zip(out.chunks_mut(unit)).enumerate() {
                if inner == 1 {
                    T::kernel().vectorized(Zip { a: x, b: values, out, f });
                } else {
                    let v = values[(first + at) % channels];
                    T::kernel().vectorized(Map { x, out, f: move |x| f(x, v) });
                }
            }
        });
        Ok(T::to_cpu_storage_owned(y))
    })
}

impl CustomOp1 for Channels {
    fn name(&self) -> &'static str {
        "channels"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((by_dtype!(s.dtype(), forward(self, (s, l)))?, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let Self { ref values, inner, with } = *self;
        match with {
            With::Sum => Ok(Some(grad.clone())),
            With::Product => {
                let op = Self { values: values.clone(), inner, with };
                grad.contiguous()?.apply_op1_no_bwd(&op).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradients, gradients, max_difference, random};
    use candle_core::DType;

    /// Against candle's broadcasts, on each dimension, of few elements and of many, of constants and of variables.
    #[test]
    fn equals_candles_broadcasts() -> Result<()> {
        for shape in [&[2usize, 3, 5][..], &[3, 70, 200], &[2, 5, 130, 70], &[7], &[0, 3], &[3, 0]]
        {
            for dim in 0..shape.len() {
                let x = random(1, shape)?.to_dtype(DType::F32)?;
                let values = random(2, &shape[dim..=dim])?.to_dtype(DType::F32)?;
                let mut wide = vec![1; shape.len()];
                wide[dim] = shape[dim];
                let spread = values.reshape(wide)?;
                let pairs = [
                    (add_to_channels(&x, &values, dim)?, x.broadcast_add(&spread)?),
                    (scale_channels(&x, &values, dim)?, x.broadcast_mul(&spread)?),
                ];
                for (ours, theirs) in pairs {
                    assert_eq!(max_difference(&ours, &theirs)?, 0.0, "{shape:?}, {dim}");
                }
                if x.elem_count() > 0 {
                    let f = |a: &[Tensor]| scale_channels(&a[0], &values, dim);
                    let ours = gradients(std::slice::from_ref(&x), f)?;
                    let theirs =
                        gradients(std::slice::from_ref(&x), |a| a[0].broadcast_mul(&spread))?;
                    assert_eq!(max_difference(&ours[0], &theirs[0])?, 0.0);
                }
            }
        }
        let (x, v) = (random(1, &[2, 3, 4])?, random(2, &[3])?);
        check_gradients(&[x.clone(), v.clone()], |a| add_to_channels(&a[0], &a[1], 1))?;
        check_gradients(&[x.clone(), v.clone()], |a| scale_channels(&a[0], &a[1], 1))?;
        check_gradients(std::slice::from_ref(&x), |a| scale_channels(&a[0], &v, 1))?;
        check_gradients(std::slice::from_ref(&x), |a| add_to_channels(&a[0], &v, 1))?;
        for (values, dim) in [(&v, 0), (&v, 3), (&x, 1)] {
            assert!(add_to_channels(&x, values, dim).is_err());
        }
        Ok(())
    }
}
