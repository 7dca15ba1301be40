//! Whether a map points somewhere or everywhere.

/// Squares along a side that the map is summed over, so that speckle does not count as a place.
const CELLS: usize = 14;

/// How concentrated a map is, of 0 (the same everywhere) to 1 (all in one place): `1 − H / ln n`, `H` the entropy of the
/// shares that `n` squares, 14 along a side, have of the map's absolute sum. A map of zeros has 0.
pub fn concentration(map: &[f32], width: usize) -> f64 {
    let height = map.len() / width.max(1);
    let (rows, columns) = (CELLS.min(height), CELLS.min(width));
    if rows * columns < 2 {
        return 0.0;
    }
    let mut sums = vec![0f64; rows * columns];
    for (at, value) in map.iter().enumerate().take(width * height) {
        let (y, x) = (at / width, at % width);
        sums[y * rows / height * columns + x * columns / width] += f64::from(value.abs());
    }
    let total: f64 = sums.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return 0.0;
    }
    let entropy: f64 =
        sums.iter().map(|sum| sum / total).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    (1.0 - entropy / ((rows * columns) as f64).ln()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::concentration;

    #[test]
    fn one_place_is_one_and_all_places_are_none() {
        let mut map = vec![0f32; 28 * 28];
        assert_eq!(concentration(&map, 28), 0.0);
        map[28 * 9 + 9] = -3.0;
        assert_eq!(concentration(&map, 28), 1.0);
        assert!(concentration(&vec![2.0; 28 * 28], 28) < 1e-12);
        // Half of the squares: ln 2 less entropy.
        let half: Vec<f32> = (0..28 * 28).map(|at| f32::from(u8::from(at < 14 * 28))).collect();
        assert!((concentration(&half, 28) - 2f64.ln() / 196f64.ln()).abs() < 1e-12);
        assert_eq!(concentration(&[], 0), 0.0);
    }
}
