//! Buffers that a thread keeps between calls: fresh large allocations cost page faults, up to a third of a convolution.

use crate::cpu::kernel::Element;
use std::cell::RefCell;

/// Bytes of a cache line, to which buffers are aligned: a vector that straddles two lines loads at half speed.
const LINE: usize = 64;

thread_local! {
    pub(crate) static F32: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
    pub(crate) static F64: RefCell<Vec<Vec<f64>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` elements of any content.
///
/// The buffer leaves the pool meanwhile, so that `f` may ask for another, and so may a task that this thread steals.
pub(crate) fn with<T: Element, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let spare = LINE / size_of::<T>();
    let mut buffer = T::pool().with(|pool| {
        let mut pool = pool.borrow_mut();
        // the smallest that is large enough, or else the largest, to be grown
        let fits = pool
            .iter()
            .enumerate()
            .filter(|(_, b)| b.len() >= len + spare)
            .min_by_key(|(_, b)| b.len());
        let at =
            fits.or_else(|| pool.iter().enumerate().max_by_key(|(_, b)| b.len())).map(|(i, _)| i);
        at.map(|i| pool.swap_remove(i)).unwrap_or_default()
    });
    if buffer.len() < len + spare {
        // dropped first, so that the old content is not copied
        buffer = Vec::new();
        buffer.resize(len + spare, T::zero());
    }
    let skip = buffer.as_ptr().align_offset(LINE).min(spare);
    let result = f(&mut buffer[skip..skip + len]);
    T::pool().with(|pool| pool.borrow_mut().push(buffer));
    result
}
