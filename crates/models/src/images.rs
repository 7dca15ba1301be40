//! From images to the input of a network: here alone they are decoded, brought to a size, and given mean and deviation.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sconce_core::{Error, Result};
use sconce_data::preprocess::standardise;
use sconce_data::{Channels, Image, ImageSet, Preprocessing};
use sconce_ops::team;

use crate::train::View;

/// The input of one image that has its size already: `(1, channels, height, width)`.
///
/// # Errors
/// When the preprocessing cannot be used or the device has no room.
pub fn input(image: &Image, how: &Preprocessing, device: &Device) -> Result<Tensor> {
    let shape = (1, how.channels.count(), image.height(), image.width());
    Tensor::from_vec(how.normalize(image)?, shape, device).map_err(Error::other)
}

/// Inputs of the images `chosen`, each a batch of one, which may differ in size where `how` has none. So many are decoded
/// in parallel that they are at least `batch`, a multiple of it, and enough for all threads; they are in memory together.
///
/// # Errors
/// The iterator's, when images cannot be decoded: it names all of those that were read together.
pub fn stream<'a>(
    images: &'a ImageSet,
    chosen: &'a [usize],
    batch: usize,
    how: &'a Preprocessing,
    device: &'a Device,
) -> impl Iterator<Item = Result<Vec<Tensor>>> + 'a {
    const AT_LEAST: usize = 32;
    let together = AT_LEAST.next_multiple_of(batch.max(1));
    images.batches(chosen, together, |_, image| input(&how.fit(&image)?, how, device))
}

/// The preprocessing of one grey channel that stands for three equal ones: for a first convolution whose weights were summed
/// over its channels ([`sum_input_channels`](crate::Tensors::sum_input_channels)).
///
/// # Errors
/// When mean or deviation differ between the channels.
pub fn as_grey(how: Preprocessing) -> Result<Preprocessing> {
    let shared = |numbers: &[f32]| numbers.iter().all(|number| Some(number) == numbers.first());
    if !shared(&how.mean) || !shared(&how.std) {
        return Err(Error::parameter(
            "grey",
            format!(
                "`sum` needs one mean and deviation for all channels, but the weights expect {:?} and {:?}; \
                 use `replicate`, or set `preprocessing`",
                how.mean, how.std
            ),
        ));
    }
    Ok(Preprocessing {
        channels: Channels::Grey,
        mean: how.mean[..1].to_vec(),
        std: how.std[..1].to_vec(),
        ..how
    })
}

/// Images in memory, one byte a sample, with their classes; a batch of them is what a network takes.
#[derive(Debug, Clone)]
pub struct Images {
    /// Images × channels × height × width.
    samples: Vec<u8>,
    shape: [usize; 3],
    /// What the network takes for each level of each channel.
    levels: Vec<Vec<f32>>,
    /// Whether each channel of each image has its own mean and deviation taken away.
    instance: bool,
    labels: Vec<u32>,
}

impl Images {
    /// The images `chosen` of a set, brought to the size that `how` says; labels stay empty where the set has none.
    ///
    /// # Errors
    /// When an image cannot be decoded, or they differ in size.
    pub fn load(images: &ImageSet, chosen: &[usize], how: &Preprocessing) -> Result<Self> {
        how.check()?;
        let count = how.channels.count();
        let prepare = |place: usize| -> Result<(usize, usize, Vec<u8>)> {
            let image = how.fit(&images.decode(place)?)?.into_color(how.channels.color());
            let plane = |channel: usize| {
                let at = if how.channels == Channels::Bgr { 2 - channel } else { channel };
                image.samples().iter().skip(at).step_by(count).copied()
            };
            Ok((image.height(), image.width(), (0..count).flat_map(plane).collect()))
        };
        let prepared = chosen.par_iter().map(|&place| prepare(place));
        let prepared = prepared.collect::<Result<Vec<_>>>()?;
        let (height, width) = prepared.first().map_or((0, 0), |first| (first.0, first.1));
        if let Some(i) = prepared.iter().position(|(h, w, _)| (*h, *w) != (height, width)) {
            let (other_height, other_width, _) = prepared[i];
            let id = &images.examples().ids[chosen[i]];
            return Err(Error::parameter(
                "size",
                format!(
                    "image `{id}` is {other_width} × {other_height} pixels, the first {width} × {height}, and the weights \
                     come without a size: expected a number of pixels"
                ),
            ));
        }
        let labels = match images.examples().is_labelled() {
            true => images.examples().labels_of(chosen)?,
            false => Vec::new(),
        };
        let samples = prepared.into_iter().flat_map(|(_, _, samples)| samples).collect();
        Ok(Self {
            samples,
            shape: [count, height, width],
            levels: levels(how)?,
            instance: how.instance,
            labels,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.samples.len() / self.size().max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The class of each image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The images `rows`: `(rows, channels, height, width)`, each as `view` of its place in `rows` says.
    ///
    /// # Errors
    /// When there is no such image, or the device has no room.
    pub fn batch(
        &self,
        rows: &[usize],
        device: &Device,
        view: impl Fn(usize) -> View + Sync,
    ) -> Result<Tensor> {
        let (size, [c, h, w]) = (self.size(), self.shape);
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            return Err(Error::message(format!("no image {row}: there are {}", self.len())));
        }
        let mut values = vec![0f32; rows.len() * size];
        let images = values.chunks_mut(size.max(1)).zip(rows).enumerate();
        team::all(images, |(i, (values, &row))| {
            let samples = &self.samples[row * size..][..size];
            for (plane, samples) in samples.chunks(h * w).enumerate() {
                let levels = &self.levels[plane];
                let values = &mut values[plane * h * w..][..samples.len()];
                for (value, &sample) in values.iter_mut().zip(samples) {
                    *value = levels[usize::from(sample)];
                }
                if self.instance {
                    standardise(values);
                }
            }
            let View { flip, window } = view(i);
            if let Some(window) = window {
                for plane in values.chunks_mut(h * w) {
                    let whole = plane.to_vec();
                    window.scale(&whole, w, plane);
                }
            }
            if flip {
                values.chunks_mut(w).for_each(<[f32]>::reverse);
            }
        });
        Tensor::from_vec(values, (rows.len(), c, h, w), device).map_err(Error::other)
    }

    /// All images, in order: `(images, channels, height, width)`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn all(&self, device: &Device) -> Result<Tensor> {
        let rows: Vec<usize> = (0..self.len()).collect();
        self.batch(&rows, device, |_| View::default())
    }

    /// The classes of the images `rows`: `(rows)` of u32.
    ///
    /// # Errors
    /// When there is no such image, or the images have no classes.
    pub fn classes(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        let class = |&row: &usize| {
            self.labels
                .get(row)
                .copied()
                .ok_or_else(|| Error::message(format!("no class of image {row}")))
        };
        let classes = rows.iter().map(class).collect::<Result<Vec<u32>>>()?;
        Tensor::from_vec(classes, rows.len(), device).map_err(Error::other)
    }
}

/// What [`Preprocessing::normalize`] makes of each level of each channel.
fn levels(how: &Preprocessing) -> Result<Vec<Vec<f32>>> {
    let count = how.channels.count();
    let samples = (0..=255u8).flat_map(|level| std::iter::repeat_n(level, count)).collect();
    let ramp = Image::new(256, 1, how.channels.color(), samples).map_err(Error::other)?;
    // Of all levels together the ramp's own mean and deviation say nothing.
    let how = Preprocessing { instance: false, ..how.clone() };
    Ok(how.normalize(&ramp)?.chunks(256).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
/// Two images of 2 × 4 pixels, not symmetric.
pub(crate) fn squares() -> Images {
    let samples = (0..16u8).map(|i| i * i).collect();
    let levels = vec![(0..=255u8).map(f32::from).collect()];
    Images { samples, shape: [1, 2, 4], levels, instance: false, labels: vec![0, 1] }
}

#[cfg(test)]
mod tests {
    use sconce_data::resize::{Filter, Fit};
    use sconce_data::{Color, Examples};

    use super::*;
    use crate::train::Window;

    #[test]
    fn views_are_cut_scaled_and_mirrored() {
        let left = Window { left: 0, top: 0, width: 2, height: 2 };
        let views = [View { flip: true, window: None }, View { flip: true, window: Some(left) }];
        let x = squares().batch(&[0, 1], &Device::Cpu, |i| views[i]).unwrap();
        let x = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(x[..8], [9.0, 4.0, 1.0, 0.0, 49.0, 36.0, 25.0, 16.0]);
        // 64, 81 and 144, 169 at 0, 1/4, 3/4, 1
        assert_eq!(x[8..], [81.0, 76.75, 68.25, 64.0, 169.0, 162.75, 150.25, 144.0]);
    }

    #[test]
    fn a_batch_is_what_the_preprocessing_makes_of_each_image() {
        let samples: Vec<u8> = (0..2 * 5 * 4 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let examples = Examples { ids: vec!["a".into(), "b".into()], ..Examples::default() };
        let set = ImageSet::packed(examples, Color::Rgb, 5, 4, samples).unwrap();
        for instance in [false, true] {
            let how = Preprocessing {
                channels: Channels::Rgb,
                scale: 1.0,
                mean: vec![0.5, 0.4, 0.3],
                std: vec![0.2, 0.3, 0.4],
                instance,
                size: None,
                fit: Fit::Crop,
                filter: Filter::default(),
            };
            let images = Images::load(&set, &[0, 1], &how).unwrap();
            let x = images.all(&Device::Cpu).unwrap();
            for place in 0..2 {
                let want = how.apply(&set.decode(place).unwrap()).unwrap();
                let got = x.get(place).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(got, want);
                let mean = got[..20].iter().sum::<f32>() / 20.0;
                assert_eq!(mean.abs() < 1e-6, instance, "{mean}");
            }
        }
    }
}
