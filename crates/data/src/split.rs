//! Seeded choices among examples: splits and samples, class by class.

use rand_chacha::rand_core::Rng;
use sconce_core::random::Generator;
use sconce_core::{Error, Result};

use crate::examples::Examples;

/// Shuffles `items` (Fisher and Yates; every order is equally likely).
pub fn shuffle<T>(items: &mut [T], generator: &mut Generator) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(i as u64 + 1, generator) as usize);
    }
}

/// A number below `n`, all equally likely (rejection of the incomplete last range).
pub(crate) fn below(n: u64, generator: &mut Generator) -> u64 {
    let limit = u64::MAX - u64::MAX % n;
    loop {
        let number = generator.next_u64();
        if number < limit {
            return number % n;
        }
    }
}

/// The places of each class's examples among `chosen`, in order.
fn by_class(examples: &Examples, chosen: &[usize]) -> Result<Vec<Vec<usize>>> {
    let labels = examples.labels_of(chosen)?;
    let mut classes = vec![Vec::new(); examples.classes.len()];
    for (&i, label) in chosen.iter().zip(labels) {
        classes[label as usize].push(i);
    }
    Ok(classes)
}

/// A seeded sample of `per_class` examples of each class (all, where a class has fewer), of one
/// split or of all: for each class the places, in order.
pub fn sample_per_class(
    examples: &Examples,
    split: Option<&str>,
    per_class: usize,
    generator: &mut Generator,
) -> Result<Vec<Vec<usize>>> {
    let chosen = match split {
        Some(split) => examples.in_split(split)?,
        None => (0..examples.len()).collect(),
    };
    let mut classes = by_class(examples, &chosen)?;
    for class in &mut classes {
        shuffle(class, generator);
        class.truncate(per_class);
        class.sort_unstable();
    }
    Ok(classes)
}

/// A seeded stratified split of all examples, whatever their splits were: `train` of each class
/// become `train`, and `test` of each class (none: all the others) become `test`.
///
/// Returns the examples that are in a split, with their new splits, and their places.
pub fn resplit(
    examples: &Examples,
    train: usize,
    test: Option<usize>,
    generator: &mut Generator,
) -> Result<(Examples, Vec<usize>)> {
    let all: Vec<_> = (0..examples.len()).collect();
    let mut chosen = Vec::new();
    for (class, mut places) in by_class(examples, &all)?.into_iter().enumerate() {
        let needed = train + test.unwrap_or(1);
        if places.len() < needed {
            return Err(Error::message(format!(
                "class `{}` has {} examples: too few for {train} to train and {} to test",
                examples.classes[class],
                places.len(),
                test.unwrap_or(1)
            )));
        }
        shuffle(&mut places, generator);
        let rest = places.split_off(train);
        let test = test.unwrap_or(rest.len());
        chosen.extend(places.into_iter().map(|i| (i, 0)));
        chosen.extend(rest.into_iter().take(test).map(|i| (i, 1)));
    }
    chosen.sort_unstable();
    let places: Vec<_> = chosen.iter().map(|&(i, _)| i).collect();
    let mut examples = examples.select(&places);
    examples.splits = vec!["train".to_owned(), "test".to_owned()];
    examples.split = chosen.into_iter().map(|(_, split)| split).collect();
    Ok((examples, places))
}

#[cfg(test)]
mod tests {
    use sconce_core::random::generator;

    use super::*;

    #[test]
    fn shuffling_is_uniform_enough() {
        let mut generator = generator(1, "test");
        let mut counts = [[0_u32; 5]; 5];
        for _ in 0..5000 {
            let mut items = [0, 1, 2, 3, 4];
            shuffle(&mut items, &mut generator);
            for (place, item) in items.into_iter().enumerate() {
                counts[place][item] += 1;
            }
        }
        // 1000 expected, deviation 28.
        assert!(counts.as_flattened().iter().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
    }

    #[test]
    fn samples_are_of_their_class_and_split() {
        let examples = Examples {
            ids: (0..20).map(|i| i.to_string()).collect(),
            classes: vec!["a".into(), "b".into()],
            labels: (0..20).map(|i| i % 2).collect(),
            splits: vec!["train".into(), "test".into()],
            split: (0..20).map(|i| u32::from(i >= 16)).collect(),
        };
        let sample = |split, per_class| {
            sample_per_class(&examples, split, per_class, &mut generator(0, "sample")).unwrap()
        };
        let train = sample(Some("train"), 3);
        assert!(train.iter().enumerate().all(|(class, places)| {
            places.len() == 3 && places.iter().all(|&i| i < 16 && i % 2 == class)
        }));
        assert_eq!(train, sample(Some("train"), 3));
        assert_eq!(sample(Some("test"), 9), [vec![16, 18], vec![17, 19]]);
        assert_eq!(sample(None, 99)[0].len(), 10);
    }
}
