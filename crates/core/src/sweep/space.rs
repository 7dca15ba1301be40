//! Ranges of parameters, values drawn from them, and what is made large or small.

use std::collections::BTreeSet;
use std::fmt;

use rand_chacha::rand_core::Rng;

use crate::random::{Generator, generator};
use crate::text::{Diagnostic, Diagnostics, Sources};

/// Values are rounded to so many figures, so that a setting is short and says all.
const FIGURES: usize = 6;

/// How often a draw is repeated that was there before.
const ATTEMPTS: u64 = 1000;

/// One parameter and where its values come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// The path of a setting: `stage.svm.c`.
    pub path: String,
    /// The values.
    pub range: Range,
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    /// Any number from the first to the second, each as likely.
    Uniform(f64, f64),
    /// Any number from the first to the second, each ratio as likely; both are above 0.
    LogUniform(f64, f64),
    /// A whole number from the first to the second, both included.
    Integer(i64, i64),
    /// One of these values, as they are written in TOML.
    Choice(Vec<String>),
}

impl Dimension {
    /// Reads `PATH=uniform(0, 1)`, `log-uniform(1e-3, 10)`, `integer(1, 8)`, `choice(a, b)`.
    ///
    /// # Errors
    /// What is wrong, and where in the text; `option` is how the text is called.
    pub fn parse(option: &str, text: &str) -> Result<Self, Box<Diagnostics>> {
        let told = |message: String, place: std::ops::Range<usize>| {
            let mut sources = Sources::default();
            sources.add(option, text);
            let help = "such as stage.svm.c=log-uniform(1e-3, 10); there are `uniform`, `log-uniform`, \
                        `integer`, `choice`";
            let diagnostic = Diagnostic::new(message, place).help(help);
            Box::new(Diagnostics::new(sources, vec![diagnostic]))
        };
        let expected = || told("expected PATH=RANGE".to_owned(), 0..text.len());
        let (path, range) = text.split_once('=').ok_or_else(expected)?;
        let start = path.len() + 1 + (range.len() - range.trim_start().len());
        let place = start..text.len();
        let parts = range.trim().strip_suffix(')').and_then(|range| range.split_once('('));
        let Some((name, inner)) = parts else {
            return Err(told("expected a range".to_owned(), place));
        };
        let values: Vec<String> =
            crate::text::values(inner).into_iter().map(|value| value.trim().to_owned()).collect();
        if path.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(told("expected values between the commas".to_owned(), place));
        }
        let range = match (name.trim(), values.as_slice()) {
            ("choice", [_, ..]) => Ok(Range::Choice(values)),
            ("uniform", [a, b]) => two(a, b).map(|(a, b)| Range::Uniform(a, b)),
            ("log-uniform", [a, b]) => two(a, b).and_then(|(a, b)| match a > 0.0 {
                true => Ok(Range::LogUniform(a, b)),
                false => {
                    Err("expected numbers above 0: of others there is no logarithm".to_owned())
                }
            }),
            ("integer", [a, b]) => match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) if a < b => Ok(Range::Integer(a, b)),
                _ => Err(format!("expected two whole numbers, the smaller first, found {inner}")),
            },
            ("uniform" | "log-uniform" | "integer", _) => {
                Err(format!("expected two numbers, the smaller first, found {inner}"))
            }
            (other, _) => Err(format!("there is no range `{other}`")),
        };
        let range = range.map_err(|message| told(message, place))?;
        Ok(Self { path: path.trim().to_owned(), range })
    }

    /// The setting for a value.
    pub fn setting(&self, value: &str) -> String {
        format!("{}={value}", self.path)
    }
}

/// The last key of the path, and where it came from.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.range {
            Range::Uniform(a, b) => write!(f, "{} from {a} to {b}", self.path),
            Range::LogUniform(a, b) => write!(f, "{} from {a} to {b} (logarithmic)", self.path),
            Range::Integer(a, b) => write!(f, "{} from {a} to {b} (whole)", self.path),
            Range::Choice(values) => write!(f, "{} one of {}", self.path, values.join(", ")),
        }
    }
}

impl Range {
    /// A value as TOML.
    fn draw(&self, random: &mut Generator) -> String {
        match self {
            Self::Uniform(a, b) => number(a + (b - a) * share(random), *a, *b),
            Self::LogUniform(a, b) => {
                number((a.ln() + (b.ln() - a.ln()) * share(random)).exp(), *a, *b)
            }
            Self::Integer(a, b) => {
                let count = b.abs_diff(*a).saturating_add(1);
                let step = below(random, count);
                a.saturating_add_unsigned(step).to_string()
            }
            Self::Choice(values) => {
                let place = below(random, values.len() as u64);
                usize::try_from(place).ok().and_then(|place| values.get(place)).cloned()
            }
            .unwrap_or_default(),
        }
    }
}

/// `count` trials, different ones: for each the values of the dimensions in their order. Fewer where
/// there are not so many.
pub fn draw(dimensions: &[Dimension], count: usize, seed: u64) -> Vec<Vec<String>> {
    let mut trials: Vec<Vec<String>> = Vec::new();
    let mut known = BTreeSet::new();
    let (mut number, mut missed) = (0_u64, 0);
    while trials.len() < count && missed < ATTEMPTS {
        let value = |dimension: &Dimension| {
            // Each value has a generator of its own: what is searched beside it changes nothing.
            let purpose = format!("sweep trial {number}: {}", dimension.path);
            dimension.range.draw(&mut generator(seed, &purpose))
        };
        let trial: Vec<String> = dimensions.iter().map(value).collect();
        if known.insert(trial.clone()) {
            trials.push(trial);
            missed = 0;
        } else {
            missed += 1;
        }
        number += 1;
    }
    trials
}

/// What a search makes large or small: a metric of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    /// The cell, as `Plan::select` reads names.
    pub cell: String,
    /// The output, where it is named.
    pub output: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// Whether it is made large.
    pub maximise: bool,
}

impl Objective {
    /// Reads `stage.metric`, `stage.output.metric` or `stage[axis=value].metric`. `is_output` tells
    /// whether a stage has an output of metrics of this name.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(
        text: &str,
        maximise: bool,
        is_output: impl Fn(&str, &str) -> bool,
    ) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}`: expected a metric of one cell, such as `test.accuracy` or \
                 `test[layer=fire9].accuracy`"
            )
        };
        let end = match text.find('[') {
            Some(open) => open + text[open..].find("].").ok_or_else(expected)? + 1,
            None => text.find('.').ok_or_else(expected)?,
        };
        let (cell, rest) = (&text[..end], text[end..].trim_start_matches('.'));
        if cell.is_empty() || rest.is_empty() {
            return Err(expected());
        }
        let stage = cell.split('[').next().unwrap_or(cell);
        let (output, metric) = match rest.split_once('.') {
            Some((output, metric)) if is_output(stage, output) => (Some(output), metric),
            _ => (None, rest),
        };
        Ok(Self {
            cell: cell.to_owned(),
            output: output.map(str::to_owned),
            metric: metric.to_owned(),
            maximise,
        })
    }

    /// Whether `a` is better than `b`.
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        if self.maximise { a > b } else { a < b }
    }
}

/// As it was written.
impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.cell)?;
        if let Some(output) = &self.output {
            write!(f, "{output}.")?;
        }
        f.write_str(&self.metric)
    }
}

fn two(a: &str, b: &str) -> Result<(f64, f64), String> {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) if a.is_finite() && b.is_finite() && a < b => Ok((a, b)),
        _ => Err(format!("expected two numbers, the smaller first, found {a}, {b}")),
    }
}

/// From 0 to 1, without 1, with 53 bits.
fn share(random: &mut Generator) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number below `count`, each as likely.
fn below(random: &mut Generator, count: u64) -> u64 {
    // What would make the first numbers likelier is drawn again.
    let most = u64::MAX - u64::MAX % count.max(1);
    loop {
        let number = random.next_u64();
        if number < most {
            return number % count.max(1);
        }
    }
}

/// A short number within its range, with a point or an exponent.
fn number(value: f64, least: f64, most: f64) -> String {
    let short = format!("{value:.*e}", FIGURES - 1).parse().unwrap_or(value);
    format!("{:?}", if (least..=most).contains(&short) { short } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(text: &str) -> Dimension {
        Dimension::parse("--over", text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn values_lie_in_their_ranges_and_are_spread_over_them() {
        let dimensions = [
            dimension("a=uniform(-1, 3)"),
            dimension("b=log-uniform(1e-3, 10)"),
            dimension("c=integer(2, 5)"),
            dimension("d=choice([1, 2], 'x, y', z)"),
        ];
        let trials = draw(&dimensions, 2000, 7);
        assert_eq!(trials.len(), 2000);
        let numbers = |place: usize| -> Vec<f64> {
            trials.iter().map(|trial| trial[place].parse().unwrap()).collect()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = (numbers(0), numbers(1));
        assert!(a.iter().all(|a| (-1.0..=3.0).contains(a)) && (mean(&a) - 1.0).abs() < 0.1);
        // The logarithm's mean is the middle of the logarithms: 1e-1.
        let logs: Vec<f64> = b.iter().map(|b| b.log10()).collect();
        assert!(b.iter().all(|b| (1e-3..=10.0).contains(b)) && (mean(&logs) + 1.0).abs() < 0.1);
        for (place, expected) in [(2, vec!["2", "3", "4", "5"]), (3, vec!["'x, y'", "[1, 2]", "z"])]
        {
            let found: BTreeSet<&str> = trials.iter().map(|trial| trial[place].as_str()).collect();
            assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
            for value in expected {
                let count = trials.iter().filter(|trial| trial[place] == value).count();
                assert!(count > 2000 / 5, "{value} {count}");
            }
        }
        // Short, and TOML's own numbers.
        assert!(trials.iter().all(|trial| trial[0].len() <= 13 && trial[0].contains(['.', 'e'])));
    }

    #[test]
    fn a_seed_gives_the_same_trials_and_more_trials_begin_with_them() {
        let (a, b) = (dimension("a=uniform(0, 1)"), dimension("b=integer(1, 100)"));
        let both = [a.clone(), b];
        let ten = draw(&both, 10, 1);
        assert_eq!(draw(&both, 20, 1)[..10], ten);
        assert_ne!(draw(&both, 10, 2), ten);
        let alone: Vec<_> = draw(&[a], 10, 1).into_iter().flatten().collect();
        let beside: Vec<_> = ten.iter().map(|trial| trial[0].clone()).collect();
        assert_eq!(alone, beside, "what is searched beside it changes nothing");
        // No trial comes twice, and where there are no more, there are no more.
        let few = draw(&[dimension("c=choice(a, b)"), dimension("d=integer(1, 3)")], 100, 0);
        assert_eq!(few.len(), 6);
    }

    #[test]
    fn what_is_no_range_is_told_with_its_place() {
        for (text, expected) in [
            ("a", "--over:1:1: expected PATH=RANGE"),
            ("a=3", "--over:1:3: expected a range"),
            ("a=normal(0, 1)", "--over:1:3: there is no range `normal`"),
            ("a=uniform(1, 0)", "--over:1:3: expected two numbers, the smaller first, found 1, 0"),
            ("a=uniform(1)", "expected two numbers, the smaller first, found 1"),
            ("a=log-uniform(0, 1)", "expected numbers above 0"),
            ("a=integer(1, 2.5)", "expected two whole numbers"),
            ("a=uniform(0, inf)", "expected two numbers"),
            ("a=choice()", "expected values between the commas"),
        ] {
            let found = Dimension::parse("--over", text).unwrap_err().to_string();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn an_objective_names_a_cell_and_a_metric() {
        let parse = |text| Objective::parse(text, true, |_, output| output == "metrics");
        let one = parse("test[layer=a.b].metrics.top.5").unwrap();
        assert_eq!((one.cell.as_str(), one.metric.as_str()), ("test[layer=a.b]", "top.5"));
        assert_eq!(one.output.as_deref(), Some("metrics"));
        assert_eq!(one.to_string(), "test[layer=a.b].metrics.top.5");
        let two = parse("test.timings.seconds").unwrap();
        assert_eq!((two.output, two.metric.as_str()), (None, "timings.seconds"));
        for bad in ["accuracy", "test.", ".accuracy", "test[a=1]", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
