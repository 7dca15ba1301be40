use schemars::JsonSchema;
use sconce_core::{Context, Result, Stage, outputs};
use sconce_data::Table;
use serde::{Deserialize, Serialize};

/// Counts the parameters of a network, layer by layer. It needs no weights.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterTable {
    /// The network: `squeezenet1_1`, `vgg16`, `resnet50`, … An unknown name lists all.
    pub architecture: String,
}

outputs! { ParameterTable:
    /// One row a layer; then the convolutions, the fully connected layers, all.
    TABLE: Table = "table";
}

impl Stage for ParameterTable {
    const KIND: &'static str = "parameter-table";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        crate::architecture(&self.architecture)
            .map(drop)
            .map_err(|error| sconce_core::Error::parameter("architecture", error.to_string()))
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let architecture = crate::architecture(&self.architecture)?;
        ctx.write(Self::TABLE, &crate::parameter_table(architecture)?)
    }
}
