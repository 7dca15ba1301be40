//! NaN and infinity are no results: what is written is looked at.

use sconce_core::{Error, Result};

/// NaN and infinite numbers, counted as they go by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotFinite {
    /// Numbers in all.
    pub numbers: u64,
    /// Those that are NaN.
    pub nan: u64,
    /// Those that are infinite.
    pub infinite: u64,
    /// The place of the first that is one or the other.
    pub first: Option<u64>,
}

impl NotFinite {
    /// Counts `values`.
    pub fn of(values: &[f32]) -> Self {
        let mut count = Self::default();
        count.add(values);
        count
    }

    /// Counts `values` too, which follow on those before.
    pub fn add(&mut self, values: &[f32]) {
        for (place, value) in values.iter().enumerate().filter(|(_, value)| !value.is_finite()) {
            self.first.get_or_insert(self.numbers + place as u64);
            if value.is_nan() { self.nan += 1 } else { self.infinite += 1 }
        }
        self.numbers += values.len() as u64;
    }

    /// `3 of 12 numbers are NaN, 1 is infinite`.
    pub fn words(&self) -> String {
        let all = self.numbers;
        match (self.nan, self.infinite) {
            (nan, 0) => format!("{nan} of {all} numbers are NaN"),
            (0, infinite) => format!("{infinite} of {all} numbers are infinite"),
            (nan, infinite) => {
                format!("of {all} numbers {nan} are NaN and {infinite} are infinite")
            }
        }
    }

    /// Refuses what is not finite; `what` begins the message.
    ///
    /// # Errors
    /// When there is a NaN or an infinite number.
    pub fn check(&self, what: impl FnOnce() -> String) -> Result<()> {
        match self.first {
            None => Ok(()),
            Some(_) => Err(Error::message(format!("{}: {}", what(), self.words()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinity_are_counted() {
        let mut count = NotFinite::of(&[0.0, 1.0]);
        assert_eq!((count.first, count.check(String::new).is_ok()), (None, true));
        count.add(&[2.0, f32::NAN, f32::INFINITY]);
        count.add(&[f32::NEG_INFINITY, f32::MAX]);
        assert_eq!(count.first, Some(3));
        let error = count.check(|| "the map of `a`".to_owned()).unwrap_err().to_string();
        assert_eq!(error, "the map of `a`: of 7 numbers 1 are NaN and 2 are infinite");
    }
}
