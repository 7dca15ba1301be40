//! Element-wise updates in place.

use candle_core::{CpuStorage, DType, InplaceOp3, Layout, Result, Tensor, Var, bail};
use sconce_ops::team;

/// Elements in a part: below this one thread is quicker than several.
const PART: usize = 1 << 14;

struct Kernel<F>(F);

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("expected a contiguous tensor"),
    }
}

impl<F: Fn(f32, f32, f32) -> f32 + Sync> InplaceOp3 for Kernel<F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        target_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<()> {
        let (a, b) = (slice(a, a_layout)?, slice(b, b_layout)?);
        let (CpuStorage::F32(target), Some((from, to))) =
            (target, target_layout.contiguous_offsets())
        else {
            bail!("expected a contiguous tensor of f32");
        };
        let parts = target[from..to].chunks_mut(PART).zip(a.chunks(PART));
        team::all(parts.zip(b.chunks(PART)), |((target, a), b)| {
            for ((t, &a), &b) in target.iter_mut().zip(a).zip(b) {
                *t = (self.0)(*t, a, b);
            }
        });
        Ok(())
    }
}

/// `target = kernel(target, a, b)` element by element; `composed` is the same in tensors, for other devices and types.
pub(crate) fn update(
    target: &Var,
    a: &Tensor,
    b: &Tensor,
    kernel: impl Fn(f32, f32, f32) -> f32 + Sync,
    composed: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
) -> Result<()> {
    if a.dims() != target.dims() || b.dims() != target.dims() {
        bail!("expected a gradient of shape {:?}, got {:?}", target.dims(), a.dims());
    }
    if target.device().is_cpu() && target.dtype() == DType::F32 && target.is_contiguous() {
        let (a, b) = (a.to_dtype(DType::F32)?.contiguous()?, b.to_dtype(DType::F32)?.contiguous()?);
        return target.inplace_op3(&a, &b, &Kernel(kernel));
    }
    target.set(&composed(&target.as_detached_tensor(), &a.detach(), &b.detach())?)
}
