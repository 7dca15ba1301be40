use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Resources, Result, Stage, outputs, random};
use sconce_data::{
    Column, Examples, Features, FeaturesWriter, ImageSet, SameClasses, Table, Weights,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::concentration::concentration;
use crate::maps::{IntegratedGradients, Method, Occlusion, SmoothGrad, last_tap_with_space};
use crate::{Model, Of, softmax};

/// Explains what a network says of images: a map of how much each pixel counts for a class.
///
/// `method` is usually an axis: `matrix.method = ["saliency", "smoothgrad", "grad-cam"]`. Parameters of a method stand in a
/// table of its name, `smoothgrad = { samples = 100 }`; it is used by the cells of that method alone, and is part of
/// their keys alone.
///
/// The maps of `gradient-x-input`, `integrated-gradients` and `occlusion` have negative numbers, evidence against the
/// class; all others have none, nor those of `integrated-gradients = { smoothgrad = { average = "squares" } }`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaliencyMap {
    /// The images.
    pub images: Input<ImageSet>,
    /// The network's weights.
    pub weights: Input<Weights>,
    /// How the map is made.
    pub method: MethodName,
    /// The class that is explained: the `predicted` or the `true` one.
    #[serde(default)]
    pub of: Of,
    /// Which of the network's classes an images' class is, where no name tells: `{ cat = "tabby", "my fish" = 1 }`. All
    /// others are matched by name, synonym (`goldfish`) or WordNet id (`n01443537`).
    #[serde(default)]
    pub classes: SameClasses,
    /// Weights whose predictions are explained, where they are not `weights`: to compare maps of one class.
    #[serde(default)]
    pub predicted_by: Option<Input<Weights>>,
    /// Parameters of `smoothgrad`.
    #[serde(default)]
    pub smoothgrad: SmoothGrad,
    /// Parameters of `integrated-gradients`.
    #[serde(default, rename = "integrated-gradients")]
    pub integrated_gradients: IntegratedGradients,
    /// Parameters of `grad-cam`.
    #[serde(default, rename = "grad-cam")]
    pub grad_cam: GradCam,
    /// Parameters of `occlusion`.
    #[serde(default)]
    pub occlusion: Occlusion,
    /// The split whose images are explained; empty for all images.
    #[serde(default)]
    pub split: String,
    /// Images at most, taken evenly from the first to the last; by default all.
    #[serde(default)]
    pub max_images: Option<usize>,
    /// The side of the network's square input in pixels; by default the one that the weights come with.
    #[serde(default)]
    pub size: Option<usize>,
    /// Images that go through the network at a time, or variants of one: memory against speed. On the processor it changes no
    /// bit of a result.
    #[serde(default = "eight")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub batch: usize,
}

/// A way to make a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MethodName {
    /// The absolute value of the logit's gradient, largest over channels (Simonyan et al., 2014).
    Saliency,
    /// Saliency of the mean gradient of noisy copies (Smilkov et al., 2017).
    Smoothgrad,
    /// The gradient times the input (Shrikumar et al., 2016).
    GradientXInput,
    /// The gradient along the way from a baseline, times the way (Sundararajan et al., 2017).
    IntegratedGradients,
    /// Saliency of gradients that pass rectifiers only where positive (Springenberg et al., 2015).
    GuidedBackpropagation,
    /// Maps of a layer, weighted by their gradients (Selvaraju et al., 2017).
    GradCam,
    /// How much the logit falls when a square covers the pixel (Zeiler and Fergus, 2014).
    Occlusion,
    /// Sobel's edge detector, a baseline that does not know the network.
    Edges,
    /// Random numbers, a baseline.
    Random,
}

/// Parameters of `grad-cam`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradCam {
    /// The layer whose maps are weighted; by default the last one with height and width.
    #[serde(default)]
    pub tap: Option<String>,
}

const fn eight() -> usize {
    8
}

/// Without the parameters of other methods, which are no part of the key.
impl Serialize for SaliencyMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("images", &self.images)?;
        fields.serialize_entry("weights", &self.weights)?;
        fields.serialize_entry("method", &self.method)?;
        fields.serialize_entry("of", &self.of)?;
        fields.serialize_entry("classes", &self.classes)?;
        fields.serialize_entry("predicted_by", &self.predicted_by)?;
        match self.method {
            MethodName::Smoothgrad => fields.serialize_entry("smoothgrad", &self.smoothgrad)?,
            MethodName::IntegratedGradients => {
                fields.serialize_entry("integrated-gradients", &self.integrated_gradients)?;
            }
            MethodName::GradCam => fields.serialize_entry("grad-cam", &self.grad_cam)?,
            MethodName::Occlusion => fields.serialize_entry("occlusion", &self.occlusion)?,
            _ => {}
        }
        fields.serialize_entry("split", &self.split)?;
        fields.serialize_entry("max_images", &self.max_images)?;
        fields.serialize_entry("size", &self.size)?;
        fields.serialize_entry("batch", &self.batch)?;
        fields.end()
    }
}

outputs! { SaliencyMap:
    /// A map of 1 × height × width for each image.
    MAPS: Features = "maps";
    /// A row for each image: the class that is explained, its probability, the predicted class,
    /// whether that is the true one, the map's concentration, the completeness error of integrated
    /// gradients.
    TABLE: Table = "table";
    /// The images as the network saw them.
    PREPARED: ImageSet = "prepared";
}

impl Stage for SaliencyMap {
    const KIND: &'static str = "saliency-map";
    const VERSION: u32 = 7;
    const SEEDED: bool = true;

    fn seeded(&self) -> bool {
        match self.method {
            MethodName::Smoothgrad | MethodName::Random => true,
            MethodName::IntegratedGradients => self.integrated_gradients.smoothgrad.is_some(),
            _ => false,
        }
    }

    fn resources(&self) -> Resources {
        Resources::heavy(2 * Resources::GIB)
    }

    fn check(&self) -> Result<()> {
        let Occlusion { patch, stride, .. } = self.occlusion;
        for (key, value) in [
            ("batch", self.batch),
            ("size", self.size.unwrap_or(1)),
            ("max_images", self.max_images.unwrap_or(1)),
            ("integrated-gradients.steps", self.integrated_gradients.steps),
            ("occlusion.patch", patch),
            ("occlusion.stride", stride),
        ] {
            if value == 0 {
                return Err(Error::parameter(key, "expected 1 or more, found 0"));
            }
        }
        self.integrated_gradients.baseline.check("integrated-gradients.baseline")?;
        self.occlusion.baseline.check("occlusion.baseline")?;
        self.smoothgrad.check("smoothgrad")?;
        match &self.integrated_gradients.smoothgrad {
            Some(smooth) => smooth.check("integrated-gradients.smoothgrad"),
            None => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let images = self.chosen(ctx.input(&self.images)?)?;
        let device = sconce_models::device(ctx.device())?;
        let model = Model::load(&ctx.input(&self.weights)?, self.size, device.clone())?;
        let judge = match ctx.optional(&self.predicted_by)? {
            Some(weights) => Some(Model::load(&weights, self.size, device)?),
            None => None,
        };
        if images.is_empty() {
            return Err(Error::Input {
                slot: "images".to_owned(),
                message: "expected at least one image".to_owned(),
            });
        }
        let all: Vec<usize> = (0..images.len()).collect();
        let truth = self.truth(ctx, &model, &images)?;
        let method = self.method(&model, &images)?;

        let examples = images.examples();
        let mut writer = None;
        let mut table = Table::new(columns());
        let mut prepared = Vec::new();
        let mut size = (0, 0);
        for places in all.chunks(self.batch) {
            let x = model.inputs(&images, places)?;
            let (_, _, height, width) = x.dims4().map_err(Error::other)?;
            if writer.is_none() {
                size = (width, height);
                let folder = ctx.folder(Self::MAPS);
                writer = Some(FeaturesWriter::create(&folder, examples, &[1, height, width])?);
            } else if size != (width, height) {
                return Err(Error::parameter(
                    "size",
                    "the images have different sizes and the weights come without one: expected a number of pixels",
                ));
            }
            let logits = model.logits(&x).map_err(Error::other)?;
            let probabilities = rows(&softmax(&logits).map_err(Error::other)?)?;
            let predicted = model.predict(&x).map_err(Error::other)?;
            let judged = match &judge {
                Some(judge) => {
                    let x = judge.inputs(&images, places)?;
                    judge.predict(&x).map_err(Error::other)?
                }
                None => predicted.clone(),
            };
            let classes: Vec<u32> = match (self.of, &truth) {
                (Of::True, Some(truth)) => places.iter().map(|&place| truth[place]).collect(),
                _ => judged,
            };
            let mut generators: Vec<_> = places
                .iter()
                .map(|&place| random::generator(ctx.seed(), &examples.ids[place]))
                .collect();
            let explained = method
                .explain(&model, &x, &classes, &mut generators, self.batch)
                .map_err(Error::other)?;
            for (row, (&place, explained)) in places.iter().zip(&explained).enumerate() {
                if let Some(writer) = writer.as_mut() {
                    writer.push(&explained.map)?;
                }
                let class = classes[row] as usize;
                let completeness = explained.completeness.map(|c| c.error());
                table.push(vec![
                    json!(examples.ids[place]),
                    json!(model.class_name(classes[row])),
                    json!(probabilities[row].get(class)),
                    json!(model.class_name(predicted[row])),
                    json!(probabilities[row].get(predicted[row] as usize)),
                    json!(truth.as_ref().map(|truth| model.class_name(truth[place]))),
                    json!(truth.as_ref().map(|truth| truth[place] == predicted[row])),
                    json!(concentration(&explained.map, size.0)),
                    json!(completeness.filter(|error| error.is_finite())),
                ])?;
                prepared.extend_from_slice(model.image(&x, row)?.samples());
            }
            ctx.progress(places.last().map_or(0, |last| last + 1), images.len(), "images")?;
        }
        if let Some(writer) = writer {
            writer.finish()?;
        }
        let color = model.preprocessing().channels.color();
        let examples = Examples { ..examples.clone() };
        ctx.write(Self::PREPARED, &ImageSet::packed(examples, color, size.0, size.1, prepared)?)?;
        ctx.write(Self::TABLE, &table)
    }
}

impl SaliencyMap {
    /// The images of the split, or so many of them.
    fn chosen(&self, images: ImageSet) -> Result<ImageSet> {
        let places = match self.split.as_str() {
            "" => (0..images.len()).collect(),
            split => images.examples().in_split(split)?,
        };
        let count = self.max_images.unwrap_or(places.len()).min(places.len());
        let evenly: Vec<usize> = (0..count).map(|i| places[i * places.len() / count]).collect();
        images.select(&evenly)
    }

    /// The network's classes of the images. Where they are not explained, images may have none, or others.
    fn truth(&self, ctx: &Context, model: &Model, images: &ImageSet) -> Result<Option<Vec<u32>>> {
        let all: Vec<usize> = (0..images.len()).collect();
        let labelled = images.examples().is_labelled();
        if self.of == Of::Predicted && !labelled && self.classes.is_empty() {
            return Ok(None);
        }
        match model.true_classes(images, &all, &self.classes) {
            Err(error) if self.of == Of::Predicted && self.classes.is_empty() => {
                ctx.note(format!("`truth` and `right` stay empty: {error}"));
                Ok(None)
            }
            truth => truth.map(Some),
        }
    }

    fn method(&self, model: &Model, images: &ImageSet) -> Result<Method> {
        Ok(match self.method {
            MethodName::Saliency => Method::Saliency,
            MethodName::Smoothgrad => Method::SmoothGrad(self.smoothgrad),
            MethodName::GradientXInput => Method::GradientXInput,
            MethodName::IntegratedGradients => {
                Method::IntegratedGradients(self.integrated_gradients)
            }
            MethodName::GuidedBackpropagation => Method::GuidedBackpropagation,
            MethodName::GradCam => Method::GradCam(match &self.grad_cam.tap {
                Some(tap) => {
                    let taps = model.network().taps();
                    if !taps.contains(&tap.as_str()) {
                        let name = model.network().architecture();
                        let message =
                            format!("{name} has no `{tap}`; there are: {}", taps.join(", "));
                        return Err(Error::parameter("grad-cam.tap", message));
                    }
                    tap.clone()
                }
                None => last_tap_with_space(model, &model.inputs(images, &[0])?)
                    .map_err(Error::other)?
                    .to_owned(),
            }),
            MethodName::Occlusion => Method::Occlusion(self.occlusion),
            MethodName::Edges => Method::Edges,
            MethodName::Random => Method::Random,
        })
    }
}

fn rows(tensor: &candle_core::Tensor) -> Result<Vec<Vec<f32>>> {
    tensor.to_vec2().map_err(Error::other)
}

fn columns() -> Vec<Column> {
    vec![
        Column::text("image"),
        Column::text("class"),
        Column::decimals("probability", 3),
        Column::text("predicted"),
        Column::decimals("confidence", 3),
        Column::text("truth"),
        Column::boolean("right"),
        Column::decimals("concentration", 3),
        Column::decimals("completeness_error", 4),
    ]
}
