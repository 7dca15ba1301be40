use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use crate::features::Features;
use crate::split;

/// Splits features anew at random, class by class: `train_per_class` of each class to train,
/// the others to test. With `matrix.repeat = [0, 1, 2, 3, 4]` a result can be given with its deviation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resplit {
    /// The features; their splits are forgotten.
    pub features: Input<Features>,
    /// Examples of each class for training.
    #[schemars(range(min = 1))]
    pub train_per_class: usize,
    /// Examples of each class for testing; by default all the others.
    #[serde(default)]
    pub test_per_class: Option<usize>,
    /// The number of the split: each gives another.
    #[serde(default)]
    pub repeat: u64,
}

outputs! { Resplit:
    /// The features with splits `train` and `test`.
    FEATURES: Features = "features";
}

impl Stage for Resplit {
    const KIND: &'static str = "resplit";
    const VERSION: u32 = 1;
    const SEEDED: bool = true;

    fn check(&self) -> Result<()> {
        for (key, count) in [
            ("train_per_class", Some(self.train_per_class)),
            ("test_per_class", self.test_per_class),
        ] {
            if count == Some(0) {
                return Err(Error::parameter(key, "expected at least 1"));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features: Features = ctx.input(&self.features)?;
        let mut generator = ctx.rng(&format!("split {}", self.repeat));
        let (examples, places) = split::resplit(
            features.examples(),
            self.train_per_class,
            self.test_per_class,
            &mut generator,
        )?;
        features.write_rows(&places, &examples, &ctx.folder(Self::FEATURES))
    }
}
