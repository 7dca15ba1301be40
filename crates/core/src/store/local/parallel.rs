//! Many files at once, a few one after the other: starting threads, or handing work to them on a
//! busy machine, costs more than a few small files.

use rayon::prelude::*;

/// From so many files on, several threads read or write them.
pub(super) const FILES: usize = 16;

/// From so many files on, several threads ask for their stats or link them.
pub(super) const STATS: usize = 256;

/// The results of `work` in order, on several threads if there are at least `many` items.
pub(super) fn map<T: Sync, R: Send>(
    many: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync + Send,
) -> Vec<R> {
    if items.len() < many {
        items.iter().map(work).collect()
    } else {
        items.par_iter().with_min_len(many / 4).map(work).collect()
    }
}
