//! Whether domains lie on one another, and class on class, by rows' nearest neighbours.

use crate::trustworthiness::nearest_first;

/// What [`mixing`] finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mixing {
    /// How many of a row's nearest neighbours are of another domain, on average, as a share of what chance would give: 0 where
    /// domains lie apart, 1 where they lie on one another as if shuffled, more where they seek each other.
    pub(crate) domains: f64,
    /// The share of rows whose nearest row of another domain has their class.
    pub(crate) classes: f64,
}

/// Of `rows` rows with their squared distances `(rows, rows)`, their domains and classes; looks at `neighbours` of each. Of
/// several equally near the first counts. None where there is one domain alone.
pub(crate) fn mixing(
    distances: &[f64],
    domains: &[usize],
    classes: &[String],
    neighbours: usize,
) -> Option<Mixing> {
    let rows = domains.len();
    let neighbours = neighbours.min(rows.checked_sub(1)?);
    if neighbours == 0 || domains.iter().all(|&domain| domain == domains[0]) {
        return None;
    }
    let (mut shares, mut agree) = (0.0, 0usize);
    for row in 0..rows {
        let others = nearest_first(row, distances, rows);
        let foreign = |other: &&usize| domains[**other] != domains[row];
        let near = others[..neighbours].iter().filter(foreign).count() as f64 / neighbours as f64;
        let all = others.iter().filter(foreign).count() as f64 / others.len() as f64;
        shares += near / all;
        let nearest = others.iter().find(foreign);
        agree += usize::from(nearest.is_some_and(|&other| classes[other] == classes[row]));
    }
    Some(Mixing { domains: shares / rows as f64, classes: agree as f64 / rows as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squared distances of places on a line.
    fn on_a_line(places: &[f64]) -> Vec<f64> {
        places.iter().flat_map(|a| places.iter().map(move |b| (a - b) * (a - b))).collect()
    }

    fn names(classes: &[&str]) -> Vec<String> {
        classes.iter().map(|&class| class.to_owned()).collect()
    }

    #[test]
    fn domains_apart_mixed_and_mixed_wrongly() {
        let domains = [0, 0, 1, 1];
        let classes = names(&["cat", "dog", "cat", "dog"]);
        // each with its own: 0 of the nearest; nearest of the other are 2 (cat) for both of the first, 1 (dog) for the others
        let apart = mixing(&on_a_line(&[0.0, 1.0, 10.0, 11.0]), &domains, &classes, 1).unwrap();
        assert_eq!(apart, Mixing { domains: 0.0, classes: 0.5 });
        // cat on cat, dog on dog: 1 of 1, where chance gives 2 of 3
        let on_class = mixing(&on_a_line(&[0.0, 10.0, 0.5, 10.5]), &domains, &classes, 1).unwrap();
        assert_eq!(on_class, Mixing { domains: 1.5, classes: 1.0 });
        // with all neighbours it is what chance gives
        let all = mixing(&on_a_line(&[0.0, 10.0, 0.5, 10.5]), &domains, &classes, 9).unwrap();
        assert_eq!(all.domains, 1.0);
        // as near, but cat on dog
        let crossed = mixing(&on_a_line(&[0.0, 10.0, 10.5, 0.5]), &domains, &classes, 1).unwrap();
        assert_eq!(crossed, Mixing { domains: 1.5, classes: 0.0 });
        assert_eq!(mixing(&on_a_line(&[0.0, 1.0]), &[3, 3], &names(&["a", "a"]), 1), None);
        assert_eq!(mixing(&[0.0], &[0], &names(&["a"]), 1), None);
        assert_eq!(mixing(&[], &[], &[], 1), None);
    }
}
