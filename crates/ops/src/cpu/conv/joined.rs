//! Several convolutions of one input, whose results lie side by side in one tensor.

use super::algorithm::shrink;
use super::op::Convolve;
use super::target::Target;
use crate::cpu::kernel::Element;
use crate::cpu::{Zip, by_dtype, contiguous, scratch, tensor, uninit, with_data, zip};
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// One of them, with a weight and a bias that no gradient is asked of.
pub(crate) struct Part {
    pub(super) op: Convolve,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

impl Part {
    /// Height and width of its result.
    pub(crate) fn output(&self) -> [usize; 2] {
        self.op.sizes.output
    }

    fn outputs(&self) -> usize {
        self.op.sizes.outputs
    }
}

/// The convolutions of `x` by parts that have the same results but for the channels; at least one.
pub(crate) fn joined(x: &Tensor, parts: Vec<Part>) -> Result<Tensor> {
    apply1(&x.contiguous()?, Joined(parts))
}

struct Joined(Vec<Part>);

impl Joined {
    /// Images, channels, height and width of the result.
    fn sizes(&self) -> Result<[usize; 4]> {
        let Some(first) = self.0.first() else { bail!("expected at least one convolution") };
        let [height, width] = first.output();
        let channels = self.0.iter().map(Part::outputs).sum();
        Ok([first.op.sizes.batch, channels, height, width])
    }
}

fn forward<T: Element>(joined: &Joined, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let [batch, channels, height, width] = joined.sizes()?;
    let plane = height * width;
    let mut y = uninit(batch * channels * plane);
    let mut first = 0;
    for part in &joined.0 {
        let op = &part.op;
        with_data::<T, _>(&part.weight, |w| {
            let mut shrink = |b: Option<&[T]>| {
                let target = Target::part(&mut y, batch, first * plane);
                op.with_forms(|forms| shrink(op, &op.sizes, forms, (x, w, b), op.relu, target));
                Ok(())
            };
            match &part.bias {
                Some(bias) => with_data::<T, _>(bias, |b| shrink(Some(b))),
                None => shrink(None),
            }
        })?;
        first += part.outputs();
    }
    Ok(T::to_cpu_storage_owned(y))
}

/// The gradient of `x`: the sum of what each convolution's is.
fn backward<T: Element>(
    joined: &Joined,
    x: &Tensor,
    res: &Tensor,
    grad: &Tensor,
) -> Result<Tensor> {
    let [batch, channels, height, width] = joined.sizes()?;
    let plane = height * width;
    let sum = with_data::<T, _>(res, |y| {
        with_data::<T, _>(grad, |g| {
            let f = |y: T, g: T| if y <= T::zero() { T::zero() } else { g };
            let (mut first, mut sum): (usize, Option<Vec<T>>) = (0, None);
            for part in &joined.0 {
                let own = part.outputs() * plane;
                let of_part = scratch::with(batch * own, |copy: &mut [T]| {
                    for (image, copy) in copy.chunks_exact_mut(own.max(1)).enumerate() {
                        let at = image * channels * plane + first * plane;
                        let (y, g) = (&y[at..at + own], &g[at..at + own]);
                        match part.op.relu {
                            false => copy.copy_from_slice(g),
                            true => T::kernel().vectorized(Zip { a: y, b: g, out: copy, f }),
                        }
                    }
                    with_data::<T, _>(&part.weight, |w| Ok(part.op.of_input(copy, w)))
                })?;
                sum = Some(match sum {
                    None => of_part,
                    Some(sum) => zip::<T>(&sum, &of_part, |a, b| a + b),
                });
                first += part.outputs();
            }
            Ok(sum.unwrap_or_default())
        })
    })?;
    tensor(sum, x.shape())
}

impl CustomOp1 for Joined {
    fn name(&self) -> &'static str {
        "convolutions"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = by_dtype!(s.dtype(), forward(self, s, l))?;
        let [batch, channels, height, width] = self.sizes()?;
        Ok((y, (batch, channels, height, width).into()))
    }

    fn bwd(&self, x: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), backward(self, x, res, grad)).map(Some)
    }
}
