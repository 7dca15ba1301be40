//! Where a convolution's results go.

use crate::cpu::Shared;

/// The planes of some channels in a tensor `(batch, channels, height, width)` that may have more of them.
pub(super) struct Target<'a, T> {
    /// From the first of these channels on.
    y: &'a mut [T],
    /// Distance between images.
    image: usize,
}

impl<'a, T> Target<'a, T> {
    /// All channels of `y`, `batch` images.
    pub(super) fn whole(y: &'a mut [T], batch: usize) -> Self {
        let image = y.len() / batch.max(1);
        Self { y, image }
    }

    /// The channels whose planes begin at `first` in each image of `y`.
    pub(super) fn part(y: &'a mut [T], batch: usize, first: usize) -> Self {
        let image = y.len() / batch.max(1);
        Self { y: y.get_mut(first..).unwrap_or_default(), image }
    }

    /// Where the first image's planes begin, and the distance between images, for `len` elements of each of `batch` images.
    pub(super) fn planes(self, batch: usize, len: usize) -> (Shared<T>, usize) {
        let room = (batch.max(1) - 1) * self.image + len;
        assert!(len <= self.image && room <= self.y.len(), "results do not fit their tensor");
        (Shared(self.y.as_mut_ptr()), self.image)
    }
}
