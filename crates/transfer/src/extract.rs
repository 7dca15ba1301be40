//! Features of images: a layer's output, pooled, streamed in batches.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use sconce_data::{Channels, ImageSet, Preprocessing, Weights};
use sconce_models::{Network, Tensors};
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
    /// When the network cannot be loaded, has no such layer, or `grey` does not fit the preprocessing.
    pub fn new(
        weights: &Weights,
        preprocessing: Preprocessing,
        grey: Grey,
        layer: &str,
        pooling: Pooling,
        device: Device,
    ) -> Result<Self> {
        preprocessing.check()?;
        let mut tensors = Tensors::from_weights(weights, &device)?;
        let mut preprocessing = preprocessing;
        if grey == Grey::Sum && preprocessing.channels != Channels::Grey {
            preprocessing = as_grey(preprocessing)?;
            let name = sconce_models::architecture(&weights.info.architecture)?;
            let name = name.first_convolution().unwrap_or_default();
            tensors.sum_input_channels(&name)?;
        }
        let network = sconce_models::from_tensors(&weights.info.architecture, &tensors)?;
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
        Ok(Self { network, preprocessing, device, layer: layer.to_owned(), pooling })
    }

    /// Features of the images `chosen`, in order. `first` gets one row's shape, then each batch's rows are given to `rows`
    /// with the number of images done. One batch is in memory.
    ///
    /// On the CPU each image goes through the network by itself, so that neither `batch` nor the number of threads
    /// changes a bit; images of a batch run in parallel. On other devices a batch goes as one tensor.
    ///
    /// # Errors
    /// When images cannot be decoded (all of a batch are named), or differ in the shape of their features.
    pub fn extract(
        &self,
        images: &ImageSet,
        chosen: &[usize],
        batch: usize,
        mut rows: impl FnMut(&[usize], &[f32], usize) -> Result<()>,
    ) -> Result<()> {
        let mut shape: Option<Vec<usize>> = None;
        let mut done = 0;
        let input = |i: usize, image| -> Result<(usize, Tensor)> {
            let x = self.input(&image)?;
            // On the CPU the whole way, inside the parallel part.
            Ok((i, if self.device.is_cpu() { self.features(&x)? } else { x }))
        };
        for results in images.batches(chosen, batch, input) {
            let results = results?;
            done += results.len();
            let tensors: Vec<&Tensor> = results.iter().map(|(_, tensor)| tensor).collect();
            let expected = shape.get_or_insert_with(|| tensors[0].dims()[1..].to_vec());
            if let Some((i, other)) = results.iter().find(|(_, t)| t.dims()[1..] != *expected) {
                return Err(Error::message(format!(
                    "image `{}`: its features have the shape {:?}, those of the first image {expected:?}; \
                     set `size`, or a pooling",
                    images.examples().ids[*i],
                    &other.dims()[1..]
                )));
            }
            let mut features = Tensor::cat(&tensors, 0).map_err(Error::other)?;
            if !self.device.is_cpu() {
                features = self.features(&features)?;
            }
            let values = features.flatten_all().and_then(|t| t.to_vec1::<f32>());
            rows(&features.dims()[1..], &values.map_err(Error::other)?, done)?;
        }
        Ok(())
    }

    /// The preprocessed image as a batch of one.
    fn input(&self, image: &sconce_data::Image) -> Result<Tensor> {
        let fitted = self.preprocessing.fit(image)?;
        let (width, height) = (fitted.width(), fitted.height());
        let values = self.preprocessing.normalize(&fitted)?;
        let shape = (1, self.preprocessing.channels.count(), height, width);
        Tensor::from_vec(values, shape, &self.device).map_err(Error::other)
    }

    /// The layer's pooled output.
    fn features(&self, x: &Tensor) -> Result<Tensor> {
        let output = self.network.forward_to(x, &self.layer).map_err(Error::other)?;
        pool(&output, self.pooling).map_err(Error::other)
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

/// The preprocessing of one grey channel that stands for three equal ones.
fn as_grey(preprocessing: Preprocessing) -> Result<Preprocessing> {
    let shared = |numbers: &[f32]| numbers.iter().all(|number| Some(number) == numbers.first());
    if !shared(&preprocessing.mean) || !shared(&preprocessing.std) {
        return Err(Error::parameter(
            "grey",
            format!(
                "`sum` needs one mean and deviation for all channels, but the weights expect {:?} and {:?}; \
                 use `replicate`, or set `preprocessing`",
                preprocessing.mean, preprocessing.std
            ),
        ));
    }
    Ok(Preprocessing {
        channels: Channels::Grey,
        mean: preprocessing.mean[..1].to_vec(),
        std: preprocessing.std[..1].to_vec(),
        ..preprocessing
    })
}
