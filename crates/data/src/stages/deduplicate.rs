use schemars::JsonSchema;
use sconce_core::{Context, Input, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use crate::duplicates;
use crate::features::Features;
use crate::table::Table;

/// Leaves out the features of images that are copies of others, as kind `duplicates` found them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deduplicate {
    /// The features.
    pub features: Input<Features>,
    /// The table of kind `duplicates` for the same images.
    pub duplicates: Input<Table>,
    /// What is left out.
    #[serde(default)]
    pub drop: Drop,
}

/// What is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drop {
    /// An image that an earlier split has: test images that were trained on.
    #[default]
    AcrossSplits,
    /// All copies but the first, earlier splits before later ones.
    All,
}

outputs! { Deduplicate:
    /// The features without the copies.
    FEATURES: Features = "features";
}

impl Stage for Deduplicate {
    const KIND: &'static str = "deduplicate";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features: Features = ctx.input(&self.features)?;
        let table: Table = ctx.input(&self.duplicates)?;
        let across_splits = self.drop == Drop::AcrossSplits;
        let kept = duplicates::kept(features.examples(), &table, across_splits)?;
        ctx.metric("dropped", (features.len() - kept.len()) as f64);
        let examples = features.examples().select(&kept);
        features.write_rows(&kept, &examples, &ctx.folder(Self::FEATURES))
    }
}
