//! What the kernels make of a weight, kept between calls where the weight never changes.

use super::direct::Packed;
use super::winograd::Filters;
use crate::cpu::kernel::Element;
use std::any::Any;
use std::sync::OnceLock;

/// The weight in the orders in which kernels read it, each made when first needed.
#[derive(Debug)]
pub(crate) struct Forms<T> {
    pub(super) packed: OnceLock<Packed<T>>,
    pub(super) filters: OnceLock<Filters<T>>,
    /// For values that an image's gradient depends on.
    pub(super) precise_filters: OnceLock<Filters<T>>,
    /// For the gradient of the input: one for each residue of the stride.
    pub(super) transposed_packed: OnceLock<Vec<Packed<T>>>,
    /// Likewise.
    pub(super) transposed_filters: OnceLock<Filters<T>>,
}

impl<T> Default for Forms<T> {
    fn default() -> Self {
        let (packed, filters) = (OnceLock::new(), OnceLock::new());
        Self {
            packed,
            filters,
            precise_filters: OnceLock::new(),
            transposed_packed: OnceLock::new(),
            transposed_filters: OnceLock::new(),
        }
    }
}

impl<T: Element> Forms<T> {
    /// The same, where `T` is f32.
    pub(super) fn of(forms: &Forms<f32>) -> Option<&Self> {
        (forms as &dyn Any).downcast_ref()
    }
}

/// What `lock` holds, or `make` if it is empty.
///
/// `make` runs outside the lock: it starts parallel work, and a thread that waits for that may take up another task that
/// needs the same form.
pub(super) fn kept<V>(lock: &OnceLock<V>, make: impl FnOnce() -> V) -> &V {
    match lock.get() {
        Some(form) => form,
        None => {
            let form = make();
            lock.get_or_init(|| form)
        }
    }
}
