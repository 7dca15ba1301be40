//! Deep convolutional GAN (Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
//! generative adversarial networks", 2016) for images of 32×32 or 64×64 pixels, plain or of a wanted class.
//!
//! A [`GeneratorLayout`] and a [`DiscriminatorLayout`] say what the two networks are, [`step`] updates both by an
//! [`Objective`].

mod discriminator;
mod generator;
mod layout;
mod loss;
mod part;
mod spectral;
mod step;
#[cfg(test)]
mod tests;

pub use discriminator::Discriminator;
pub use generator::Generator;
pub use layout::{Condition, DiscriminatorLayout, GeneratorLayout, Initialisation, Normalisation};
pub use loss::{Loss, Objective, Penalty, Updates};
pub use part::Part;
pub(crate) use part::{DISCRIMINATOR, GENERATOR};
pub use step::{Examples, GanLosses, Side, UnreadLosses, step};

/// `(batch, classes)` of zeros and a one at each image's class.
///
/// # Errors
/// When a class is not below `classes`, or the device has no room.
pub fn one_hot(
    classes: &[u32],
    count: usize,
    device: &candle_core::Device,
) -> candle_core::Result<candle_core::Tensor> {
    let mut values = vec![0f32; classes.len() * count];
    for (row, &class) in values.chunks_mut(count.max(1)).zip(classes) {
        match row.get_mut(class as usize) {
            Some(value) => *value = 1.0,
            None => candle_core::bail!("expected classes below {count}, got {class}"),
        }
    }
    candle_core::Tensor::from_vec(values, (classes.len(), count), device)
}
