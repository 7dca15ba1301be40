//! Grad-CAM.

use candle_core::{Result, Tensor};
use sconce_ops::activation::relu;
use sconce_ops::separable::resize_bilinear;
use sconce_ops::sum::mean_keepdim;

use crate::{Model, Objective};

/// Grad-CAM `relu(Σ_k α_k A_k)` of the maps `A` at `tap`, weighted by the means over space of the logit's gradient,
/// `α_k = mean ∂ logit_y / ∂ A_k`; enlarged to the input's size by bilinear interpolation, `(batch, height, width)`, ≥ 0.
///
/// Selvaraju et al., "Grad-CAM: visual explanations from deep networks", 2017, equations 1 and 2. At the last maps before
/// an average over space it is the class activation map of Zhou et al. (2016).
///
/// # Errors
/// When there is no such tap or class, or the tap's output has no height and width.
pub fn grad_cam(model: &Model, inputs: &Tensor, tap: &str, classes: &[u32]) -> Result<Tensor> {
    let (_, _, height, width) = inputs.dims4()?;
    let flat = || -> Result<Tensor> {
        candle_core::bail!(
            "the output of `{tap}` has no height and width: expected `{}` or a tap before it",
            last_tap_with_space(model, inputs)?
        )
    };
    if model.network().taps().last() == Some(&tap) {
        return flat();
    }
    let (maps, gradient) = model.gradient_at(inputs, tap, &Objective::Logit(classes.to_vec()))?;
    if maps.rank() != 4 {
        return flat();
    }
    let weights = mean_keepdim(&gradient, (2, 3))?;
    let cam = relu(&maps.broadcast_mul(&weights)?.sum_keepdim(1)?)?;
    resize_bilinear(&cam, [height, width], false)?.squeeze(1)
}

/// The last tap whose output is maps, with height and width.
///
/// # Errors
/// When there is none.
pub fn last_tap_with_space(model: &Model, inputs: &Tensor) -> Result<&'static str> {
    let taps = model.network().taps();
    let outputs = model.network().forward_taps(&inputs.narrow(0, 0, 1)?, &taps)?;
    match taps.iter().zip(&outputs).rev().find(|(_, output)| output.rank() == 4) {
        Some((tap, _)) => Ok(tap),
        None => candle_core::bail!("{} has no maps", model.network().architecture()),
    }
}
