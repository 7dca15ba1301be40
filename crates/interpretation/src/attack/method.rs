//! The methods that follow gradients, by name.

use rand::Rng;
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Ascent, Attempt, CarliniWagner, Classifier, DeepFool, Fgsm, Goal, Pgd, Target};

/// A method with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Gradient ascent on the target's logit.
    Ascent(Ascent),
    /// The fast gradient sign method.
    Fgsm(Fgsm),
    /// Projected gradient descent.
    Pgd(Pgd),
    /// DeepFool; untargeted.
    Deepfool(DeepFool),
    /// Carlini and Wagner's L2 attack.
    CarliniWagner(CarliniWagner),
}

impl Method {
    /// Refuses parameters that cannot be used, and a target that the method has no use for.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self, target: &Target) -> Result<()> {
        target.check()?;
        match self {
            Self::Ascent(_) if *target == Target::Any => Err(Error::parameter(
                "target",
                "gradient ascent climbs to a class: expected `next`, `random`, `least-likely` or `classes`",
            )),
            Self::Deepfool(_) if *target != Target::Any => Err(Error::parameter(
                "target",
                "DeepFool goes to the nearest class: expected `any`",
            )),
            Self::Ascent(method) => method.check(),
            Self::Fgsm(method) => method.check(),
            Self::Pgd(method) => method.check(),
            Self::Deepfool(method) => method.check(),
            Self::CarliniWagner(method) => method.check(),
        }
    }

    /// Whether it draws random numbers.
    pub fn is_random(&self) -> bool {
        matches!(self, Self::Pgd(pgd) if pgd.random_start)
    }

    /// Changes `image` towards `goal`.
    ///
    /// # Errors
    /// When the classifier fails, or the method cannot have this goal.
    pub fn run(
        &self,
        classifier: &impl Classifier,
        image: &[f32],
        goal: Goal,
        rng: &mut impl Rng,
    ) -> Result<Attempt> {
        match (self, goal) {
            (Self::Ascent(method), Goal::Reach(class)) => method.run(classifier, image, class),
            (Self::Ascent(_), Goal::Leave(_)) => {
                Err(Error::parameter("target", "gradient ascent climbs to a class: expected one"))
            }
            (Self::Fgsm(method), goal) => method.run(classifier, image, goal),
            (Self::Pgd(method), goal) => method.run(classifier, image, goal, rng),
            (Self::Deepfool(method), _) => method.run(classifier, image),
            (Self::CarliniWagner(method), goal) => method.run(classifier, image, goal),
        }
    }
}
