//! Splits that keep the proportions of the classes.

use rand::{Rng, seq::SliceRandom};

use crate::Error;

/// The fold of each sample, `0..folds`: each class is shuffled and dealt out in turn, starting where the class before it
/// ended, so that neither a class nor the whole differs by more than one sample between folds.
///
/// # Errors
/// When there are fewer than two folds or a class has fewer samples than folds.
pub fn stratified_folds(
    labels: &[usize],
    folds: usize,
    rng: &mut impl Rng,
) -> Result<Vec<usize>, Error> {
    if folds < 2 {
        return Err(Error::Parameter(format!(
            "cross-validation needs at least 2 folds, not {folds}"
        )));
    }
    let classes = labels.iter().max().map_or(0, |&label| label + 1);
    let mut members = vec![Vec::new(); classes];
    for (sample, &label) in labels.iter().enumerate() {
        members[label].push(sample);
    }
    let mut assigned = vec![0; labels.len()];
    let mut next = 0;
    for (class, members) in members.iter_mut().enumerate() {
        if !members.is_empty() && members.len() < folds {
            return Err(Error::Data(format!(
                "class {class} has {} samples, fewer than the {folds} folds",
                members.len()
            )));
        }
        members.shuffle(rng);
        for &sample in members.iter() {
            assigned[sample] = next % folds;
            next += 1;
        }
    }
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_fold_has_its_share_of_every_class() {
        let labels: Vec<usize> = (0..103).map(|i| usize::from(i % 4 == 0)).collect();
        let folds = stratified_folds(&labels, 5, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        for class in 0..2 {
            let sizes: Vec<usize> = (0..5)
                .map(|fold| (0..103).filter(|&i| labels[i] == class && folds[i] == fold).count())
                .collect();
            let (low, high) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(high - low <= 1, "{sizes:?}");
        }
        let same = stratified_folds(&labels, 5, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let other = stratified_folds(&labels, 5, &mut ChaCha8Rng::seed_from_u64(2)).unwrap();
        assert_eq!(folds, same);
        assert_ne!(folds, other);
    }

    #[test]
    fn a_class_smaller_than_the_folds_is_named() {
        let error =
            stratified_folds(&[0, 0, 0, 1], 3, &mut ChaCha8Rng::seed_from_u64(0)).unwrap_err();
        assert_eq!(error.to_string(), "class 1 has 1 samples, fewer than the 3 folds");
    }
}
