//! Unsupervised domain adaptation: a network learns from labelled images of a source domain and from images of a target
//! domain without labels, and is tested on the target.

mod adapt;
pub mod losses;
pub mod method;
pub mod stages;
mod task;
pub mod update;
mod watch;

pub use stages::KINDS;
