//! Numbers of updates that were not read yet.

use std::fmt;

use sconce_core::{Error, Result};

use super::Values;

/// Numbers about one update that are read when they are asked for: reading them waits until a device has done it.
pub struct Reading(Box<dyn FnOnce() -> candle_core::Result<Values>>);

impl Reading {
    /// What `read` will give. Tensors that it holds ought to be [detached](candle_core::Tensor::detach): what a gradient needs stays otherwise.
    pub fn new(read: impl FnOnce() -> candle_core::Result<Values> + 'static) -> Self {
        Self(Box::new(read))
    }

    /// The same, and behind it what `more` will give.
    pub fn and(self, more: impl FnOnce() -> candle_core::Result<Values> + 'static) -> Self {
        Self::new(move || {
            let mut values = (self.0)()?;
            values.extend(more()?);
            Ok(values)
        })
    }

    /// The numbers.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(self) -> candle_core::Result<Values> {
        (self.0)()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

/// What a [`Task`](super::Task) keeps from its updates until the loop asks for their numbers.
#[derive(Debug, Default)]
pub struct Unread(Vec<Reading>);

impl Unread {
    /// Keeps the numbers of one more update.
    pub fn push(&mut self, reading: Reading) {
        self.0.push(reading);
    }

    /// The numbers of all updates that were kept, in their order. None is kept any more.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(&mut self) -> Result<Vec<Values>> {
        let all = self.0.drain(..).map(Reading::read).collect::<candle_core::Result<_>>();
        all.map_err(Error::other)
    }
}
