//! Features of images: a layer's output, pooled, streamed in batches.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use sconce_data::classes::Outputs;
use sconce_data::{Channels, ImageSet, Preprocessing, Weights};
use sconce_models::{LastLayer, Network, Tensors, images};
use serde::{Deserialize, Serialize};

/// How a layer's maps `(channels, height, width)` become features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// All numbers of the maps.
    None,
    /// The mean of each map (global average pooling).
    #[default]
    Gap,
    /// The maximum of each map (global maximum pooling).
    Gmp,
}

/// How grey images enter a network for colour images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grey {
    /// As they are decoded: a grey image has three equal channels.
    #[default]
    Replicate,
    /// As one channel, by summing the first convolution's weights over its channels: a third of that layer's work. It needs
    /// one mean and deviation for all channels, and then gives the same features.
    Sum,
}

/// A network ready to take features from.
pub struct Extractor {
    network: Box<dyn Network>,
    preprocessing: Preprocessing,
    device: Device,
    layer: String,
    pooling: Pooling,
}

impl Extractor {
    /// The network of `weights` on `device`, up to `layer`. `preprocessing` replaces what the weights say.
    ///
    /// # Errors
    /// When the network cannot be loaded, has no such layer or cannot take images of that size, or `grey` does not fit the
    /// preprocessing.
    pub fn new(
        weights: &Weights,
        preprocessing: Preprocessing,
        grey: Grey,
        layer: &str,
        pooling: Pooling,
        device: Device,
    ) -> Result<Self> {
        preprocessing.check()?;
        let weights_size = weights.info.preprocessing.size;
        let architecture = sconce_models::architecture(&weights.info.architecture)?;
        let tensors = Tensors::from_weights(weights, &device)?;
        let mut tensors = sconce_models::fit(architecture, &tensors, LastLayer::Kept)?.tensors;
        let mut preprocessing = preprocessing;
        if grey == Grey::Sum && preprocessing.channels != Channels::Grey {
            preprocessing = images::as_grey(preprocessing)?;
            let first = architecture.first_convolution().unwrap_or_default();
            tensors.sum_input_channels(&first)?;
        }
        let network = architecture.build(&tensors)?;
        if layer == "logits" {
            Outputs { names: &weights.info.classes, count: network.classes() }.check()?;
        }
        let taps = network.taps();
        if !taps.contains(&layer) {
            return Err(Error::parameter(
                "layer",
                format!(
                    "{} has no `{layer}`; there are: {}",
                    network.architecture(),
                    taps.join(", ")
                ),
            ));
        }
        if let Some(size) = preprocessing.size.filter(|size| Some(*size) != weights_size) {
            let channels = preprocessing.channels.count();
            sconce_models::check_size(&*network, ("size", size), channels, layer, &device)?;
        }
        Ok(Self { network, preprocessing, device, layer: layer.to_owned(), pooling })
    }

    /// Features of the images `chosen`, in order. Each time, `rows` is given one row's shape, rows, and the number of images
    /// done so far.
    ///
    /// `batch` images go through the network at a time, counted from the first: the number of threads changes no bit.
    ///
    /// # Errors
    /// When images cannot be decoded (all of those read together are named), or differ in the shape of their features.
    pub fn extract(
        &self,
        set: &ImageSet,
        chosen: &[usize],
        batch: usize,
        mut rows: impl FnMut(&[usize], &[f32], usize) -> Result<()>,
    ) -> Result<()> {
        let batch = batch.max(1);
        let mut shape: Option<Vec<usize>> = None;
        let mut done = 0;
        for inputs in images::stream(set, chosen, batch, &self.preprocessing, &self.device) {
            for inputs in inputs?.chunks(batch) {
                for inputs in inputs.chunk_by(|a, b| a.dims() == b.dims()) {
                    let features = self.features(inputs).map_err(Error::other)?;
                    let expected = shape.get_or_insert_with(|| features.dims()[1..].to_vec());
                    if features.dims()[1..] != *expected {
                        return Err(Error::message(format!(
                            "image `{}`: its features have the shape {:?}, those of the first image {expected:?}; \
                             set `size`, or a pooling",
                            set.examples().ids[chosen[done]],
                            &features.dims()[1..]
                        )));
                    }
                    done += inputs.len();
                    let values = features.flatten_all().and_then(|t| t.to_vec1::<f32>());
                    rows(expected, &values.map_err(Error::other)?, done)?;
                }
            }
        }
        Ok(())
    }

    /// The layer's pooled output for images of one size.
    fn features(&self, inputs: &[Tensor]) -> candle_core::Result<Tensor> {
        let x = Tensor::cat(inputs, 0)?;
        pool(&self.network.forward_to(&x, &self.layer)?, self.pooling)
    }
}

/// Pools maps `(batch, channels, height, width)`; a layer without space is left as it is.
fn pool(maps: &Tensor, pooling: Pooling) -> candle_core::Result<Tensor> {
    if maps.rank() != 4 {
        return Ok(maps.clone());
    }
    match pooling {
        Pooling::None => Ok(maps.clone()),
        Pooling::Gap => sconce_ops::pool::global_avg_pool2d(maps),
        Pooling::Gmp => maps.flatten_from(2)?.max(2),
    }
}
