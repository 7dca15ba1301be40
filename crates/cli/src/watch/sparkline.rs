//! Curves in a line of text.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where the values are no numbers.
const NO_NUMBER: char = '×';

/// A curve in at most `width` characters: each is the mean of the values in its part of the places. A part
/// without values is blank, one with a value that is not finite has a cross.
pub(super) fn sparkline(points: &[(f64, f64)], width: usize) -> String {
    let finite = || points.iter().filter(|(_, value)| value.is_finite());
    let low = finite().map(|&(_, value)| value).fold(f64::INFINITY, f64::min);
    let high = finite().map(|&(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
    let (Some(&(first, _)), Some(&(last, _))) = (points.first(), points.last()) else {
        return String::new();
    };
    let width = width.min(points.len()).max(1);
    let mut parts = vec![(0.0, 0usize, false); width];
    for &(place, value) in points {
        let share = if last > first { (place - first) / (last - first) } else { 0.0 };
        let part = &mut parts[((share * width as f64) as usize).min(width - 1)];
        match value.is_finite() {
            true => (part.0, part.1) = (part.0 + value, part.1 + 1),
            false => part.2 = true,
        }
    }
    let bar = |&(sum, count, broken): &(f64, usize, bool)| match count {
        _ if broken => NO_NUMBER,
        0 => ' ',
        _ if high <= low => BARS[3],
        _ => {
            let height = (sum / count as f64 - low) / (high - low);
            BARS[((height * BARS.len() as f64) as usize).min(BARS.len() - 1)]
        }
    };
    parts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_follow_the_values_and_places() {
        let line = |values: &[f64], width| {
            let points = values.iter().enumerate().map(|(place, &value)| (place as f64, value));
            sparkline(&points.collect::<Vec<_>>(), width)
        };
        assert_eq!(line(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 80), "▁▂▃▄▅▆▇█");
        // Means of two each: .5, 2.5, 4.5, 6.5 of 7.
        assert_eq!(line(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 4), "▁▃▆█");
        assert_eq!(line(&[1.0, f64::NAN, 3.0], 3), "▁×█");
        assert_eq!(line(&[5.0, 5.0], 9), "▄▄");
        assert_eq!(line(&[], 9), "");
        assert_eq!(sparkline(&[(0.0, 0.0), (1.0, 1.0), (9.0, 2.0), (10.0, 0.0)], 4), "▃  ▅");
    }
}
