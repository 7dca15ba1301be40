//! The real images, and what is measured of generated ones beside them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use sconce_core::{Context, Error, Result};
use sconce_data::Features;
use serde::{Deserialize, Serialize};

use super::{GenerationMetrics, places, wrong};
use crate::metrics::frechet::{Moments, Reference};
use crate::metrics::likelihood::{Baseline, Likelihood};
use crate::metrics::manifold::manifold;
use crate::metrics::memorising::Seen;
use crate::metrics::{Samples, draw, kernel_distance};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Fréchet distance.
    Fid,
    /// The same, extrapolated.
    FidInfinity,
    /// Kernel distance of all images.
    Kid,
    /// Kernel distance over subsets.
    KidSubsets,
    /// Precision, recall, density, coverage.
    Manifold,
    /// Nearest training against nearest test images.
    Memorising,
    /// Feature-likelihood divergence.
    Likelihood,
}

impl Measure {
    pub(super) fn all() -> Vec<Self> {
        use Measure::*;
        vec![Fid, FidInfinity, Kid, KidSubsets, Manifold, Memorising, Likelihood]
    }

    /// The columns that it fills.
    pub(super) fn columns(self) -> &'static [(&'static str, u8)] {
        match self {
            Self::Fid => &[("fid", 3)],
            Self::FidInfinity => &[("fid_infinity", 3)],
            Self::Kid => &[("kid", 5)],
            Self::KidSubsets => &[("kid_mean", 5), ("kid_deviation", 5)],
            Self::Manifold => &[("precision", 3), ("recall", 3), ("density", 3), ("coverage", 3)],
            Self::Memorising => &[("nearer_to_train", 3), ("distance_ratio", 3)],
            Self::Likelihood => &[("fld", 2)],
        }
    }

    pub(super) fn needs_test(self) -> bool {
        matches!(self, Self::Memorising | Self::Likelihood)
    }
}

/// Real images, as far as they are used.
pub(super) struct Real {
    pub(super) samples: Samples,
    reference: Option<Reference>,
    pub(super) test: Option<Test>,
}

pub(super) struct Test {
    pub(super) samples: Samples,
    seen: Option<Seen>,
    likelihood: Option<Likelihood>,
    /// What `fld` is compared with for so many generated images: most splits have as many.
    baseline: Option<Baseline>,
}

impl GenerationMetrics {
    pub(super) fn measures(&self, measure: Measure) -> bool {
        let tested = !measure.needs_test() || !self.test_split.is_empty();
        tested && self.measures.contains(&measure)
    }

    pub(super) fn real(&self, ctx: &Context<Self>, generated: &Features) -> Result<Real> {
        let features = ctx.input(&self.real)?;
        if features.shape() != generated.shape() {
            return Err(wrong(
                "generated",
                format!(
                    "expected the features of the real images' layer: rows of shape {:?}, found {:?}",
                    features.shape(),
                    generated.shape()
                ),
            ));
        }
        let of_rows = |rows: &[usize]| -> Result<Samples> {
            Samples::of(&features, rows).map_err(|error| wrong("real", error.to_string()))
        };
        let all = |key: &str, split: &str| places(features.examples(), key, split);
        let drawn = |key: &str, rows: &[usize]| -> Vec<usize> {
            let drawn = draw(rows.len(), self.max_images, &mut ctx.rng(key));
            drawn.into_iter().map(|place| rows[place]).collect()
        };
        let trained_on = all("split", &self.split)?;
        let samples = of_rows(&drawn("split", &trained_on))?;
        let test = match Measure::all().into_iter().any(|m| m.needs_test() && self.measures(m)) {
            true => {
                let tested = all("test_split", &self.test_split)?;
                // All that were trained on, however few `max_images` are: a copy of one that is left out would pass for new.
                let trained_on: Vec<usize> = match self.split.is_empty() {
                    true => {
                        let tested: BTreeSet<usize> = tested.iter().copied().collect();
                        trained_on.into_iter().filter(|row| !tested.contains(row)).collect()
                    }
                    false => trained_on,
                };
                if trained_on.is_empty() {
                    let message =
                        "expected images of another split beside those that are tested on";
                    return Err(Error::parameter("test_split", message));
                }
                let (train, test) =
                    (of_rows(&trained_on)?, of_rows(&drawn("test_split", &tested))?);
                let likelihood = match self.measures(Measure::Likelihood) {
                    true => Some(
                        Likelihood::new(&train, &test)
                            .map_err(|error| wrong("real", error.to_string()))?,
                    ),
                    false => None,
                };
                let seen = match self.measures(Measure::Memorising) {
                    true => Some(Seen::new(train, test.clone())?),
                    false => None,
                };
                Some(Test { samples: test, seen, likelihood, baseline: None })
            }
            false => None,
        };
        let reference = match self.measures(Measure::Fid) || self.measures(Measure::FidInfinity) {
            true => {
                let moments = Moments::of(&samples).map_err(|e| wrong("real", e.to_string()))?;
                if let Some(note) = singular("real", &moments) {
                    ctx.note(note);
                }
                Some(Reference::new(moments)?)
            }
            false => None,
        };
        Ok(Real { samples, reference, test })
    }

    /// The numbers of the generated samples.
    pub(super) fn measured(
        &self,
        ctx: &Context<Self>,
        split: &str,
        real: &mut Real,
        samples: &Samples,
    ) -> Result<Measured> {
        let told = |error: Error| wrong("generated", format!("split `{split}`: {error}"));
        let Measured { mut found, mut notes } = Measured::default();
        if let Some(reference) = &real.reference {
            let moments = Moments::of(samples).map_err(told)?;
            if self.measures(Measure::Fid) {
                notes.extend(singular("generated", &moments));
                found.push(("fid", reference.distance(&moments)?));
            }
            if self.measures(Measure::FidInfinity) {
                let mut generator = ctx.rng("points");
                match reference.at_infinity(samples, self.points, &mut generator)? {
                    Some(value) => found.push(("fid_infinity", value)),
                    None => notes.push(format!(
                        "fid_infinity is left out: it needs four images for each of {} features, and there are {}",
                        samples.dimension(),
                        samples.len()
                    )),
                }
            }
        }
        ctx.check_cancelled()?;
        if self.measures(Measure::Kid) {
            let kid = kernel_distance::unbiased(&real.samples, samples).map_err(told)?;
            found.push(("kid", kid));
        }
        ctx.check_cancelled()?;
        if self.measures(Measure::KidSubsets) {
            let fewest = real.samples.len().min(samples.len());
            if fewest < self.subset_images {
                notes.push(format!(
                    "kid_mean is left out: subsets are of {} images (`subset_images`), and there are {fewest}",
                    self.subset_images
                ));
            } else {
                let (count, size) = (self.subsets, self.subset_images);
                let mut generator = ctx.rng("subsets");
                let over = kernel_distance::over_subsets(
                    &real.samples,
                    samples,
                    count,
                    size,
                    &mut generator,
                )?;
                found.extend([("kid_mean", over.mean), ("kid_deviation", over.deviation)]);
            }
        }
        ctx.check_cancelled()?;
        if self.measures(Measure::Manifold) {
            // As many of both: coverage of one distribution is 1 − (N / (N + M))^k of N real and M generated samples.
            let even = real.samples.len().min(samples.len());
            let as_many = |set: &Samples, purpose: &str| {
                set.select(&draw(set.len(), even, &mut ctx.rng(purpose)))
            };
            let (of_real, of_generated) =
                (as_many(&real.samples, "manifold, real"), as_many(samples, "manifold, generated"));
            let lie = manifold(&of_real, &of_generated, self.nearest)
                .map_err(|error| Error::parameter("nearest", error.to_string()))?;
            found.extend([("precision", lie.precision), ("recall", lie.recall)]);
            found.extend([("density", lie.density), ("coverage", lie.coverage)]);
        }
        ctx.check_cancelled()?;
        if let Some(test) = &mut real.test {
            if let Some(seen) = &test.seen {
                let near = seen.memorising(samples)?;
                found.push(("nearer_to_train", near.nearer_to_train));
                found.extend(near.distance_ratio.map(|ratio| ("distance_ratio", ratio)));
            }
            ctx.check_cancelled()?;
            if let Some(likelihood) = &test.likelihood {
                let count = likelihood.centres(samples.len());
                let baseline = match test.baseline {
                    Some(baseline) if baseline.centres == count => baseline,
                    _ => likelihood.baseline(count, &mut ctx.rng("baseline"))?,
                };
                test.baseline = Some(baseline);
                if count < samples.len() {
                    notes.push(format!(
                        "fld: {count} of the generated images count, as many as there can be centres of real images"
                    ));
                }
                let centres = draw(samples.len(), count, &mut ctx.rng("generated centres"));
                let divergence = likelihood.divergence(&samples.select(&centres), baseline);
                found.push(("fld", divergence.map_err(told)?));
            }
        }
        Ok(Measured { found, notes })
    }
}

/// What was measured of one split.
#[derive(Default)]
pub(super) struct Measured {
    /// Numbers by name.
    pub(super) found: Vec<(&'static str, f64)>,
    /// What was left out or cannot be trusted.
    pub(super) notes: Vec<String>,
}

fn singular(which: &str, moments: &Moments) -> Option<String> {
    moments.is_singular().then(|| {
        format!(
            "fid: {} {which} images for {} features make no covariance of full rank: the distance is much too large, and says \
             something beside one of as many images alone",
            moments.count(),
            moments.dimension()
        )
    })
}
