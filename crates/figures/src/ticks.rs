//! Where an axis has its ticks and what stands at them.

/// How values are laid along an axis.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Equal differences, equal distances.
    #[default]
    Linear,
    /// Equal ratios, equal distances. All values must be positive.
    Log,
}

/// A stretch of an axis with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticks {
    /// Value at the axis' start.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
    /// Labelled ticks.
    pub major: Vec<(f64, String)>,
    /// Ticks between them.
    pub minor: Vec<f64>,
    scale: Scale,
}

impl Ticks {
    /// Where `value` is: 0 at the axis' start, 1 at its end.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// About `wanted` ticks on the round values in `low..=high`.
    pub fn new(scale: Scale, (low, high): (f64, f64), wanted: usize) -> Self {
        match scale {
            Scale::Linear => Self::linear(low, high, wanted),
            Scale::Log => Self::log(low, high, wanted),
        }
    }

    /// Ticks at `values` alone.
    pub fn at(scale: Scale, (low, high): (f64, f64), values: &[f64]) -> Self {
        let major = values.iter().map(|value| (*value, plain(*value))).collect();
        Self { low, high, major, minor: Vec::new(), scale }
    }

    fn linear(low: f64, high: f64, wanted: usize) -> Self {
        let step = round_step((high - low) / wanted.max(1) as f64);
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let count = (last - first).clamp(0.0, 1000.0) as usize;
        let values: Vec<f64> = (0..=count)
            .map(|i| (first + i as f64) * step)
            .filter(|value| (low - 1e-9 * step..=high + 1e-9 * step).contains(value))
            .collect();
        let major = label_linear(&values, step);
        Self { low, high, major, minor: Vec::new(), scale: Scale::Linear }
    }

    fn log(low: f64, high: f64, wanted: usize) -> Self {
        let decades = (low.log10() - 1e-9).floor() as i32..=(high.log10() + 1e-9).ceil() as i32;
        let within = |value: f64| value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9);
        let at = |mantissas: &[f64]| -> Vec<f64> {
            let all =
                decades.clone().flat_map(|e| mantissas.iter().map(move |m| m * power_of_ten(e)));
            all.filter(|value| within(*value)).collect()
        };
        let (tens, fives) = (at(&[1.0]), at(&[1.0, 2.0, 5.0]));
        if fives.len() < 3 {
            return Self { scale: Scale::Log, ..Self::linear(low, high, wanted) };
        }
        let all = at(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let mut major = if tens.len() < 3 { fives } else { tens };
        let every = major.len().div_ceil(wanted.max(2));
        major = major.into_iter().step_by(every).collect();
        let minor = all.into_iter().filter(|value| !major.contains(value)).collect();
        Self { low, high, major: label_log(&major), minor, scale: Scale::Log }
    }
}

/// Exact for the exponents of f64: `powi` is not always the nearest number.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

/// The next larger of 1, 2, 2.5 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    if !least.is_finite() || least <= 0.0 {
        return 1.0;
    }
    let ten = power_of_ten(least.log10().floor() as i32);
    let round = [1.0, 2.0, 2.5, 5.0].into_iter().find(|m| m * ten >= least * (1.0 - 1e-9));
    round.unwrap_or(10.0) * ten
}

fn label_linear(values: &[f64], step: f64) -> Vec<(f64, String)> {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest >= 1e6 || (largest > 0.0 && largest < 1e-3) {
        let exponent = largest.log10().floor() as i32;
        let unit = power_of_ten(exponent);
        let decimals = decimals_of(step / unit);
        let label = |value: f64| match value {
            0.0 => "0".to_owned(),
            value => format!("{}×10{}", fixed(value / unit, decimals), superscript(exponent)),
        };
        return values.iter().map(|value| (*value, label(*value))).collect();
    }
    let decimals = decimals_of(step);
    values.iter().map(|value| (*value, fixed(*value, decimals))).collect()
}

fn label_log(values: &[f64]) -> Vec<(f64, String)> {
    let plain_fits = values.iter().all(|value| (1e-3 - 1e-12..=1e4 + 1e-6).contains(value));
    let label = |value: f64| {
        let exponent = (value.log10() + 1e-9).floor() as i32;
        let mantissa = (value / power_of_ten(exponent)).round();
        if plain_fits {
            plain(value)
        } else if mantissa == 1.0 {
            format!("10{}", superscript(exponent))
        } else {
            format!("{mantissa}×10{}", superscript(exponent))
        }
    };
    values.iter().map(|value| (*value, label(*value))).collect()
}

fn decimals_of(step: f64) -> usize {
    (0..12)
        .find(|d| {
            let scaled = step * power_of_ten(*d as i32);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1e-12)
        })
        .unwrap_or(12)
}

fn superscript(exponent: i32) -> String {
    let digit = |letter| match letter {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + (digit as u32 - '0' as u32)).unwrap_or(digit),
    };
    exponent.to_string().chars().map(digit).collect()
}

/// A number with so many decimals, a true minus sign, and commas between thousands.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "–".to_owned()
        } else if value > 0.0 {
            "∞".to_owned()
        } else {
            "−∞".to_owned()
        };
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (index, digit) in whole.chars().enumerate() {
        // 4096 stays as it is; from five digits on, commas help.
        if index > 0 && whole.len() > 4 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// A number in few digits: four that count, no zeros at the end.
pub fn plain(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return fixed(value, 0);
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&exponent) {
        let mantissa = plain(value / power_of_ten(exponent));
        return format!("{mantissa}×10{}", superscript(exponent));
    }
    let decimals = (3 - exponent).max(0) as usize;
    let text = fixed(value, decimals);
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// The limits that show all `values` with some air; `None` where there is no finite value.
///
/// On a log axis what is not positive is left out.
pub fn limits(scale: Scale, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let shown = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
    let (low, high) =
        values.filter(shown).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return None;
    }
    Some(match scale {
        Scale::Log => {
            let air = (high / low).powf(0.04).max(1.1);
            (low / air, high * air)
        }
        Scale::Linear => {
            let air = if high > low { (high - low) * 0.06 } else { (low.abs() * 0.1).max(0.5) };
            // Shares and counts do not go below nothing, shares not above everything.
            let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
            let ceiling = if high <= 1.0 && low >= 0.0 && high > 0.5 { 1.0 } else { f64::INFINITY };
            ((low - air).max(floor), (high + air).min(ceiling))
        }
    })
    .map(|(low, high)| if high > low { (low, high) } else { (low - 0.5, high + 0.5) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &Ticks) -> Vec<&str> {
        ticks.major.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let ticks = Ticks::new(Scale::Linear, (0.81, 0.93), 5);
        assert_eq!(labels(&ticks), ["0.825", "0.850", "0.875", "0.900", "0.925"]);
        assert_eq!(
            labels(&Ticks::new(Scale::Linear, (0.0, 100.0), 5)),
            ["0", "20", "40", "60", "80", "100"]
        );
        assert_eq!(labels(&Ticks::new(Scale::Linear, (-3.0, 3.0), 3)), ["−2", "0", "2"]);
        assert_eq!(
            labels(&Ticks::new(Scale::Linear, (0.0, 4e6), 4)),
            ["0", "1×10⁶", "2×10⁶", "3×10⁶", "4×10⁶"]
        );
    }

    #[test]
    fn log_ticks_are_decades_or_their_parts() {
        let ticks = Ticks::new(Scale::Log, (0.001, 100.0), 8);
        assert_eq!(labels(&ticks), ["0.001", "0.01", "0.1", "1", "10", "100"]);
        assert!((ticks.place(0.1) - 0.4).abs() < 1e-12);
        assert!(ticks.minor.contains(&0.02));
        assert_eq!(
            labels(&Ticks::new(Scale::Log, (1.0, 60.0), 8)),
            ["1", "2", "5", "10", "20", "50"]
        );
        assert_eq!(
            labels(&Ticks::new(Scale::Log, (1e-6, 1e-3), 8)),
            ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³"]
        );
        // Less than a decade: linear values on the log axis.
        assert!(Ticks::new(Scale::Log, (0.8, 0.93), 4).major.len() >= 3);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(fixed(-0.5, 2), "−0.50");
        assert_eq!(fixed(-0.001, 1), "0.0");
        assert_eq!(fixed(138_357_544.0, 0), "138,357,544");
        assert_eq!(fixed(4096.0, 0), "4096");
        assert_eq!(plain(0.9119), "0.9119");
        assert_eq!(plain(4096.0), "4096");
        assert_eq!(plain(1.0), "1");
        assert_eq!(plain(1e-5), "1×10⁻⁵");
        assert_eq!(plain(f64::NAN), "–");
    }

    #[test]
    fn limits_show_every_value() {
        assert_eq!(limits(Scale::Linear, [].into_iter()), None);
        assert_eq!(limits(Scale::Linear, [f64::NAN].into_iter()), None);
        let (low, high) = limits(Scale::Linear, [0.8, 0.99].into_iter()).unwrap();
        assert!(low < 0.8 && high == 1.0);
        let (low, high) = limits(Scale::Linear, [3.0].into_iter()).unwrap();
        assert!(low < 3.0 && high > 3.0);
        assert_eq!(limits(Scale::Linear, [0.0].into_iter()), Some((0.0, 0.5)));
        let (low, high) = limits(Scale::Log, [0.0, 1.0, 100.0].into_iter()).unwrap();
        assert!(low > 0.0 && low < 1.0 && high > 100.0);
    }

    proptest::proptest! {
        #[test]
        fn ticks_lie_within_their_axis(low in -1e7..1e7_f64, span in 1e-6..1e7_f64, wanted in 1..12usize) {
            let high = low + span;
            let ticks = Ticks::new(Scale::Linear, (low, high), wanted);
            for (value, _) in &ticks.major {
                proptest::prop_assert!((-1e-6..=1.0 + 1e-6).contains(&ticks.place(*value)));
            }
            proptest::prop_assert!(ticks.major.len() <= 2 * wanted + 2);
        }
    }
}
