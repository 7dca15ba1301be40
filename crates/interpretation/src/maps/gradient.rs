//! Maps of one gradient.

use candle_core::{Result, Tensor};
use sconce_models::Rectifier;

use crate::{Model, Objective};

/// Saliency `max_c |∂ logit_y / ∂ x_c|` of each input, `(batch, height, width)`.
///
/// Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", 2014, section 3.
///
/// # Errors
/// When there is not one class for each input, or no such class.
pub fn saliency(model: &Model, inputs: &Tensor, classes: &[u32]) -> Result<Tensor> {
    let (_, gradient) = model.gradient(inputs, &logits(classes), Rectifier::Plain)?;
    gradient.abs()?.max(1)
}

/// Gradient × input, `Σ_c x_c · ∂ logit_y / ∂ x_c`, `(batch, height, width)`, signed. The input is the network's: a pixel of
/// the mean colour counts nothing.
///
/// Shrikumar et al., "Not just a black box", 2016.
///
/// # Errors
/// As [`saliency`].
pub fn gradient_x_input(model: &Model, inputs: &Tensor, classes: &[u32]) -> Result<Tensor> {
    let (_, gradient) = model.gradient(inputs, &logits(classes), Rectifier::Plain)?;
    (gradient * inputs)?.sum(1)
}

/// Guided backpropagation: [`saliency`] of gradients that pass a rectifier only where they are positive too,
/// `(batch, height, width)`.
///
/// Springenberg et al., "Striving for simplicity: the all convolutional net", 2015, section 3.4.
///
/// # Errors
/// As [`saliency`].
pub fn guided_backpropagation(model: &Model, inputs: &Tensor, classes: &[u32]) -> Result<Tensor> {
    let (_, gradient) = model.gradient(inputs, &logits(classes), Rectifier::Guided)?;
    gradient.abs()?.max(1)
}

fn logits(classes: &[u32]) -> Objective {
    Objective::Logit(classes.to_vec())
}
