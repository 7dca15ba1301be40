//! The innermost loops: a small block of a matrix product held in registers, for the instruction set at hand.
//!
//! Every element is one chain of fused (or, portable, separate) multiply-adds over the depth in order, so a result does
//! not depend on how blocks are cut or shared among threads.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::scratch;
use candle_core::WithDType;
use std::cell::RefCell;
use std::sync::OnceLock;
use std::thread::LocalKey;

/// Largest number of rows of a block over all instruction sets.
pub(crate) const MAX_ROWS: usize = 14;
/// Largest number of columns of a block over all instruction sets.
pub(crate) const MAX_COLUMNS: usize = 32;

/// `c = a · b`, or `c` or `bias` and then `a · b` in the same chain, or `c + (a · b)`, for a block of `rows` × `vectors · lanes`.
#[derive(Clone, Copy)]
pub(crate) struct Block<T> {
    /// Rows of `a` and `c`: at most [`Kernel::rows`].
    pub(crate) rows: usize,
    /// Vectors in a row of `b` and `c`: at most [`Kernel::vectors`].
    pub(crate) vectors: usize,
    /// Columns of `a`, rows of `b`.
    pub(crate) depth: usize,
    /// `depth` groups of `rows` elements.
    pub(crate) a: *const T,
    /// `depth` groups of `vectors · lanes` elements.
    pub(crate) b: *const T,
    /// `rows` rows, `ldc` apart.
    pub(crate) c: *mut T,
    /// Distance between rows of `c`.
    pub(crate) ldc: usize,
    /// Begin with what `c` holds.
    pub(crate) accumulate: bool,
    /// Begin with zero and add the sum to what `c` holds: shorter chains round less. Not with `accumulate` or `bias`.
    pub(crate) add: bool,
    /// `rows` elements to begin with, or null; not with `accumulate`.
    pub(crate) bias: *const T,
    /// Replace negative results by zero.
    pub(crate) relu: bool,
}

/// `c[r][o] += Σ over images, rows i and columns j of x[offset[r] + i · stride + j] · g[i · width + j][o]`: what the gradient
/// of a convolution's weight sums, with `x` read where it lies.
pub(crate) struct Correlation<'a, T> {
    /// Where each row of the result starts in `x`: at most [`Kernel::rows`] of them.
    pub(crate) offsets: &'a [usize],
    /// Vectors in a row of `g` and `c`.
    pub(crate) vectors: usize,
    /// The input.
    pub(crate) x: *const T,
    /// Distance between rows of `x`.
    pub(crate) stride: usize,
    /// `height · width` groups of `vectors · lanes` elements.
    pub(crate) g: *const T,
    /// Number of rows.
    pub(crate) height: usize,
    /// Number of columns.
    pub(crate) width: usize,
    /// Number of images.
    pub(crate) images: usize,
    /// Distance between images in `x`.
    pub(crate) next_x: usize,
    /// Distance between images in `g`.
    pub(crate) next_g: usize,
    /// One row of `vectors · lanes` elements for each offset.
    pub(crate) c: *mut T,
}

/// The innermost loops for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<T: 'static> {
    /// Elements of a vector.
    pub(crate) lanes: usize,
    /// Vectors in a row of the largest block.
    pub(crate) vectors: usize,
    /// Rows of the largest block.
    pub(crate) rows: usize,
    /// Computes a block. Safety: the pointers hold what [`Block`] says, and the processor has the instructions.
    pub(crate) block: unsafe fn(&Block<T>),
    /// Computes a block of a weight's gradient. Safety: likewise for [`Correlation`].
    pub(crate) correlate: unsafe fn(&Correlation<T>),
    /// The instruction set, for loops that the compiler vectorizes.
    pub(crate) level: Level,
}

impl<T> Kernel<T> {
    /// Columns of the largest block.
    pub(crate) fn columns(&self) -> usize {
        self.lanes * self.vectors
    }

    /// Runs loops compiled for this kernel's instruction set.
    #[inline]
    pub(crate) fn vectorized<V: Vectorized>(&self, loops: V) {
        match self.level {
            Level::Portable => loops.run(),
            // SAFETY: `levels` offers a level only on processors that have its instructions.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::vectorized(loops) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::vectorized(loops) },
        }
    }

    /// Cuts `count` rows into nearly equal groups that fit a block.
    pub(crate) fn row_groups(&self, count: usize) -> Vec<std::ops::Range<usize>> {
        let groups = count.div_ceil(self.rows).max(1);
        (0..groups).map(|i| count * i / groups..count * (i + 1) / groups).collect()
    }
}

/// Loops in plain Rust that the compiler vectorizes for each instruction set; `run` is `#[inline(always)]`.
pub(crate) trait Vectorized {
    /// Runs the loops.
    fn run(self);
}

/// An `#[inline(always)]` function and its argument, as loops.
pub(crate) struct Loops<F, A>(pub(crate) F, pub(crate) A);

impl<A, F: FnOnce(A)> Vectorized for Loops<F, A> {
    #[inline(always)]
    fn run(self) {
        (self.0)(self.1);
    }
}

/// Instruction sets with code of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// Whatever the compiler's target has.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F as well.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The instruction sets that this processor has, worst first.
pub(crate) fn levels() -> &'static [Level] {
    static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();
    LEVELS.get_or_init(|| {
        #[allow(unused_mut)]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Level::Avx2);
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                levels.push(Level::Avx512);
            }
        }
        levels
    })
}

/// The best of them, or what a test of this thread asks for.
fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = tests::FORCED.get() {
        return level;
    }
    levels().last().copied().unwrap_or(Level::Portable)
}

/// Floats that the kernels compute with.
pub(crate) trait Element: WithDType + Default {
    /// The thread's free buffers.
    fn pool() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>>;

    /// The kernel for one of [`levels`].
    fn kernel_at(level: Level) -> Kernel<Self>;

    /// The fastest kernel of this processor.
    fn kernel() -> Kernel<Self> {
        Self::kernel_at(level())
    }
}

impl Element for f32 {
    fn pool() -> &'static LocalKey<RefCell<Vec<Vec<f32>>>> {
        &scratch::F32
    }

    fn kernel_at(level: Level) -> Kernel<f32> {
        match level {
            Level::Portable => portable::kernel::<f32, 8>(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::KERNEL,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::KERNEL,
        }
    }
}

/// f64 serves checks: the portable loops are enough.
impl Element for f64 {
    fn pool() -> &'static LocalKey<RefCell<Vec<Vec<f64>>>> {
        &scratch::F64
    }

    fn kernel_at(_: Level) -> Kernel<f64> {
        portable::kernel::<f64, 4>()
    }
}

#[cfg(test)]
pub(crate) mod tests;
