//! The innermost loops: a small block of a matrix product held in registers, for the instruction set at hand.
//!
//! Every element is one chain of fused multiply-adds over the depth in order, so a result does not depend on how blocks are
//! cut or shared among threads, nor on the instruction set.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod loops;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use crate::cpu::scratch;
use candle_core::WithDType;
use std::cell::RefCell;
use std::ops::Range;
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

/// `c[to[r]][o] = Σ_{n, i, j} x[from[r] + (n, i, j) · x_steps] · g[(n, i) · g_steps + j][o]`, plus what `c` holds or a bias:
/// what a convolution sums for some windows, over channels and taps, and what the gradient of its weight sums for some
/// places of the filter, over images and windows. `x` is read where it lies.
pub(crate) struct Correlation<'a, T> {
    /// The input.
    pub(crate) x: *const T,
    /// Where each row of the result starts in `x`: at most [`Kernel::correlation_rows`] of them.
    pub(crate) from: &'a [usize],
    /// How many `n`, `i` and `j` there are.
    pub(crate) count: [usize; 3],
    /// Their distances in `x`.
    pub(crate) x_steps: [usize; 3],
    /// Groups of `vectors · lanes` elements, side by side for each `j`.
    pub(crate) g: *const T,
    /// Vectors in a group of `g` and `c`: at most as many as it has.
    pub(crate) vectors: usize,
    /// Distances of `n` and `i` in `g`.
    pub(crate) g_steps: [usize; 2],
    /// Groups of `vectors · lanes` elements.
    pub(crate) c: *mut T,
    /// The number of the group that each row of the result is.
    pub(crate) to: &'a [usize],
    /// Begin with what `c` holds.
    pub(crate) accumulate: bool,
    /// A group to begin with, or null; not with `accumulate`.
    pub(crate) bias: *const T,
    /// Replace negative results by zero.
    pub(crate) relu: bool,
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
    /// Rows of the largest correlation for each number of vectors, from one on.
    pub(crate) correlation_rows: &'static [usize],
    /// Computes a correlation. Safety: likewise for [`Correlation`].
    pub(crate) correlate: unsafe fn(&Correlation<T>),
    /// Copies `lanes` rows of `lanes` elements as columns: from, the distance of rows there, to, the same. Safety: both hold
    /// that many.
    pub(crate) transpose: unsafe fn(*const T, usize, *mut T, usize),
    /// Deals `parts · lanes` elements out, one by one, to as many rows of `lanes`: how many rows (2 or 4), from, to, the
    /// distance of rows there. Safety: both hold that many.
    pub(crate) deinterleave: unsafe fn(usize, *const T, *mut T, usize),
    /// The reverse: the number of rows, from, their distance, to. Safety: likewise.
    pub(crate) interleave: unsafe fn(usize, *const T, usize, *mut T),
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
            // The compiler's target has it.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => loops.run(),
        }
    }

    /// Cuts `count` rows into nearly equal groups that fit a block.
    pub(crate) fn row_groups(&self, count: usize) -> Vec<Range<usize>> {
        even(0..count, self.rows).collect()
    }

    /// Elements of a group that holds this many columns in whole vectors.
    pub(crate) fn group(&self, columns: usize) -> usize {
        columns.next_multiple_of(self.lanes)
    }

    /// Cuts `count` columns into nearly equal panels of whole vectors that fit a correlation.
    pub(crate) fn panels(&self, count: usize) -> Vec<Range<usize>> {
        let vectors = even(0..count.div_ceil(self.lanes), self.correlation_rows.len());
        vectors.map(|v| v.start * self.lanes..(v.end * self.lanes).min(count)).collect()
    }
}

/// Nearly equal parts of `all` of at most `most` each; at least one.
pub(crate) fn even(all: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let (parts, start, len) = (all.len().div_ceil(most).max(1), all.start, all.len());
    (0..parts).map(move |i| start + len * i / parts..start + len * (i + 1) / parts)
}

/// Loops in plain Rust that the compiler vectorizes for each instruction set; `run` is `#[inline(always)]`, and so is what it
/// calls.
///
/// Each is a type of its own, and no function that is passed on: the call of a generic `F: FnOnce` is compiled as a function by itself,
/// for the target's instruction set, and a long one stays that. (Pooling and batch norm's sums once did: profiles show
/// `FnOnce::call_once`, or `array::try_from_fn` for `array::from_fn`.)
pub(crate) trait Vectorized {
    /// Runs the loops.
    fn run(self);
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
    /// NEON, which every 64-bit ARM processor has.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Level {
    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
        }
    }
}

/// The instruction sets that this processor has, worst first.
pub(crate) fn levels() -> &'static [Level] {
    static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();
    LEVELS.get_or_init(|| {
        #[allow(unused_mut, reason = "other processors have the portable level alone")]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "aarch64")]
        levels.push(Level::Neon);
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

/// What a test of the whole program keeps to.
static KEPT_TO: OnceLock<Level> = OnceLock::new();

/// Keeps to the instruction set of this name, as if the processor had no better one; false where it has not even that.
pub(crate) fn keep_to(name: &str) -> bool {
    let level = levels().iter().find(|level| format!("{level:?}").eq_ignore_ascii_case(name));
    level.is_some_and(|&level| *KEPT_TO.get_or_init(|| level) == level)
}

/// The best of them, or what a test asks for.
pub(crate) fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = tests::FORCED.get() {
        return level;
    }
    let best = || levels().last().copied().unwrap_or(Level::Portable);
    KEPT_TO.get().copied().unwrap_or_else(best)
}

/// Floats that the kernels compute with.
pub(crate) trait Element: WithDType + Default {
    /// The thread's free buffers.
    fn pool() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>>;

    /// The kernel for one of [`levels`].
    fn kernel_at(level: Level) -> Kernel<Self>;

    /// `self · a + b` in one rounding.
    fn mul_add(self, a: Self, b: Self) -> Self;

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
            #[cfg(target_arch = "aarch64")]
            Level::Neon => neon::KERNEL,
        }
    }

    #[inline(always)]
    fn mul_add(self, a: f32, b: f32) -> f32 {
        f32::mul_add(self, a, b)
    }
}

impl Element for f64 {
    fn pool() -> &'static LocalKey<RefCell<Vec<Vec<f64>>>> {
        &scratch::F64
    }

    fn kernel_at(level: Level) -> Kernel<f64> {
        match level {
            Level::Portable => portable::kernel::<f64, 4>(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::double::KERNEL,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::double::KERNEL,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => neon::double::KERNEL,
        }
    }

    #[inline(always)]
    fn mul_add(self, a: f64, b: f64) -> f64 {
        f64::mul_add(self, a, b)
    }
}

#[cfg(test)]
pub(crate) mod tests;
