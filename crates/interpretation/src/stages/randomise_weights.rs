use schemars::JsonSchema;
use sconce_core::{Context, Input, Resources, Result, Stage, outputs};
use sconce_data::Weights;
use sconce_models::Tensors;
use sconce_models::variables::write_weights;
use serde::{Deserialize, Serialize};

use crate::randomise::randomised;

/// Draws the weights of a network's last layers anew, as before training: for the sanity check of explanations.
///
/// `matrix.through = ["conv10", "fire9", …, "conv1"]` is the cascade of Adebayo et al., 2018; through the first layer
/// nothing is left of what was learned.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomiseWeights {
    /// The trained weights.
    pub weights: Input<Weights>,
    /// The layer through which weights are drawn anew, counted from the logits back.
    pub through: String,
}

outputs! { RandomiseWeights:
    /// The network with random last layers.
    WEIGHTS: Weights = "weights";
}

impl Stage for RandomiseWeights {
    const KIND: &'static str = "randomise-weights";
    const VERSION: u32 = 1;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources { memory: Resources::GIB, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let weights = ctx.input(&self.weights)?;
        let device = candle_core::Device::Cpu;
        let tensors = Tensors::from_weights(&weights, &device)?;
        let info = &weights.info;
        let variables =
            randomised(&info.architecture, &tensors, &self.through, ctx.seed(), &device)?;
        let written = write_weights(
            &variables,
            ctx.scratch(),
            &info.architecture,
            &info.preprocessing,
            &info.classes,
        )?;
        ctx.write(Self::WEIGHTS, &written)
    }
}
