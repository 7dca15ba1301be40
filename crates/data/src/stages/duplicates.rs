use schemars::JsonSchema;
use sconce_core::{Context, Input, Resources, Result, Stage, Threads, outputs};
use serde::{Deserialize, Serialize};

use crate::duplicates;
use crate::image_set::ImageSet;
use crate::metrics::Metrics;
use crate::table::Table;

/// Finds images of the same content, across classes and splits.
///
/// Files are compared byte for byte (by digest), packed images sample for sample: the same
/// picture encoded twice is not found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    /// The images.
    pub images: Input<ImageSet>,
}

outputs! { Duplicates:
    /// One row for each copy: group, image, class, split.
    TABLE: Table = "table";
    /// Images, duplicates (copies beyond the first), and the groups of copies across_splits,
    /// across_classes and across_splits_and_classes.
    METRICS: Metrics = "metrics" ["images", "duplicates", "across_splits", "across_classes", "across_splits_and_classes"];
}

impl Stage for Duplicates {
    const KIND: &'static str = "duplicates";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 128 << 20, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images: ImageSet = ctx.input(&self.images)?;
        let groups = duplicates::groups(&images)?;
        let metrics = duplicates::counts(images.examples(), &groups);
        for (name, value) in &metrics.values {
            ctx.metric(name, *value);
        }
        ctx.write(Self::TABLE, &duplicates::table(images.examples(), &groups)?)?;
        ctx.write(Self::METRICS, &metrics)
    }
}
