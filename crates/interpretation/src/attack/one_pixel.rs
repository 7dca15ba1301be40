//! The one-pixel attack.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use sconce_core::{Error, Result};

use super::evolution::Costs;
use super::{Classifier, Evolution, Goal, WHITE, softmax};

/// Fools with a few pixels, found by differential evolution without gradients: a candidate is k times place and colour; it
/// is the better, the less probable the class to leave is (the more probable the class to reach). Su, Vargas and Sakurai,
/// "One pixel attack for fooling deep neural networks", 2019 (arXiv 2017).
///
/// Places begin uniformly distributed, colours normally (mean 128, deviation 127), both in whole numbers when they are
/// judged, so that a file holds what was found. The search ends with the first generation that fools.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnePixel {
    /// k: pixels that may change.
    pub pixels: usize,
    /// Members of the population.
    pub population: usize,
    /// The search.
    pub evolution: Evolution,
}

/// A changed pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Row, from the top.
    pub row: usize,
    /// Column, from the left.
    pub column: usize,
    /// Its new levels, in the network's order of channels.
    pub levels: Vec<u8>,
}

/// What an attack ended with, fooled or not.
#[derive(Debug, Clone, PartialEq)]
pub struct OnePixelAttempt {
    /// The image: `channels × height × width` whole levels.
    pub image: Vec<f32>,
    /// The pixels that were set; of two at one place the later one counts.
    pub changes: Vec<Change>,
    /// Generations after the first population.
    pub generations: usize,
    /// Images that the network judged.
    pub evaluations: usize,
}

impl OnePixel {
    /// Changes pixels of `image` until `goal` is reached or the generations are used up.
    ///
    /// # Errors
    /// When the classifier fails, or the parameters allow no search.
    pub fn run(
        &self,
        classifier: &impl Classifier,
        image: &[f32],
        goal: Goal,
        rng: &mut impl Rng,
    ) -> Result<OnePixelAttempt> {
        let shape @ [channels, height, width] = classifier.shape();
        if image.len() != channels * height * width || image.is_empty() || self.pixels == 0 {
            return Err(Error::message("expected an image of the classifier's shape, and a pixel"));
        }
        // The ends are left out by a hair: the place is the whole part.
        let place = |side: usize| (0.0, side as f64 - 1e-9);
        let pixel = [place(height), place(width)];
        let color = vec![(0.0, f64::from(WHITE)); channels];
        let bounds: Vec<(f64, f64)> =
            (0..self.pixels).flat_map(|_| pixel.into_iter().chain(color.iter().copied())).collect();
        let member = |_| {
            let number = |(i, (low, high)): (usize, &(f64, f64))| {
                if i % (2 + channels) < 2 {
                    low + rng.random::<f64>() * (high - low)
                } else {
                    let normal: f64 = StandardNormal.sample(rng);
                    (128.0 + 127.0 * normal).clamp(*low, *high)
                }
            };
            bounds.iter().enumerate().map(number).collect()
        };
        let population: Vec<Vec<f64>> = (0..self.population).map(member).collect();

        let (Goal::Leave(class) | Goal::Reach(class)) = goal;
        let evolved = self.evolution.minimise(&bounds, population, rng, |candidates| {
            let mut costs = Vec::with_capacity(candidates.len());
            let mut enough: Option<usize> = None;
            // Few at a time: a copy of the image for each candidate is a lot of memory.
            for together in candidates.chunks(TOGETHER) {
                let images: Vec<_> = together
                    .iter()
                    .map(|candidate| apply(image, shape, &changes(candidate, channels)))
                    .collect();
                for logits in classifier.logits(&images)? {
                    let probability = softmax(&logits).get(class).copied().unwrap_or(f64::NAN);
                    let cost =
                        if matches!(goal, Goal::Leave(_)) { probability } else { -probability };
                    if goal.is_met(&logits, 0.0) && enough.is_none_or(|best| cost < costs[best]) {
                        enough = Some(costs.len());
                    }
                    costs.push(cost);
                }
            }
            Ok(Costs { costs, enough })
        })?;
        let changes = changes(&evolved.best, channels);
        Ok(OnePixelAttempt {
            image: apply(image, shape, &changes),
            changes,
            generations: evolved.generations,
            evaluations: evolved.evaluations,
        })
    }
}

/// Candidates that are judged together.
const TOGETHER: usize = 32;

/// The pixels that a candidate stands for: `(row, column, level of each channel)` for each.
fn changes(candidate: &[f64], channels: usize) -> Vec<Change> {
    let pixel = |pixel: &[f64]| Change {
        row: pixel[0] as usize,
        column: pixel[1] as usize,
        levels: pixel[2..].iter().map(|level| level.round() as u8).collect(),
    };
    candidate.chunks_exact(2 + channels).map(pixel).collect()
}

/// The image with these pixels.
fn apply(image: &[f32], [_, height, width]: [usize; 3], changes: &[Change]) -> Vec<f32> {
    let mut changed = image.to_vec();
    for Change { row, column, levels } in changes {
        for (plane, level) in changed.chunks_exact_mut(height * width).zip(levels) {
            plane[row * width + column] = f32::from(*level);
        }
    }
    changed
}
