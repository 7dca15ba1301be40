//! Unsupervised domain adaptation: a network learns from labelled images of a source domain and from images of a target
//! domain without labels, and is tested on the target.

mod adapt;
pub mod choice;
pub mod logits;
pub mod losses;
pub mod method;
mod mixing;
pub mod stages;
mod task;
pub mod trustworthiness;
pub mod tsne;
pub mod update;
pub mod validators;
mod watch;

pub use stages::KINDS;
