//! Which class an image is to be taken for.

use rand::RngExt;
use schemars::JsonSchema;
use sconce_core::{Error, Result, random};
use sconce_data::classes::Outputs;
use serde::{Deserialize, Serialize};

use super::{Goal, predicted};

/// The class that an image is to be taken for. The one it is taken for now is what the network predicts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Any other class: the attack is untargeted.
    #[default]
    Any,
    /// The class that follows, by number.
    Next,
    /// Another class, drawn by the seed for each image.
    Random,
    /// The class of the smallest logit (Kurakin et al., "Adversarial machine learning at scale", 2017).
    LeastLikely,
    /// These classes, by name or number, in turn: the first image gets the first. An image that is taken for its class
    /// already gets the next one.
    Classes(Vec<String>),
}

impl Target {
    /// Refuses what names no class.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Classes(classes) if classes.is_empty() => {
                Err(Error::parameter("target.classes", "expected at least one class"))
            }
            _ => Ok(()),
        }
    }

    /// The goal for image number `place`, called `id`, whose logits are given.
    ///
    /// # Errors
    /// When a class is unknown, or there is no other class.
    pub fn goal(
        &self,
        (place, id): (usize, &str),
        logits: &[f32],
        classes: &Outputs<'_>,
        seed: u64,
    ) -> Result<Goal> {
        let now = predicted(logits);
        let count = logits.len();
        if count < 2 {
            return Err(Error::message(format!(
                "expected a network of 2 or more classes, found {count}"
            )));
        }
        let class = match self {
            Self::Any => return Ok(Goal::Leave(now)),
            Self::Next => (now + 1) % count,
            Self::Random => {
                let mut rng = random::generator(seed, &format!("target of {id}"));
                (now + rng.random_range(1..count)) % count
            }
            Self::LeastLikely => {
                let order = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]);
                (0..count).filter(|k| *k != now).min_by(order).unwrap_or(now)
            }
            Self::Classes(names) => {
                let number = |name: &String| classes.number("target.classes", name);
                let numbers = names.iter().map(number).collect::<Result<Vec<_>>>()?;
                if let Some(number) = numbers.iter().find(|number| **number as usize >= count) {
                    let message = format!("expected classes below {count}, found {number}");
                    return Err(Error::parameter("target.classes", message));
                }
                let turns =
                    numbers.iter().cycle().skip(place % numbers.len().max(1)).take(numbers.len());
                let other = turns.map(|number| *number as usize).find(|number| *number != now);
                other.ok_or_else(|| {
                    let message =
                        format!("image `{id}` is taken for it already: expected a second class");
                    Error::parameter("target.classes", message)
                })?
            }
        };
        Ok(Goal::Reach(class))
    }
}
