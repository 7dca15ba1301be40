//! The methods by name, and their numbers.

use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the target's images without labels are used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// Not at all: cross-entropy of the source's labels. Where batch statistics are kept apart, the target's images move the
    /// target's (Li et al., "Revisiting batch normalization for practical domain adaptation", 2016).
    SourceOnly {},
    /// A head that tells the domains apart, behind a reversal of gradients (Ganin et al., 2016).
    Dann(Dann),
    /// The distance of the covariances of the label head's last hidden layer (Sun and Saenko, "Deep CORAL", 2016).
    Coral(Distance),
    /// The distance of the means of the label head's last hidden layer in a kernel's space (Long et al., "Learning
    /// transferable features with deep adaptation networks", 2015).
    Mmd(Distance),
    /// The network's own sure predictions on the target as labels (Lee, "Pseudo-label", 2013).
    PseudoLabels(PseudoLabels),
    /// DANN with conditional entropy and virtual adversarial training on both domains (Shu et al., "A DIRT-T approach to
    /// unsupervised domain adaptation", 2018, eq. 8).
    Vada(Vada),
    /// Refinement of `weights` on the target alone, held near a slowly refreshed teacher (the same, eq. 14).
    DirtT(DirtT),
}

/// The numbers of a method that makes a distance of the domains small.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Distance {
    /// The largest weight of the distance beside the labels' cross-entropy.
    pub weight: f64,
    /// How the weight grows. Where it does not, layers can become the same for all images before they have learned anything.
    pub growth: Growth,
}

impl Default for Distance {
    fn default() -> Self {
        Self { weight: 1.0, growth: Growth::default() }
    }
}

/// The numbers of DANN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dann {
    /// What the schedule is multiplied by: the largest factor λ of the reversed gradient.
    pub strength: f64,
    /// How the strength grows.
    pub growth: Growth,
    /// Whether the gradient of the domain head is reversed on its way to the features; if not, they learn to tell the
    /// domains apart.
    pub reversed: bool,
}

impl Default for Dann {
    fn default() -> Self {
        Self { strength: 1.0, growth: Growth::default(), reversed: true }
    }
}

/// How the strength of the reversal, or the weight of a distance, grows over training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Growth {
    /// It does not.
    Constant {},
    /// `2 / (1 + exp(−γ p)) − 1`, where `p` goes from 0 to 1. The paper has γ = 10; with γ = 2 it ends at 0.762.
    Sigmoid {
        /// γ.
        #[serde(default = "ten")]
        gamma: f64,
    },
}

fn ten() -> f64 {
    10.0
}

impl Default for Growth {
    fn default() -> Self {
        Self::Sigmoid { gamma: ten() }
    }
}

impl Growth {
    /// The factor after the part `p` of the training, 0 to 1.
    pub fn factor(self, p: f64) -> f64 {
        match self {
            Self::Constant {} => 1.0,
            Self::Sigmoid { gamma } => 2.0 / (1.0 + (-gamma * p).exp()) - 1.0,
        }
    }
}

/// The numbers of training on pseudo-labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PseudoLabels {
    /// The probability that a prediction has to reach before it counts as a label; 0 takes all. No label of the target
    /// decides it.
    pub threshold: f64,
    /// Epochs after which the target is labelled anew; 0 labels it once, before the training.
    pub refresh: usize,
    /// Weight of the cross-entropy of pseudo-labels beside that of the source's labels.
    pub weight: f64,
}

impl Default for PseudoLabels {
    fn default() -> Self {
        Self { threshold: 0.9, refresh: 1, weight: 1.0 }
    }
}

/// The numbers of VADA; the authors' for MNIST → SVHN where nothing is said. They perturb images in [−1, 1] before anything
/// else is done to them; here a radius is in the units of the network's input, and with MNIST's deviation of .3081 a length of 3.5
/// is one of 2.16 in theirs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vada {
    /// Weight of deceiving the domain head.
    pub domain: f64,
    /// Weight of virtual adversarial training on the source.
    pub source: f64,
    /// Weight of conditional entropy and virtual adversarial training on the target.
    pub target: f64,
    /// Euclidean length of the perturbation of an image.
    pub radius: f64,
}

impl Default for Vada {
    fn default() -> Self {
        Self { domain: 0.01, source: 1.0, target: 0.01, radius: 3.5 }
    }
}

/// The numbers of DIRT-T; the authors' where nothing is said. The student begins with the weights that the stage before wrote (its
/// average, if it has one), and with an optimiser that knows nothing; the authors go on with VADA's own weights and optimiser.
/// Where batch statistics are apart, the source's images move the source's and nothing else: the authors do not look at the
/// source any more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DirtT {
    /// Weight of conditional entropy and virtual adversarial training on the target.
    pub target: f64,
    /// Weight of the distance to the teacher's predictions.
    pub teacher: f64,
    /// Updates after which the averaged weights become the new teacher.
    pub refresh: usize,
    /// Euclidean length of the perturbation of an image.
    pub radius: f64,
}

impl Default for DirtT {
    fn default() -> Self {
        Self { target: 0.01, teacher: 0.01, refresh: 5000, radius: 3.5 }
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::Dann(Dann::default())
    }
}

impl Method {
    /// Its name in a pipeline file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SourceOnly {} => "source-only",
            Self::Dann(_) => "dann",
            Self::Coral(_) => "coral",
            Self::Mmd(_) => "mmd",
            Self::PseudoLabels(_) => "pseudo-labels",
            Self::Vada(_) => "vada",
            Self::DirtT(_) => "dirt-t",
        }
    }

    /// Whether it goes on from weights that were trained before.
    pub fn needs_weights(&self) -> bool {
        matches!(self, Self::PseudoLabels(_) | Self::DirtT(_))
    }

    /// Whether an update depends on how long the training will be.
    pub fn needs_total(&self) -> bool {
        let growth = match *self {
            Self::Dann(Dann { growth, .. }) => growth,
            Self::Coral(Distance { growth, .. }) | Self::Mmd(Distance { growth, .. }) => growth,
            _ => Growth::Constant {},
        };
        growth != Growth::Constant {}
    }

    /// Refuses numbers that cannot be used.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the path of the number: `method.dann.strength`.
    pub fn check(&self) -> Result<()> {
        let name = self.name();
        let within = |key: &str, value: f64, most: f64| {
            if (0.0..=most).contains(&value) {
                return Ok(());
            }
            let upper = if most < f64::MAX { format!(" to {most}") } else { " or more".into() };
            let found = format!("expected 0{upper}, got {value}");
            Err(Error::parameter(format!("method.{name}.{key}"), found))
        };
        let any = f64::MAX;
        let grows = |growth: Growth| match growth {
            Growth::Constant {} => Ok(()),
            Growth::Sigmoid { gamma } => within("growth.sigmoid.gamma", gamma, any),
        };
        let radius_of = |radius: f64| match radius > 0.0 && radius.is_finite() {
            true => Ok(()),
            false => Err(Error::parameter(
                format!("method.{name}.radius"),
                format!("expected above 0, got {radius}"),
            )),
        };
        match *self {
            Self::SourceOnly {} => Ok(()),
            Self::Dann(Dann { strength, growth, .. }) => {
                within("strength", strength, any)?;
                grows(growth)
            }
            Self::Coral(Distance { weight, growth }) | Self::Mmd(Distance { weight, growth }) => {
                within("weight", weight, any)?;
                grows(growth)
            }
            Self::PseudoLabels(PseudoLabels { threshold, weight, .. }) => {
                within("threshold", threshold, 1.0)?;
                within("weight", weight, any)
            }
            Self::Vada(Vada { domain, source, target, radius }) => {
                within("domain", domain, any)?;
                within("source", source, any)?;
                within("target", target, any)?;
                radius_of(radius)
            }
            Self::DirtT(DirtT { target, teacher, refresh, radius }) => {
                within("target", target, any)?;
                within("teacher", teacher, any)?;
                radius_of(radius)?;
                if refresh == 0 {
                    return Err(Error::parameter(
                        "method.dirt-t.refresh",
                        "expected at least 1, got 0",
                    ));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strength_grows_as_the_paper_says() {
        let ten = Growth::default();
        assert_eq!(ten.factor(0.0), 0.0);
        assert!((ten.factor(0.1) - 0.462117157).abs() < 1e-9);
        assert!(ten.factor(1.0) > 0.9999);
        let two = Growth::Sigmoid { gamma: 2.0 };
        assert!((two.factor(1.0) - 0.761594156).abs() < 1e-9);
        assert_eq!(Growth::Constant {}.factor(0.3), 1.0);
    }

    #[test]
    fn numbers_that_cannot_be_used_are_refused_by_their_path() {
        let wrong = [
            (serde_json::json!({ "dann": { "strength": -1.0 } }), "method.dann.strength"),
            (serde_json::json!({ "coral": { "weight": -1.0 } }), "method.coral.weight"),
            (
                serde_json::json!({ "pseudo-labels": { "threshold": 1.5 } }),
                "method.pseudo-labels.threshold",
            ),
            (serde_json::json!({ "dirt-t": { "refresh": 0 } }), "method.dirt-t.refresh"),
        ];
        for (json, path) in wrong {
            let method: Method = serde_json::from_value(json).unwrap();
            let error = method.check().unwrap_err().to_string();
            assert!(error.contains(path), "{error}");
        }
        Method::default().check().unwrap();
    }
}
