//! Numbers as people write them: percentages, differences, durations, powers of ten, means with deviations.

use minijinja::Error;
use minijinja::value::Kwargs;

use super::values::wrong;
use crate::ticks;

/// The minus of people.
pub(super) const MINUS: char = '\u{2212}';
/// Keeps a number and its unit on one line.
pub(super) const NO_BREAK: char = '\u{a0}';

/// Digits behind the point.
pub(super) fn fixed(value: f64, decimals: usize) -> Result<String, Error> {
    if !value.is_finite() || decimals > 12 {
        return Err(wrong(format!("cannot write {value} with {decimals} decimals")));
    }
    Ok(ticks::fixed(value, decimals))
}

pub(super) fn signed(value: f64, decimals: usize) -> Result<String, Error> {
    let text = fixed(value, decimals)?;
    let is_zero = text.chars().all(|c| c == '0' || c == '.');
    Ok(if value > 0.0 && !is_zero { format!("+{text}") } else { text })
}

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub(super) fn duration(seconds: f64) -> Result<String, Error> {
    if !seconds.is_finite() || seconds < 0.0 {
        return Err(wrong(format!("expected seconds, found {seconds}")));
    }
    let whole = seconds.round() as u64;
    Ok(match whole {
        _ if seconds < 9.95 => format!("{}{NO_BREAK}s", ticks::fixed(seconds, 1)),
        0..60 => format!("{whole}{NO_BREAK}s"),
        60..3600 => format!("{}{NO_BREAK}min {}{NO_BREAK}s", whole / 60, whole % 60),
        _ => format!("{}{NO_BREAK}h {}{NO_BREAK}min", whole / 3600, whole % 3600 / 60),
    })
}

pub(super) fn whole(value: f64) -> Result<i64, Error> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Ok(value as i64)
    } else {
        Err(wrong(format!("expected a whole number, found {value}")))
    }
}

/// `6,000`.
pub(super) fn count(value: f64) -> Result<String, Error> {
    let number = whole(value)?;
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    Ok(if number < 0 { format!("{MINUS}{text}") } else { text })
}

/// `six`; digits from thirteen on.
pub(super) fn words(value: f64) -> Result<String, Error> {
    const WORDS: [&str; 13] = [
        "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    let number = whole(value)?;
    let word = usize::try_from(number).ok().and_then(|number| WORDS.get(number));
    word.map_or_else(|| count(value), |word| Ok((*word).to_owned()))
}

/// `2 · 10⁻¹²`.
pub(super) fn power(value: f64, decimals: usize) -> Result<String, Error> {
    if value == 0.0 {
        return Ok("0".to_owned());
    }
    let text = format!("{value:.*e}", decimals.min(12));
    let (mantissa, exponent) =
        text.split_once('e').ok_or_else(|| wrong("expected a finite number"))?;
    let high = exponent.chars().map(|c| match c {
        '-' => '\u{207b}',
        '1' => '\u{b9}',
        '2' => '\u{b2}',
        '3' => '\u{b3}',
        other => char::from_u32(0x2070 + other.to_digit(10).unwrap_or(0)).unwrap_or(other),
    });
    let high: String = high.collect();
    let mantissa = mantissa.replace('-', &MINUS.to_string());
    Ok(format!("{mantissa}{NO_BREAK}·{NO_BREAK}10{high}"))
}

pub(super) fn mean(numbers: &[f64]) -> Result<f64, Error> {
    Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// The standard deviation of a sample.
pub(super) fn deviation(numbers: &[f64]) -> Result<f64, Error> {
    if numbers.len() < 2 {
        return Err(wrong("a deviation needs two numbers or more, found one"));
    }
    let mean = mean(numbers)?;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    Ok((squares / (numbers.len() - 1) as f64).sqrt())
}

/// `87.1 ± 0.4 %` of several numbers, `87.1 %` of one: by `percent=1` or `decimals=3`.
pub(super) fn spread(numbers: &[f64], how: &Kwargs) -> Result<String, Error> {
    let percent: Option<usize> = how.get("percent")?;
    let decimals: Option<usize> = how.get("decimals")?;
    how.assert_all_used()?;
    let (times, decimals, unit) = match (percent, decimals) {
        (Some(decimals), None) => (100.0, decimals, format!("{NO_BREAK}%")),
        (None, Some(decimals)) => (1.0, decimals, String::new()),
        _ => return Err(wrong("expected `percent=1` or `decimals=3`")),
    };
    let mut text = fixed(mean(numbers)? * times, decimals)?;
    if numbers.len() > 1 {
        let deviation = fixed(deviation(numbers)? * times, decimals)?;
        text.push_str(&format!("{NO_BREAK}±{NO_BREAK}{deviation}"));
    }
    Ok(text + &unit)
}
