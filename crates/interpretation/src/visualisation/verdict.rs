//! What a network sees in a picture.

use candle_core::Tensor;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::Image;
use sconce_data::finite::NotFinite;

use super::picture;
use super::transform::Transforms;
use crate::Model;

/// What a network says of a picture that is to show a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The class's probability.
    pub probability: f64,
    /// The class's place among all, the likeliest being 1.
    pub rank: usize,
    /// The likeliest class.
    pub prediction: u32,
    /// Its probability.
    pub confidence: f64,
}

impl Verdict {
    /// The verdict on one row of probabilities.
    ///
    /// # Errors
    /// When there is no such class, or a probability is not finite.
    pub fn of(probabilities: &[f32], class: u32) -> Result<Self> {
        let Some(&probability) = probabilities.get(class as usize) else {
            return Err(Error::message(format!(
                "class {class}: expected a number below {}",
                probabilities.len()
            )));
        };
        NotFinite::of(probabilities).check(|| "the network's probabilities".to_owned())?;
        let above = probabilities.iter().filter(|&&other| other > probability).count();
        let (prediction, confidence) =
            probabilities.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (place, &p)| {
                if p > best.1 { (place, p) } else { best }
            });
        Ok(Self {
            probability: f64::from(probability),
            rank: above + 1,
            prediction: prediction as u32,
            confidence: f64::from(confidence),
        })
    }
}

/// What `model` says of an 8-bit picture, prepared as its weights ask.
///
/// # Errors
/// When the picture cannot be prepared, or there is no such class.
pub fn verdict(model: &Model, image: &Image, class: u32) -> Result<Verdict> {
    let pixels = picture::pixels(model, &model.preprocessing().fit(image)?)?;
    of_pixels(model, &pixels, class)
}

/// The share of `count` random transforms of a picture in which `class` is still the likeliest.
///
/// # Errors
/// As [`verdict`].
pub fn share_recognised(
    model: &Model,
    image: &Image,
    class: u32,
    transforms: &Transforms,
    count: usize,
    rng: &mut Generator,
) -> Result<f64> {
    let pixels = picture::pixels(model, &model.preprocessing().fit(image)?)?;
    let mut recognised = 0;
    for _ in 0..count {
        let moved = transforms.draw(rng).apply(&pixels, 127.5).map_err(Error::other)?;
        recognised += usize::from(of_pixels(model, &moved, class)?.rank == 1);
    }
    Ok(recognised as f64 / count.max(1) as f64)
}

fn of_pixels(model: &Model, pixels: &Tensor, class: u32) -> Result<Verdict> {
    let probabilities = model
        .to_inputs(pixels)
        .and_then(|inputs| model.probabilities(&inputs)?.flatten_all()?.to_vec1::<f32>())
        .map_err(Error::other)?;
    Verdict::of(&probabilities, class)
}
