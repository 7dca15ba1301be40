//! The convolutions on the processor: which method computes which sizes, and the methods.

mod algorithm;
mod band;
pub(crate) mod depthwise;
mod direct;
pub(crate) mod forms;
pub(crate) mod geometry;
mod indirect;
pub(crate) mod joined;
pub(crate) mod lanes;
pub(crate) mod op;
mod pooled;
mod scatter;
mod target;
mod weight;
mod winograd;
