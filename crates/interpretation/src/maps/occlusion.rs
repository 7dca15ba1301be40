//! Occlusion.

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Baseline;
use crate::{Model, Objective};

/// Parameters of [`occlusion`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Occlusion {
    /// Side of the square that covers the image, in pixels.
    pub patch: usize,
    /// Pixels from one place of the square to the next.
    pub stride: usize,
    /// What the square shows: `mean`, `black`, `white`, or `{ blurred = 0.1 }` for the image after a blur whose deviation is
    /// that share of its side.
    pub baseline: Baseline,
}

impl Default for Occlusion {
    fn default() -> Self {
        Self { patch: 32, stride: 16, baseline: Baseline::Mean }
    }
}

/// Occlusion: how much the logit falls when a square covers a pixel, as the mean over all places of the square that cover
/// it. Of one input `(1, channels, height, width)`; height × width signed numbers.
///
/// Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.2. The square begins at every
/// multiple of the stride, and once more at the far border where it would not reach it.
///
/// # Errors
/// When there is no such class, or the square has no size or is larger than the input.
pub fn occlusion(
    model: &Model,
    x: &Tensor,
    class: u32,
    how: &Occlusion,
    batch: usize,
) -> Result<Vec<f32>> {
    let (_, channels, height, width) = x.dims4()?;
    let Occlusion { patch, stride, .. } = *how;
    if patch == 0 || stride == 0 || patch > height.min(width) {
        candle_core::bail!(
            "expected a patch of 1 to {} pixels and a stride of 1 or more, found {patch} and {stride}",
            height.min(width)
        );
    }
    let image = x.flatten_all()?.to_vec1::<f32>()?;
    let cover = how.baseline.input(model, x)?.flatten_all()?.to_vec1::<f32>()?;
    let logit = |inputs: &Tensor| {
        let objective = Objective::Logit(vec![class; inputs.dim(0)?]);
        objective.of(&model.logits(inputs)?)?.to_vec1::<f32>()
    };
    let whole = f64::from(logit(x)?.first().copied().unwrap_or(f32::NAN));
    let (tops, lefts) = (places(height, patch, stride), places(width, patch, stride));
    let corners: Vec<(usize, usize)> =
        tops.iter().flat_map(|&top| lefts.iter().map(move |&left| (top, left))).collect();
    let (mut drops, mut counts) = (vec![0f64; height * width], vec![0f64; height * width]);
    for corners in corners.chunks(batch.max(1)) {
        let mut covered = Vec::with_capacity(corners.len() * image.len());
        for &(top, left) in corners {
            let start = covered.len();
            covered.extend_from_slice(&image);
            for row in (0..channels).flat_map(|c| (top..top + patch).map(move |y| c * height + y)) {
                let span = row * width + left..row * width + left + patch;
                covered[start + span.start..start + span.end].copy_from_slice(&cover[span]);
            }
        }
        let covered =
            Tensor::from_vec(covered, (corners.len(), channels, height, width), x.device())?;
        for (&(top, left), value) in corners.iter().zip(logit(&covered)?) {
            for y in top..top + patch {
                for at in y * width + left..y * width + left + patch {
                    drops[at] += whole - f64::from(value);
                    counts[at] += 1.0;
                }
            }
        }
    }
    Ok(drops.iter().zip(&counts).map(|(drop, count)| (drop / count) as f32).collect())
}

/// Where a window of `patch` begins so that windows cover all of `length`; a stride beyond the patch would leave gaps and
/// counts as the patch.
fn places(length: usize, patch: usize, stride: usize) -> Vec<usize> {
    let last = length - patch;
    let mut places: Vec<usize> = (0..=last).step_by(stride.min(patch)).collect();
    if places.last() != Some(&last) {
        places.push(last);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn windows_reach_the_border() {
        assert_eq!(places(96, 24, 12), [0, 12, 24, 36, 48, 60, 72]);
        assert_eq!(places(10, 4, 3), [0, 3, 6]);
        assert_eq!(places(10, 4, 9), [0, 4, 6]);
        assert_eq!(places(5, 5, 2), [0]);
    }
}
