//! Noise, and paths through it.

use candle_core::{Device, Tensor};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use sconce_core::random::Generator as Rng;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// `count` rows of `latent` numbers from N(0, 1).
pub(crate) fn noise(count: usize, latent: usize, rng: &mut Rng) -> Vec<Vec<f32>> {
    let mut row = || (0..latent).map(|_| StandardNormal.sample(rng)).collect();
    (0..count).map(|_| row()).collect()
}

/// Rows as a tensor `(rows, numbers)`.
pub(crate) fn tensor(rows: &[Vec<f32>], device: &Device) -> Result<Tensor> {
    let width = rows.first().map_or(0, Vec::len);
    Tensor::from_vec(rows.concat(), (rows.len(), width), device).map_err(Error::other)
}

/// How one goes from one noise to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// Along the sphere: each point is as long as noise usually is (White, "Sampling generative networks", 2016).
    #[default]
    Spherical,
    /// Straight: points in the middle are shorter than noise ever is.
    Straight,
}

impl Path {
    /// The point at `t` between 0 (`a`) and 1 (`b`).
    pub(crate) fn point(self, a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        let angle = cosine.clamp(-1.0, 1.0).acos();
        let (of_a, of_b) = match self {
            // Of parallel noise the sphere's path is straight.
            Self::Spherical if angle.sin().abs() > 1e-6 => {
                (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
            }
            _ => (1.0 - t, t),
        };
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) * of_a + f64::from(b) * of_b) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;

    use super::*;

    #[test]
    fn paths_begin_and_end_where_they_should() {
        let rows = noise(2, 50, &mut generator(3, "noise"));
        let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
        for path in [Path::Spherical, Path::Straight] {
            for (t, want) in [(0.0, &rows[0]), (1.0, &rows[1])] {
                let got = path.point(&rows[0], &rows[1], t);
                assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6));
            }
        }
        let shortest = length(&rows[0]).min(length(&rows[1]));
        assert!(length(&Path::Spherical.point(&rows[0], &rows[1], 0.5)) > 0.95 * shortest);
        assert!(length(&Path::Straight.point(&rows[0], &rows[1], 0.5)) < 0.9 * shortest);
        let same = Path::Spherical.point(&rows[0], &rows[0], 0.3);
        assert!(same.iter().zip(&rows[0]).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
