//! Sets of images that are worse than real ones in a known way: what metrics of generated images are read beside.

use candle_core::{Device, Tensor};
use rand::RngExt;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::{Examples, Image, ImageSet};
use sconce_ops::separable::gaussian_blur;
use std::path::Path;

/// How the samples of pixels of noise are distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noise {
    /// Each of 0 to 255 as often.
    Uniform,
    /// Normal, with this mean and deviation of each channel, cut off at 0 and 255.
    Normal([(f64, f64); 3]),
}

/// Mean and deviation of each channel of `images`, on the scale of 0 to 255. Grey has one channel; the others are of it too.
pub fn moments(images: &[Image]) -> [(f64, f64); 3] {
    std::array::from_fn(|channel| {
        let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
        for image in images {
            let channels = image.color().channels();
            for sample in image.samples().iter().skip(channel % channels).step_by(channels) {
                let sample = u64::from(*sample);
                (count, sum, squares) = (count + 1, sum + sample, squares + sample * sample);
            }
        }
        let mean = sum as f64 / count.max(1) as f64;
        (mean, (squares as f64 / count.max(1) as f64 - mean * mean).max(0.0).sqrt())
    })
}

/// An image of the same shape, every sample of which is drawn.
///
/// # Errors
/// When a deviation is not finite.
pub fn noise(image: &Image, how: Noise, generator: &mut Generator) -> Result<Image> {
    let channels = image.color().channels();
    let samples = match how {
        Noise::Uniform => image.samples().iter().map(|_| generator.random()).collect(),
        Noise::Normal(moments) => {
            let normal = moments.map(|(mean, deviation)| Normal::new(mean, deviation));
            let [a, b, c] = normal;
            let normal =
                [a.map_err(Error::other)?, b.map_err(Error::other)?, c.map_err(Error::other)?];
            let draw = |i: usize| normal[i % channels].sample(generator).round() as u8;
            (0..image.samples().len()).map(draw).collect()
        }
    };
    Image::new(image.width(), image.height(), image.color(), samples).map_err(Error::other)
}

/// The image after a Gaussian blur whose deviation is `share` of its shorter side. The kernel ends at three deviations, or where
/// the image does; samples are rounded.
///
/// # Errors
/// When `share` is not above 0.
pub fn blurred(image: &Image, share: f64) -> Result<Image> {
    let (width, height, channels) = (image.width(), image.height(), image.color().channels());
    let deviation = share * width.min(height) as f64;
    let reach = ((3.0 * deviation).ceil() as usize).min(width.min(height) - 1);
    let samples: Vec<f32> = image.samples().iter().map(|&sample| f32::from(sample)).collect();
    let blur = || -> candle_core::Result<Vec<f32>> {
        let x = Tensor::from_vec(samples, (1, height, width, channels), &Device::Cpu)?;
        let x = x.permute((0, 3, 1, 2))?.contiguous()?;
        let x = gaussian_blur(&x, 2 * reach + 1, deviation)?;
        x.permute((0, 2, 3, 1))?.flatten_all()?.to_vec1()
    };
    let samples = blur().map_err(Error::other)?.into_iter().map(|v| v.round() as u8).collect();
    Image::new(width, height, image.color(), samples).map_err(Error::other)
}

/// A set of images: one tensor where all have one size, else PNG files, which are put into `folder`.
///
/// # Errors
/// When a file cannot be written, or the examples are not as many.
pub fn image_set(examples: Examples, images: &[Image], folder: &Path) -> Result<ImageSet> {
    let Some(first) = images.first() else {
        return Err(Error::message("expected at least one image"));
    };
    let (width, height, color) = (first.width(), first.height(), first.color());
    if images.iter().all(|image| (image.width(), image.height()) == (width, height)) {
        let samples = images.iter().flat_map(|image| image.samples()).copied().collect();
        return ImageSet::packed(examples, color, width, height, samples);
    }
    let files: Vec<_> = (0..images.len()).map(|i| folder.join(format!("{i}.png"))).collect();
    images.par_iter().zip(&files).try_for_each(|(image, file)| {
        std::fs::write(file, image.to_png().map_err(Error::other)?)
            .map_err(|error| Error::io(file, error))
    })?;
    ImageSet::encoded(examples, color, files)
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;
    use sconce_data::Color;

    use super::*;

    fn image(color: Color) -> Image {
        let length = 12 * 10 * color.channels();
        Image::new(12, 10, color, (0..length).map(|i| (i * 37 % 256) as u8).collect()).unwrap()
    }

    #[test]
    fn noise_is_as_it_is_said() {
        let big = Image::new(100, 100, Color::Rgb, vec![7; 30_000]).unwrap();
        let of = |how| noise(&big, how, &mut generator(0, "noise")).unwrap();
        let [uniform, ..] = moments(&[of(Noise::Uniform)]);
        assert!((uniform.0 - 127.5).abs() < 2.5, "{uniform:?}");
        assert!((uniform.1 - 73.9).abs() < 1.5, "{uniform:?}");
        let told = [(100.0, 10.0), (150.0, 20.0), (200.0, 5.0)];
        let found = moments(&[of(Noise::Normal(told))]);
        for (told, found) in told.iter().zip(found) {
            assert!((told.0 - found.0).abs() < 1.0 && (told.1 - found.1).abs() < 0.6, "{found:?}");
        }
        let dark = of(Noise::Normal([(0.0, 50.0); 3]));
        let black = dark.samples().iter().filter(|&&sample| sample == 0).count();
        assert!((14_000..16_500).contains(&black), "{black}");
    }

    /// A blur keeps the mean of what is far from the edge, and each channel to itself.
    #[test]
    fn a_blur_spreads_a_point() {
        let mut samples = vec![0; 21 * 21 * 3];
        samples[(10 * 21 + 10) * 3 + 1] = 255;
        let point = Image::new(21, 21, Color::Rgb, samples).unwrap();
        let found = blurred(&point, 1.0 / 21.0).unwrap();
        let at = |x: usize, y: usize, channel: usize| found.samples()[(y * 21 + x) * 3 + channel];
        // 255 · g(0)², g(0) g(1), g(1)², with g(k) ∝ exp(−k²/2) over k of −3 to 3.
        assert_eq!((at(10, 10, 1), at(11, 10, 1), at(11, 11, 1)), (41, 25, 15));
        assert_eq!((at(10, 10, 0), at(10, 10, 2), at(14, 10, 1)), (0, 0, 0));
    }

    #[test]
    fn images_of_several_sizes_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let other = Image::new(1, 2, Color::Grey, vec![3, 200]).unwrap();
        let examples =
            Examples { ids: vec!["a".to_owned(), "b".to_owned()], ..Examples::default() };
        let images = [image(Color::Grey), other];
        let set = image_set(examples.clone(), &images, folder.path()).unwrap();
        assert_eq!((set.size(), set.decode(1).unwrap()), (None, images[1].clone()));
        let same = [images[0].clone(), images[0].clone()];
        let set = image_set(examples, &same, folder.path()).unwrap();
        assert_eq!((set.size(), set.decode(1).unwrap()), (Some((12, 10)), same[1].clone()));
    }
}
