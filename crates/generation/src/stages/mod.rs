//! The kinds of this crate: one file each.

mod generate;
mod train_gan;

use sconce_core::Kind;

pub use generate::{Arrangement, Generate};
pub use train_gan::{DiscriminatorParameters, GeneratorParameters, TrainGan};

/// The kinds of this crate.
pub const KINDS: &[Kind] = &[Kind::of::<TrainGan>(), Kind::of::<Generate>()];

/// The default of parameters called `split` of kinds that look at images to train on.
fn train() -> String {
    "train".to_owned()
}
