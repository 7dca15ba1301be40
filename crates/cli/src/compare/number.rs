//! Numbers in as few digits as tell them apart.

use std::collections::BTreeSet;

/// Figures of the largest number of a column: four behind the point up to 10.
const FIGURES: i32 = 5;
/// Decimals at most, before numbers are written in full.
const DECIMALS: usize = 12;

/// How the numbers of one column are written: with the same number of decimals, so many that two
/// different ones never look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// With so many decimals.
    Fixed(usize),
    /// With so many decimals and an exponent.
    Exponent(usize),
    /// All that there is.
    Full,
}

impl Style {
    /// The style for these numbers.
    pub(crate) fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.map(|number| number + 0.0).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup_by(|a, b| a.total_cmp(b).is_eq());
        if numbers.iter().all(|number| number.fract() == 0.0 && number.abs() < 1e15) {
            return Self::Fixed(0);
        }
        let sizes = numbers.iter().map(|number| number.abs()).filter(|&size| size > 0.0);
        let (least, most) =
            sizes.fold((f64::MAX, 0.0_f64), |(a, b), size| (a.min(size), b.max(size)));
        let tells_apart = |style: &Self| {
            let texts: BTreeSet<String> = numbers.iter().map(|&one| style.write(one)).collect();
            texts.len() == numbers.len()
        };
        if !(1e-3..1e9).contains(&most) {
            return (2..=16).map(Self::Exponent).find(tells_apart).unwrap_or(Self::Full);
        }
        // Neighbours that are this far apart need at least so many decimals.
        let gap = numbers.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MAX, f64::min);
        let places = |size: f64| usize::try_from(-(size.log10().floor() as i32)).unwrap_or(0);
        let by_size = match most.log10().floor() as i32 {
            size @ 0.. => usize::try_from(FIGURES - 1 - size).unwrap_or(0).max(1),
            size => usize::try_from(FIGURES - 2 - size).unwrap_or(0),
        };
        // The smallest shows a figure, where that costs no more than a few digits.
        let by_least = if least >= 1e-6 { places(least) } else { 0 };
        let by_gap = if numbers.len() > 1 { places(gap).saturating_sub(1) } else { 0 };
        let first = by_size.max(by_least).max(by_gap);
        (first..=DECIMALS).map(Self::Fixed).find(tells_apart).unwrap_or(Self::Full)
    }

    pub(crate) fn write(&self, number: f64) -> String {
        let number = number + 0.0;
        match *self {
            Self::Fixed(decimals) => format!("{number:.decimals$}"),
            Self::Exponent(decimals) => format!("{number:.decimals$e}"),
            Self::Full => number.to_string(),
        }
    }
}

/// Seconds with three figures: more would only show how one run differs from the next.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{seconds:.3}"),
        1.0..10.0 => format!("{seconds:.2}"),
        10.0..100.0 => format!("{seconds:.1}"),
        _ => format!("{seconds:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(numbers: &[f64]) -> Vec<String> {
        let style = Style::of(numbers.iter().copied());
        numbers.iter().map(|&number| style.write(number)).collect()
    }

    #[test]
    fn digits_are_as_many_as_the_difference_needs() {
        assert_eq!(written(&[1.0, 10.0, 100.0]), ["1", "10", "100"]);
        assert_eq!(written(&[0.5, 0.25]), ["0.5000", "0.2500"]);
        assert_eq!(written(&[0.01, 1.0, 100.0]), ["0.01", "1.00", "100.00"]);
        assert_eq!(written(&[0.903_141, 0.903_142]), ["0.903141", "0.903142"]);
        assert_eq!(written(&[1234.5, 1234.25]), ["1234.5", "1234.2"]);
        assert_eq!(written(&[1e-5, 2.5e-5]), ["1.00e-5", "2.50e-5"]);
        assert_eq!(written(&[0.0, -0.0, 0.5]), ["0.0000", "0.0000", "0.5000"]);
        let (a, b) = (0.1_f64, 0.1 + f64::EPSILON / 16.0);
        assert_ne!(a, b);
        assert_ne!(written(&[a, b])[0], written(&[a, b])[1]);
    }
}
