//! Access to CPU tensors, and parallel loops whose result does not depend on the number of threads.

pub(crate) mod activation;
pub(crate) mod conv;
pub(crate) mod kernel;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod loss;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod product;
pub(crate) mod scratch;
pub(crate) mod separable;
pub(crate) mod softmax;
pub(crate) mod sum;
pub mod team;
pub mod threads;
pub(crate) mod transposed;

use crate::device::is_composed;
use candle_core::{
    CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, WithDType, bail,
};
use kernel::{Element, Vectorized};

/// Elements below which one thread is quicker than several.
pub(crate) const PARALLEL_FROM: usize = 1 << 15;

/// Whether this crate's CPU kernels apply: a CPU tensor of f32 or f64.
pub(crate) fn has_kernels(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) && !is_composed()
}

/// The elements of a contiguous layout.
pub(crate) fn contiguous<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let data = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&data[from..to]),
        None => bail!("expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Calls `f` with the elements of a CPU tensor in row-major order.
pub(crate) fn with_data<T: WithDType, R>(
    x: &Tensor,
    f: impl FnOnce(&[T]) -> Result<R>,
) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(contiguous(storage, layout)?),
        _ => bail!("expected a tensor on the cpu"),
    }
}

/// A tensor without history from its elements.
pub(crate) fn tensor<T: WithDType>(data: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(data, shape.into(), &Device::Cpu)
}

/// A vector of `len` floats made of parts of `part` elements, each written in full by `fill(index, part)`.
pub(crate) fn build<T: WithDType>(
    len: usize,
    part: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    let part = part.max(1);
    let mut out = uninit(len);
    if len < PARALLEL_FROM || len <= part {
        out.chunks_mut(part).enumerate().for_each(|(i, o)| fill(i, o));
    } else {
        team::all(out.chunks_mut(part).enumerate(), |(i, o)| fill(i, o));
    }
    out
}

/// A vector whose elements are not yet set: zeroing a large one costs as much as the operation that follows.
/// The caller writes every element before it reads any.
pub(crate) fn uninit<T: WithDType>(len: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`; `WithDType` is implemented only for plain numbers, which any bits make valid and
    // which need no drop; every caller writes each element before reading it.
    #[allow(clippy::uninit_vec, reason = "see above")]
    unsafe {
        out.set_len(len);
    }
    out
}

/// A pointer that tasks share; each writes elements that no other does.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

// SAFETY: only a pointer; who dereferences it says why no other thread touches the same elements.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: likewise.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer; a method, so that closures capture the whole.
    pub(crate) fn get(self) -> *mut T {
        self.0
    }
}

/// `f` of each element, in parallel where that pays. (What `f` captures by value stays in registers.)
pub(crate) fn map<T: Element>(x: &[T], f: impl Fn(T) -> T + Copy + Sync) -> Vec<T> {
    let part = PARALLEL_FROM / 2;
    build(x.len(), part, |i, out| {
        T::kernel().vectorized(Map { x: &x[i * part..], out, f });
    })
}

/// `f` of the elements of `x`.
pub(crate) struct Map<'a, T, F> {
    pub(crate) x: &'a [T],
    pub(crate) out: &'a mut [T],
    pub(crate) f: F,
}

impl<T: Copy, F: Fn(T) -> T> Vectorized for Map<'_, T, F> {
    #[inline(always)]
    fn run(self) {
        let Self { x, out, f } = self;
        for (o, &v) in out.iter_mut().zip(x) {
            *o = f(v);
        }
    }
}

/// `f` of each pair of elements, in parallel where that pays.
pub(crate) fn zip<T: Element>(a: &[T], b: &[T], f: impl Fn(T, T) -> T + Copy + Sync) -> Vec<T> {
    let part = PARALLEL_FROM / 2;
    build(a.len(), part, |i, out| {
        let from = i * part;
        T::kernel().vectorized(Zip { a: &a[from..], b: &b[from..], out, f });
    })
}

/// `f` of the elements of `a` and `b`, pair by pair.
pub(crate) struct Zip<'a, T, F> {
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    pub(crate) out: &'a mut [T],
    pub(crate) f: F,
}

impl<T: Copy, F: Fn(T, T) -> T> Vectorized for Zip<'_, T, F> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, out, f } = self;
        for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *o = f(a, b);
        }
    }
}

/// Calls a function generic over the element with the type of a CPU tensor that [`has_kernels`] accepts.
macro_rules! by_dtype {
    ($dtype:expr, $f:ident ( $($arg:expr),* $(,)? )) => {
        match $dtype {
            candle_core::DType::F32 => $f::<f32>($($arg),*),
            candle_core::DType::F64 => $f::<f64>($($arg),*),
            other => candle_core::bail!("expected f32 or f64, got {other:?}"),
        }
    };
}
pub(crate) use by_dtype;
