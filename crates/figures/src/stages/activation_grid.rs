//! Kind `activation-grid`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Folder, Input, Resources, Result, Stage, outputs};
use sconce_data::{Features, Figure, ImageSet};
use serde::{Deserialize, Serialize};

use super::{Names, pictures};
use crate::activation::{self, Activations, Normalisation};
use crate::{ColorMap, Words};

/// Draws the activation maps of a layer as a mosaic, for several photographs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationGrid {
    /// Features without pooling: channels × height × width for each photograph.
    pub activations: Input<Features>,
    /// The photographs.
    pub images: Input<ImageSet>,
    /// Names of the photographs that are shown; by default the first `max_images`.
    #[serde(default)]
    pub only: Names,
    /// Images at most.
    #[serde(default = "four")]
    pub max_images: usize,
    /// Maps side by side in a mosaic.
    #[serde(default = "eight")]
    pub maps_across: usize,
    /// Maps of each photograph at most, from the first channel on.
    #[serde(default = "max_maps")]
    pub max_maps: usize,
    /// Whether each map has its own scale or all share one.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// The colours.
    #[serde(default)]
    pub colors: ColorMap,
    /// Mosaics side by side.
    #[serde(default = "two")]
    pub across: usize,
    /// Above the mosaics.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub title: String,
    /// Below the mosaics; by default it says how values became colours.
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    pub caption: String,
    /// Pixels of the PNG for each CSS pixel.
    #[serde(default = "pictures::density")]
    pub density: f64,
    /// Fonts for letters that the bundled ones (Latin, Greek, Cyrillic) lack: a folder of `.ttf` or `.otf` files, such as that
    /// of a stage of kind `file`. Letters that no font has are drawn as boxes, and told.
    #[serde(default)]
    pub fonts: Option<Input<Folder>>,
}

fn two() -> usize {
    2
}

fn four() -> usize {
    4
}

fn eight() -> usize {
    8
}

fn max_maps() -> usize {
    64
}

outputs! { ActivationGrid:
    /// The mosaics as PNG.
    FIGURE: Figure = "figure";
}

impl Stage for ActivationGrid {
    const KIND: &'static str = "activation-grid";
    const VERSION: u32 = 2;

    fn resources(&self) -> Resources {
        Resources { memory: Resources::GIB, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        pictures::check_density(self.density)?;
        for (key, value) in [
            ("max_images", self.max_images),
            ("maps_across", self.maps_across),
            ("max_maps", self.max_maps),
            ("across", self.across),
        ] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        pictures::with_fonts(ctx, &self.fonts, || {
            let features = ctx.input(&self.activations)?;
            let images = ctx.input(&self.images)?;
            let ids = &features.examples().ids;
            let chosen: Vec<usize> = if self.only.is_empty() {
                (0..ids.len().min(self.max_images)).collect()
            } else {
                self.only
                    .0
                    .iter()
                    .map(|id| pictures::place_of("activations", ids, id))
                    .collect::<Result<_>>()?
            };
            let photographs = chosen.iter().map(|row| {
                ctx.check_cancelled()?;
                let id = ids.get(*row).map_or("", String::as_str);
                let place = pictures::place_of("images", &images.examples().ids, id)?;
                Ok(Activations {
                    label: pictures::short_name(id).to_owned(),
                    image: pictures::pixels(&images, place)?,
                    maps: pictures::maps("activations", &features, *row, self.max_maps)?,
                })
            });
            let photographs: Vec<Activations> = photographs.collect::<Result<_>>()?;
            let caption = pictures::or_automatic(&self.caption, || match self.normalisation {
                Normalisation::PerMap => {
                    "Each map on its own scale, from its smallest to its largest value.".to_owned()
                }
                Normalisation::Shared => "All maps on one scale.".to_owned(),
            });
            let grid = activation::ActivationGrid {
                columns: self.maps_across,
                most: self.max_maps,
                across: self.across,
                map: self.colors,
                normalisation: self.normalisation,
                ..activation::ActivationGrid::new(Words::new(&self.title, &caption))
            };
            ctx.write(
                Self::FIGURE,
                &pictures::photograph(
                    "activations",
                    &grid.scene(&photographs)?,
                    self.density,
                    &caption,
                )?,
            )
        })
    }
}
