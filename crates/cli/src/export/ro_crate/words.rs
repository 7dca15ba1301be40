//! Identifiers and times, as RO-Crate writes them.

/// A path as a part of an identifier.
pub(super) fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in path.bytes() {
        match byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

/// A time as ISO 8601 has it, in UTC.
pub(super) fn time(since_1970: f64) -> String {
    let seconds = since_1970.max(0.0) as u64;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_8601() {
        // `date -u -d @N +%FT%T+00:00`
        let known = [
            (0.0, "1970-01-01T00:00:00+00:00"),
            (951_782_400.0, "2000-02-29T00:00:00+00:00"),
            (1_709_251_199.9, "2024-02-29T23:59:59+00:00"),
            (1_764_374_400.0, "2025-11-29T00:00:00+00:00"),
            (4_102_444_799.0, "2099-12-31T23:59:59+00:00"),
        ];
        for (seconds, text) in known {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn identifiers_are_escaped() {
        assert_eq!(encoded("results/svm[c=1]/a b.png"), "results/svm%5Bc%3D1%5D/a%20b.png");
    }
}
