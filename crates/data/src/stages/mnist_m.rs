use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, Threads, outputs};
use serde::{Deserialize, Serialize};

use crate::image_set::ImageSet;
use crate::mnist_m::{self, Apart};

/// Builds MNIST-M, the target domain of Ganin et al., "Domain-adversarial training of neural networks" (JMLR 17, 2016):
/// each digit is blended with a piece of a photograph, `|photograph − digit|` in each channel.
///
/// As published, any ink of the digit counts as 255, and photograph and place are drawn at random; here both by the
/// seed, for each digit by its name, so that fewer digits lie on the same pieces. Names, classes and splits stay; the images
/// are RGB, of the digits' size (28 × 28 for MNIST).
///
/// The published photographs are BSDS500's 200 for training:
///
/// ```toml
/// [stage.photograph-files]
/// kind = "fetch"
/// digest = "blake3:5fd365e09665cec72282ebcf0c0e3b3d044a7b9433ef4cf0e26414b41967eb32"
/// sources = ["mirror:bsds500-train.tar#train"]
///
/// [stage]
/// photographs = { kind = "image-folder", files = "photograph-files" }
/// mnist-m = { kind = "mnist-m", images = "mnist", photographs = "photographs" }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MnistM {
    /// The digits: grey, bright on black, all of one size.
    pub images: Input<ImageSet>,
    /// The photographs, each at least as large as a digit; grey ones have three equal channels.
    pub photographs: Input<ImageSet>,
    /// Whether digits of all splits lie on the same photographs, as published (`shared`), or those of `test_split` on
    /// photographs that no others lie on (`disjoint`).
    #[serde(default)]
    pub backgrounds: Backgrounds,
    /// The split whose digits get photographs of their own, where backgrounds are disjoint.
    #[serde(default = "test")]
    pub test_split: String,
    /// The share of the photographs that are theirs, drawn by the seed: at least one photograph, and not all.
    #[serde(default = "quarter")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub test_share: f64,
}

/// Which photographs the digits of the splits lie on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backgrounds {
    /// Digits of all splits on all photographs.
    #[default]
    Shared,
    /// Digits of the test split on photographs of their own.
    Disjoint,
}

fn test() -> String {
    "test".to_owned()
}

fn quarter() -> f64 {
    0.25
}

outputs! { MnistM:
    /// The digits on photographs, with the classes and splits of the digits.
    IMAGES: ImageSet = "images";
}

impl Stage for MnistM {
    const KIND: &'static str = "mnist-m";
    const VERSION: u32 = 1;
    const SEEDED: bool = true;

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, memory: 512 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if !(self.test_share > 0.0 && self.test_share < 1.0) {
            return Err(Error::parameter("test_share", "expected more than 0 and less than 1"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let digits: ImageSet = ctx.input(&self.images)?;
        let photographs: ImageSet = ctx.input(&self.photographs)?;
        let apart = match self.backgrounds {
            Backgrounds::Shared => None,
            Backgrounds::Disjoint => {
                Some(Apart { split: &self.test_split, share: self.test_share })
            }
        };
        let blended = mnist_m::blend(&digits, &photographs, apart, ctx.seed(), |done| {
            ctx.progress(done, digits.len(), "images")
        })?;
        if blended.ink > 0.5 {
            ctx.note(format!(
                "{:.0} % of the digits' pixels are ink: are they dark on white? Expected: bright on black",
                100.0 * blended.ink
            ));
        }
        ctx.metric("images", digits.len() as f64);
        ctx.metric("photographs", photographs.len() as f64);
        if apart.is_some() {
            ctx.metric("test_photographs", blended.apart.len() as f64);
        }
        ctx.write(Self::IMAGES, &blended.images)
    }
}
