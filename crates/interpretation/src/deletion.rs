//! Deletion and insertion: does the probability of a class go and come with the pixels that a map names first?

use candle_core::{Result, Tensor};
use rand::seq::SliceRandom as _;
use sconce_core::random::generator;

use crate::maps::{Baseline, blurred};
use crate::{Model, softmax};

/// How curves are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curves {
    /// Steps from no pixel to all of them.
    pub steps: usize,
    /// What deleted pixels show.
    pub baseline: Baseline,
    /// Deviation in pixels of the Gaussian blur that insertion begins with.
    pub blur: f64,
    /// Side in pixels of the squares that go and come as one.
    pub patch: usize,
    /// Whether numbers count without their signs.
    pub magnitude: bool,
}

/// The probability of a class as a map's pixels go and come, `steps + 1` numbers each.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// After the first `k / steps` of the pixels were deleted. Low is good.
    pub deletion: Vec<f32>,
    /// After the first `k / steps` of the pixels were put into the blurred image. High is good.
    pub insertion: Vec<f32>,
}

/// The curves of one input `(1, channels, height, width)` under `map`, whose largest numbers come first.
///
/// Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation", 2018, section 4: deletion replaces pixels by
/// one colour, insertion begins with a blurred image. Pixels of equal numbers come in a random order that is always the
/// same, so that none of an image's sides comes first.
///
/// With a patch of more than one pixel, squares come in the order of the means of their numbers: region perturbation, Samek
/// et al., "Evaluating the visualization of what a deep neural network has learned", 2017, section III. Single pixels
/// that are strewn over an image make a texture that no image has, which the network may react to instead.
///
/// With `magnitude` what speaks against the class comes as early as what speaks for it: what matters, not in which
/// direction.
///
/// # Errors
/// When the map is not of the input's size, there is no such class, or the blur is larger than the image.
pub fn curves(
    model: &Model,
    x: &Tensor,
    class: u32,
    map: &[f32],
    how: &Curves,
    batch: usize,
) -> Result<Curve> {
    let (_, _, height, width) = x.dims4()?;
    if map.len() != height * width || how.steps == 0 || how.patch == 0 {
        candle_core::bail!(
            "expected a map of {height} × {width}, at least one step and a patch of a pixel, found {} numbers, {} and {}",
            map.len(),
            how.steps,
            how.patch
        );
    }
    let magnitudes: Vec<f32> = map.iter().map(|number| number.abs()).collect();
    let order = order(if how.magnitude { &magnitudes } else { map }, width, how.patch);
    let bare = how.baseline.input(model, x)?;
    let blurred = blurred(x, how.blur)?;
    Ok(Curve {
        deletion: walk(model, x, &bare, class, &order, how.steps, batch)?,
        insertion: walk(model, &blurred, x, class, &order, how.steps, batch)?,
    })
}

/// Places of the map's numbers, square by square, those of the largest mean first.
fn order(map: &[f32], width: usize, patch: usize) -> Vec<usize> {
    let across = width.div_ceil(patch);
    let mut patches: Vec<(f64, Vec<usize>)> = Vec::new();
    patches.resize_with(across * (map.len() / width).div_ceil(patch), Default::default);
    for (place, number) in map.iter().enumerate() {
        let (sum, places) = &mut patches[place / width / patch * across + place % width / patch];
        *sum += f64::from(*number);
        places.push(place);
    }
    // Those at the right and the lower edge may be smaller.
    for (sum, places) in &mut patches {
        *sum /= places.len() as f64;
    }
    patches.shuffle(&mut generator(0, "order of equal numbers"));
    patches.sort_by(|a, b| b.0.total_cmp(&a.0));
    patches.into_iter().flat_map(|(_, places)| places).collect()
}

/// Probabilities of `class` on the way from one image to another, pixel by pixel.
fn walk(
    model: &Model,
    from: &Tensor,
    to: &Tensor,
    class: u32,
    order: &[usize],
    steps: usize,
    batch: usize,
) -> Result<Vec<f32>> {
    let (_, channels, height, width) = from.dims4()?;
    let mut now = from.flatten_all()?.to_vec1::<f32>()?;
    let to = to.flatten_all()?.to_vec1::<f32>()?;
    let mut done = 0;
    let mut found = Vec::with_capacity(steps + 1);
    let all: Vec<usize> = (0..=steps).collect();
    for steps_of_batch in all.chunks(batch.max(1)) {
        let mut inputs = Vec::with_capacity(steps_of_batch.len() * now.len());
        for step in steps_of_batch {
            let end = order.len() * step / steps;
            for &pixel in &order[done..end] {
                for at in (0..channels).map(|channel| channel * height * width + pixel) {
                    now[at] = to[at];
                }
            }
            done = end;
            inputs.extend_from_slice(&now);
        }
        let shape = (steps_of_batch.len(), channels, height, width);
        let inputs = Tensor::from_vec(inputs, shape, from.device())?;
        for row in softmax(&model.logits(&inputs)?)?.to_vec2::<f32>()? {
            match row.get(class as usize) {
                Some(probability) => found.push(*probability),
                None => candle_core::bail!("expected a class below {}, found {class}", row.len()),
            }
        }
    }
    Ok(found)
}

/// The area under a curve over 0 to 1 by the trapezoidal rule.
pub fn area(curve: &[f32]) -> f64 {
    let pairs = curve.windows(2).map(|pair| f64::from(pair[0] + pair[1]) / 2.0);
    pairs.sum::<f64>() / curve.len().saturating_sub(1).max(1) as f64
}

#[cfg(test)]
mod tests {
    use sconce_ops::separable::gaussian_blur;

    use super::*;
    use crate::testing::{cat_input, model, numbers};

    #[test]
    fn areas_are_trapezia() {
        assert_eq!(area(&[1.0, 0.0]), 0.5);
        assert!((area(&[0.0, 1.0, 1.0, 0.0, 0.0]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn curves_begin_and_end_where_they_should() {
        let model = model(96);
        let x = cat_input(&model);
        let how =
            Curves { steps: 4, baseline: Baseline::Black, blur: 5.0, patch: 1, magnitude: false };
        let left_first: Vec<f32> = (0..96 * 96).map(|at| 96.0 - (at % 96) as f32).collect();
        let curve = curves(&model, &x, 285, &left_first, &how, 2).unwrap();
        assert_eq!((curve.deletion.len(), curve.insertion.len()), (5, 5));
        // The batch is in no key.
        for batch in [1, 5] {
            assert_eq!(curves(&model, &x, 285, &left_first, &how, batch).unwrap(), curve);
        }
        let p = |x: &Tensor| numbers(&model.probabilities(x).unwrap())[285];
        let black = Baseline::Black.input(&model, &x).unwrap();
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-4, "{a} {b}");
        close(curve.deletion[0], p(&x));
        close(curve.insertion[4], p(&x));
        close(curve.deletion[4], p(&black));
        close(curve.insertion[0], p(&gaussian_blur(&x, 31, 5.0).unwrap()));
        // Signs do not matter where they are dropped.
        let negative: Vec<f32> = left_first.iter().map(|number| -number).collect();
        let magnitude = Curves { magnitude: true, ..how };
        assert_eq!(curves(&model, &x, 285, &negative, &magnitude, 2).unwrap(), curve);
        assert_ne!(curves(&model, &x, 285, &negative, &how, 2).unwrap(), curve);
        // After half of the steps the left half is black.
        let half = Tensor::cat(&[black.narrow(3, 0, 48).unwrap(), x.narrow(3, 48, 48).unwrap()], 3);
        close(curve.deletion[2], p(&half.unwrap()));
        assert!(curves(&model, &x, 285, &left_first[1..], &how, 2).is_err());
        assert!(curves(&model, &x, 1000, &left_first, &how, 2).is_err());
    }

    #[test]
    fn equal_numbers_come_in_no_direction() {
        let order = order(&[0.0; 100], 10, 1);
        let mean = |places: &[usize]| places.iter().sum::<usize>() as f64 / places.len() as f64;
        assert!((mean(&order[..50]) - 49.5).abs() < 15.0, "{order:?}");
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(super::order(&[1.0, 3.0, -2.0, 2.0], 2, 1), [1, 3, 0, 2]);
    }

    #[test]
    fn squares_come_by_their_means() {
        // 3 × 5 in squares of 2: the last column and the last row are in smaller ones.
        let map = [
            0.0, 9.0, 0.0, 0.0, 4.0, //
            0.0, -5.0, 0.0, 0.0, 4.0, //
            2.0, 2.0, 3.0, -9.0, 5.0,
        ];
        assert_eq!(order(&map, 5, 2), [14, 4, 9, 10, 11, 0, 1, 5, 6, 2, 3, 7, 8, 12, 13]);
        assert_eq!(order(&map, 5, 9), (0..15).collect::<Vec<_>>());
    }
}
