//! Separable maps on the processor: the rows of a plane, then its columns.

use super::{build, by_dtype, contiguous, tensor, with_data};
use crate::separable::{Line, Separable};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};
use std::sync::Arc;

impl Separable {
    fn run<T: WithDType>(&self, x: &[T], planes: usize) -> Vec<T> {
        let (w, ow) = (self.horizontal.input, self.horizontal.len());
        let (h, oh) = (self.vertical.input, self.vertical.len());
        let weights = |line: &Line| -> Vec<(usize, T)> {
            line.terms.iter().map(|&(at, weight)| (at, T::from_f64(weight))).collect()
        };
        let (across, down) = (weights(&self.horizontal), weights(&self.vertical));
        build(planes * oh * ow, oh * ow, |plane, out| {
            let x = &x[plane * h * w..][..h * w];
            let mut rows = vec![T::zero(); h * ow];
            for (x, row) in x.chunks(w.max(1)).zip(rows.chunks_mut(ow.max(1))) {
                for (i, out) in row.iter_mut().enumerate() {
                    let mut sum = T::zero();
                    for &(at, weight) in
                        &across[self.horizontal.from[i]..self.horizontal.from[i + 1]]
                    {
                        sum += x[at] * weight;
                    }
                    *out = sum;
                }
            }
            for (i, out) in out.chunks_mut(ow.max(1)).enumerate() {
                out.fill(T::zero());
                for &(at, weight) in &down[self.vertical.from[i]..self.vertical.from[i + 1]] {
                    for (o, &v) in out.iter_mut().zip(&rows[at * ow..][..ow]) {
                        *o += v * weight;
                    }
                }
            }
        })
    }
}

fn forward<T: WithDType>(op: &Separable, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let (n, c, _, _) = l.shape().dims4()?;
    Ok(T::to_cpu_storage_owned(op.run(contiguous::<T>(s, l)?, n * c)))
}

fn backward<T: WithDType>(op: &Separable, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (n, c, _, _) = x.dims4()?;
    let back = Separable {
        name: op.name,
        vertical: Arc::new(op.vertical.transposed()),
        horizontal: Arc::new(op.horizontal.transposed()),
    };
    tensor(with_data::<T, _>(grad, |g| Ok(back.run(g, n * c)))?, x.shape())
}

impl CustomOp1 for Separable {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, _, _) = l.shape().dims4()?;
        let shape = (n, c, self.vertical.len(), self.horizontal.len()).into();
        Ok((by_dtype!(s.dtype(), forward(self, s, l))?, shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(x.dtype(), backward(self, x, grad)).map(Some)
    }
}
