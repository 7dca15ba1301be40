//! Unsupervised domain adaptation: a network learns from labelled images of a source domain and from images of a target
//! domain without labels, and is tested on the target.

pub mod losses;
pub mod stages;

pub use stages::KINDS;
