//! 2 × 2 mosaics, in which the place of each class is known without boxes: the pointing game.

use rand::seq::SliceRandom as _;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};
use sconce_data::{Color, Image};

/// Names of the quarters, in the order of reading.
pub const QUARTERS: [&str; 4] = ["top-left", "top-right", "bottom-left", "bottom-right"];

/// `count` choices of four images with four different classes, each image about equally often; `classes` are those of the
/// images.
///
/// # Errors
/// When there are fewer than four classes.
pub fn draw(classes: &[u32], count: usize, rng: &mut Generator) -> Result<Vec<[usize; 4]>> {
    let mut distinct = classes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 4 {
        return Err(Error::message(format!(
            "a mosaic needs images of 4 different classes that can be explained, found {}",
            distinct.len()
        )));
    }
    // Images come from a shuffled pile; one whose class is taken waits for the next mosaic.
    let mut pile: Vec<usize> = Vec::new();
    let mut drawn = Vec::with_capacity(count);
    for _ in 0..count {
        let mut chosen: Vec<usize> = Vec::with_capacity(4);
        while chosen.len() < 4 {
            let fits = |&image: &usize| !chosen.iter().any(|&c| classes[c] == classes[image]);
            match pile.iter().position(fits) {
                Some(place) => chosen.push(pile.remove(place)),
                None => {
                    let mut more: Vec<usize> = (0..classes.len()).collect();
                    more.shuffle(rng);
                    pile.extend(more);
                }
            }
        }
        // Not in the order of the pile, so that no image has a quarter of its own.
        chosen.shuffle(rng);
        drawn.push([chosen[0], chosen[1], chosen[2], chosen[3]]);
    }
    Ok(drawn)
}

/// Four images of one size as quarters of one.
///
/// # Errors
/// When their sizes or colours differ.
pub fn mosaic(quarters: &[Image; 4]) -> Result<Image> {
    let (width, height) = (quarters[0].width(), quarters[0].height());
    let color = quarters[0].color();
    let alike =
        |image: &Image| (image.width(), image.height(), image.color()) == (width, height, color);
    if !quarters.iter().all(alike) {
        return Err(Error::message("expected four images of one size and colour"));
    }
    let row = width * if color == Color::Grey { 1 } else { 3 };
    let mut samples = Vec::with_capacity(4 * row * height);
    for pair in quarters.chunks(2) {
        for y in 0..height {
            for image in pair {
                samples.extend_from_slice(&image.samples()[y * row..(y + 1) * row]);
            }
        }
    }
    Image::new(2 * width, 2 * height, color, samples).map_err(Error::other)
}

/// How well a map of a mosaic points to a quarter: whether its largest number lies there (shared, where several numbers
/// are largest), and the share of its positive numbers' sum that lies there (none where there is no positive number).
///
/// The pointing game: Zhang et al., "Top-down neural attention by excitation backprop", 2016; the share on mosaics: Böhle,
/// Fritz and Schiele, "Convolutional dynamic alignment networks", 2021.
pub fn points(map: &[f32], width: usize, quarter: usize) -> (f64, Option<f64>) {
    let height = map.len() / width.max(1);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut largest, mut hits, mut all, mut inside) = (0.0, 0.0, 0.0, 0.0);
    for (at, &value) in map.iter().enumerate() {
        let (y, x) = (at / width.max(1), at % width.max(1));
        let here = 2 * usize::from(y >= height / 2) + usize::from(x >= width / 2) == quarter;
        let (peak, mass) = (f64::from(u8::from(value == most)), f64::from(value.max(0.0)));
        largest += peak;
        all += mass;
        if here {
            hits += peak;
            inside += mass;
        }
    }
    (if largest > 0.0 { hits / largest } else { 0.0 }, (all > 0.0).then(|| inside / all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::random::generator;

    #[test]
    fn four_classes_and_every_image() {
        let classes = [3, 3, 7, 8, 9, 9, 9];
        let drawn = draw(&classes, 40, &mut generator(1, "mosaics")).unwrap();
        let mut uses = [0; 7];
        for chosen in &drawn {
            let mut found: Vec<u32> = chosen.iter().map(|&image| classes[image]).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), 4);
            chosen.iter().for_each(|&image| uses[image] += 1);
        }
        assert!(uses.iter().all(|&n| n > 5), "{uses:?}");
        assert_ne!(drawn, draw(&classes, 40, &mut generator(2, "mosaics")).unwrap());
        assert!(draw(&[1, 2, 3, 3], 1, &mut generator(1, "")).is_err());
    }

    #[test]
    fn quarters_lie_where_they_are_called() {
        let image = |v: u8| Image::new(2, 1, Color::Grey, vec![v, v + 1]).unwrap();
        let whole = mosaic(&[image(0), image(10), image(20), image(30)]).unwrap();
        assert_eq!((whole.width(), whole.height()), (4, 2));
        assert_eq!(whole.samples(), [0, 1, 10, 11, 20, 21, 30, 31]);
        let other = Image::new(1, 1, Color::Grey, vec![1]).unwrap();
        assert!(mosaic(&[image(0), image(1), image(2), other]).is_err());
    }

    #[test]
    fn a_map_points_to_a_quarter() {
        // 4 × 2: the bottom right quarter has the peak and 5 of 8.
        let map = [1.0, 0.0, -9.0, 2.0, 0.0, 0.0, 4.0, 1.0];
        assert_eq!(points(&map, 4, 3), (1.0, Some(0.625)));
        assert_eq!(points(&map, 4, 1), (0.0, Some(0.25)));
        assert_eq!(points(&[0.0; 8], 4, 2), (0.25, None));
    }
}
