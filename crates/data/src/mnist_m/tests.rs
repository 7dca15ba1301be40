use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Examples;

const WIDTH: usize = 5;
const HEIGHT: usize = 4;

/// Digits whose ink differs from one to the next, some of it faint; the last quarter are the split `test`.
fn digits(n: usize) -> ImageSet {
    let samples = (0..n * WIDTH * HEIGHT).map(|i| match (i * i + i / 7) % 5 {
        0 => 1,
        1 => 200,
        _ => 0,
    });
    let examples = Examples {
        ids: (0..n).map(|i| format!("digit {i}")).collect(),
        classes: vec!["a".into(), "b".into()],
        labels: (0..n as u32).map(|i| i % 2).collect(),
        splits: vec!["train".into(), "test".into()],
        split: (0..n).map(|i| u32::from(i >= n - n / 4)).collect(),
    };
    ImageSet::packed(examples, Color::Grey, WIDTH, HEIGHT, samples.collect()).unwrap()
}

/// `n` photographs of one size, in which photograph, column and row can be read from any pixel.
fn photographs(n: usize, width: usize, height: usize) -> ImageSet {
    let pixel = |i: usize| {
        let (photograph, y, x) = (i / (width * height), i / width % height, i % width);
        [photograph as u8, x as u8, y as u8]
    };
    let samples = (0..n * width * height).flat_map(pixel).collect();
    let examples =
        Examples { ids: (0..n).map(|i| format!("photo {i}")).collect(), ..Examples::default() };
    ImageSet::packed(examples, Color::Rgb, width, height, samples).unwrap()
}

fn blended(digits: &ImageSet, photographs: &ImageSet, share: Option<f64>, seed: u64) -> Blended {
    let apart = share.map(|share| Apart { split: "test", share });
    blend(digits, photographs, apart, seed, |_| Ok(())).unwrap()
}

/// Photograph, column and row that a result lies on.
fn pieces(blended: &Blended, digits: &ImageSet) -> Vec<[u8; 3]> {
    let piece = |i| {
        let (image, digit) = (blended.images.decode(i).unwrap(), digits.decode(i).unwrap());
        let first = [0, 1, 2].map(|channel| image.samples()[channel]);
        let ink = digit.samples()[0] > 0;
        first.map(|sample| if ink { 255 - sample } else { sample })
    };
    (0..blended.images.len()).map(piece).collect()
}

#[test]
fn a_result_is_the_difference_of_a_piece_and_the_binary_digit() {
    let (digits, photographs) = (digits(24), photographs(3, 9, 11));
    let blended = blended(&digits, &photographs, None, 7);
    assert_eq!(blended.images.examples(), digits.examples());
    assert_eq!(blended.images.color(), Color::Rgb);
    assert_eq!(blended.images.size(), Some((WIDTH, HEIGHT)));
    let mut ink = 0;
    for (i, [photograph, left, top]) in pieces(&blended, &digits).into_iter().enumerate() {
        let (image, digit) = (blended.images.decode(i).unwrap(), digits.decode(i).unwrap());
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let binary = if digit.samples()[y * WIDTH + x] > 0 { 255 } else { 0 };
                ink += binary / 255;
                for (channel, behind) in
                    [photograph, left + x as u8, top + y as u8].iter().enumerate()
                {
                    let found = image.samples()[(y * WIDTH + x) * 3 + channel];
                    assert_eq!(i32::from(found), (i32::from(*behind) - binary).abs());
                }
            }
        }
    }
    assert_eq!(blended.ink, f64::from(ink) / (24 * WIDTH * HEIGHT) as f64);
}

#[test]
fn every_photograph_and_place_is_as_likely() {
    let n = 3600;
    let (digits, photographs) = (digits(n), photographs(3, WIDTH + 3, HEIGHT + 2));
    let mut counts = BTreeMap::new();
    for piece in pieces(&blended(&digits, &photographs, None, 1), &digits) {
        *counts.entry(piece).or_insert(0_i32) += 1;
    }
    // 36 pieces, the last column and row among them, each expected 100 times, with a deviation of 10.
    assert_eq!(counts.len(), 3 * 4 * 3);
    assert!(counts.values().all(|count| (count - 100).abs() < 45), "{counts:?}");
}

#[test]
fn a_digit_s_piece_depends_on_its_name_and_the_seed_alone() {
    let (digits, photographs) = (digits(40), photographs(5, 30, 20));
    let all = blended(&digits, &photographs, None, 0);
    let chosen: Vec<usize> = (0..40).rev().step_by(3).collect();
    let some = blended(&digits.select(&chosen).unwrap(), &photographs, None, 0);
    for (place, &i) in chosen.iter().enumerate() {
        assert_eq!(some.images.decode(place).unwrap(), all.images.decode(i).unwrap());
    }
    let again = blended(&digits, &photographs, None, 0);
    assert_eq!(again.images.digests().unwrap(), all.images.digests().unwrap());
    let other = blended(&digits, &photographs, None, 1);
    let same =
        pieces(&other, &digits).into_iter().zip(pieces(&all, &digits)).filter(|(a, b)| a == b);
    assert!(same.count() < 4);
}

#[test]
fn a_split_can_have_photographs_of_its_own() {
    let (digits, photographs) = (digits(400), photographs(10, 8, 8));
    let mut chosen = BTreeSet::new();
    for (share, expected) in [(0.25, 3), (0.01, 1), (0.99, 9)] {
        for seed in 0..4 {
            let blended = blended(&digits, &photographs, Some(share), seed);
            assert_eq!(blended.apart.len(), expected);
            let on = |split: &str| -> BTreeSet<usize> {
                let places = digits.examples().in_split(split).unwrap();
                let pieces = pieces(&blended, &digits);
                places.into_iter().map(|i| usize::from(pieces[i][0])).collect()
            };
            assert_eq!(on("test"), blended.apart.iter().copied().collect());
            assert!(on("train").is_disjoint(&on("test")));
            assert_eq!(on("train").len() + on("test").len(), 10);
            chosen.insert(blended.apart);
        }
    }
    assert!(chosen.len() > 6, "the seed chooses them: {chosen:?}");
    assert!(blended(&digits, &photographs, None, 0).apart.is_empty());
}

#[test]
fn files_of_any_size_and_colour() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (i, (width, height, color)) in
        [(5, 4, Color::Grey), (90, 40, Color::Rgb), (6, 30, Color::Grey)].into_iter().enumerate()
    {
        let samples = vec![10 * (i as u8 + 1); width * height * color.channels()];
        let path = folder.path().join(i.to_string());
        let png = Image::new(width, height, color, samples).unwrap().to_png().unwrap();
        std::fs::write(&path, png).unwrap();
        paths.push(path);
    }
    let examples =
        Examples { ids: vec!["a".into(), "b".into(), "c".into()], ..Examples::default() };
    let digits = digits(30);
    for color in [Color::Rgb, Color::Grey] {
        let photographs = ImageSet::encoded(examples.clone(), color, paths.clone()).unwrap();
        let pieces = pieces(&blended(&digits, &photographs, None, 0), &digits);
        let found: BTreeSet<_> = pieces.into_iter().collect();
        assert_eq!(found, [10, 20, 30].map(|grey| [grey; 3]).into());
    }
}

#[test]
fn what_cannot_be_blended_is_refused() {
    let refused = |digits: &ImageSet, photographs: &ImageSet, apart: Option<&str>| {
        let apart = apart.map(|split| Apart { split, share: 0.5 });
        blend(digits, photographs, apart, 0, |_| Ok(())).unwrap_err().to_string()
    };
    let digits = digits(8);
    assert_eq!(
        refused(&digits, &photographs(2, WIDTH, HEIGHT - 1), None),
        "2 images cannot be used:\n  photograph `photo 0` is 5 × 3: expected at least 5 × 4, the size of the digits\n  \
         photograph `photo 1` is 5 × 3: expected at least 5 × 4, the size of the digits"
    );
    assert_eq!(
        refused(&photographs(1, WIDTH, HEIGHT), &photographs(1, 9, 9), None),
        "image `photo 0`: expected grey digits, bright on black: this one has colours"
    );
    let one = photographs(1, 9, 9);
    assert_eq!(
        refused(&digits, &one, Some("test")),
        "expected two photographs or more, so that a split has its own; found 1"
    );
    assert_eq!(refused(&digits, &one, Some("dev")), "no split `dev`; there are: train, test");
    let none = one.select(&[]).unwrap();
    assert_eq!(refused(&digits, &none, None), "expected photographs, found none");
    assert_eq!(refused(&none, &one, None), "expected images, found none");
}
