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

/// Bytes that the maps of further layers may take in one pass.
const TOGETHER: usize = 1 << 30;

/// A network ready to take features from.
pub struct Extractor {
    network: Box<dyn Network>,
    preprocessing: Preprocessing,
    device: Device,
    /// What the weights say.
    weights_size: Option<usize>,
    classes: Vec<String>,
    taps: Vec<Tap>,
}

/// A layer, and what becomes of its maps.
struct Tap {
    layer: String,
    pooling: Pooling,
    /// The shape of one row, from the first on.
    shape: Option<Vec<usize>>,
    /// Whether its rows go on.
    goes_on: bool,
}

/// Rows that were taken.
#[derive(Debug)]
pub struct Taken<'a> {
    /// 0 for the extractor's own layer; then those of [`Extractor::also`] in turn.
    pub tap: usize,
    /// The shape of one row.
    pub shape: &'a [usize],
    /// Rows, one after the other.
    pub rows: &'a [f32],
    /// The number of images done so far.
    pub done: usize,
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
        let (taps, classes) = (Vec::new(), weights.info.classes.clone());
        let mut extractor = Self { network, preprocessing, device, weights_size, classes, taps };
        extractor.also(layer, pooling)?;
        Ok(extractor)
    }

    /// Takes a further layer in the same pass through the network. It gets the bits that it has alone.
    ///
    /// # Errors
    /// When the network has no such layer, or cannot take images of the size up to there.
    pub fn also(&mut self, layer: &str, pooling: Pooling) -> Result<()> {
        let (network, preprocessing) = (&*self.network, &self.preprocessing);
        if layer == "logits" {
            Outputs { names: &self.classes, count: network.classes() }.check()?;
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
        if let Some(size) = preprocessing.size.filter(|size| Some(*size) != self.weights_size) {
            let channels = preprocessing.channels.count();
            sconce_models::check_size(network, ("size", size), channels, layer, &self.device)?;
        }
        let layer = layer.to_owned();
        self.taps.push(Tap { layer, pooling, shape: None, goes_on: true });
        Ok(())
    }

    /// Features of the images `chosen`, in order, given to `take` by and by.
    ///
    /// `batch` images go through the network at a time, counted from the first: the number of threads changes no bit.
    ///
    /// Returns which of the further layers' rows are whole: those of images that differ in the shape of their features end.
    ///
    /// # Errors
    /// When images cannot be decoded (all of those read together are named), or differ in the shape of their features in the
    /// extractor's own layer.
    pub fn extract(
        mut self,
        set: &ImageSet,
        chosen: &[usize],
        batch: usize,
        mut take: impl FnMut(Taken<'_>) -> Result<()>,
    ) -> Result<Vec<bool>> {
        let batch = batch.max(1);
        let mut done = 0;
        let mut taps = std::mem::take(&mut self.taps);
        let mut looked = false;
        for inputs in images::stream(set, chosen, batch, &self.preprocessing, &self.device) {
            for inputs in inputs?.chunks(batch) {
                for inputs in inputs.chunk_by(|a, b| a.dims() == b.dims()) {
                    done += inputs.len();
                    let first = chosen[done - inputs.len()];
                    if !std::mem::replace(&mut looked, true) {
                        self.drop_large(&inputs[0], batch, &mut taps);
                    }
                    let outputs = match self.features(inputs, &taps) {
                        // It may be for one of them, which is for its own cell to say.
                        Err(_) if taps[1..].iter().any(|tap| tap.goes_on) => {
                            taps[1..].iter_mut().for_each(|tap| tap.goes_on = false);
                            self.features(inputs, &taps)
                        }
                        outputs => outputs,
                    };
                    let outputs = outputs.map_err(Error::other)?;
                    let going = taps.iter_mut().enumerate().filter(|(_, tap)| tap.goes_on);
                    for ((at, tap), features) in going.zip(outputs) {
                        let found = &features.dims()[1..];
                        let shape = tap.shape.get_or_insert_with(|| found.to_vec());
                        if found != *shape {
                            if at > 0 {
                                tap.goes_on = false;
                                continue;
                            }
                            return Err(Error::message(format!(
                                "image `{}`: its features have the shape {found:?}, those of the first image {shape:?}; \
                                 set `size`, or a pooling",
                                set.examples().ids[first],
                            )));
                        }
                        let values = features.flatten_all().and_then(|t| t.to_vec1::<f32>());
                        let rows = &values.map_err(Error::other)?;
                        take(Taken { tap: at, shape, rows, done })?;
                    }
                }
            }
        }
        Ok(taps[1..].iter().map(|tap| tap.goes_on).collect())
    }

    /// Ends further layers until the maps of all, which a pass keeps to its end, are no more than a batch may take.
    fn drop_large(&self, image: &Tensor, batch: usize, taps: &mut [Tap]) {
        let Some((own, further)) = taps.split_first_mut().filter(|(_, more)| !more.is_empty())
        else {
            return;
        };
        let mut left = TOGETHER;
        for tap in further {
            let maps = self.network.forward_taps(image, &[&own.layer, &tap.layer]);
            let bytes = maps.map_or(usize::MAX, |maps| 4 * maps[1].elem_count());
            match left.checked_sub(bytes.saturating_mul(batch)) {
                Some(rest) => left = rest,
                None => tap.goes_on = false,
            }
        }
    }

    /// The pooled outputs, for images of one size, of the layers that go on.
    fn features(&self, inputs: &[Tensor], taps: &[Tap]) -> candle_core::Result<Vec<Tensor>> {
        let x = Tensor::cat(inputs, 0)?;
        let going = || taps.iter().filter(|tap| tap.goes_on);
        let layers: Vec<&str> = going().map(|tap| tap.layer.as_str()).collect();
        let outputs = self.network.forward_taps(&x, &layers)?;
        going().zip(outputs).map(|(tap, maps)| pool(&maps, tap.pooling)).collect()
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
