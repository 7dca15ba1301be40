//! What a program tells while it runs: lines that it adds to the file of `SCONCE_JOURNAL`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Context;

/// How often the file is looked at.
const PACE: Duration = Duration::from_millis(100);
/// A line of more bytes is none.
const LONGEST: usize = 1 << 16;
/// So many bytes are read at a time.
const CHUNK: u64 = 1 << 20;

/// The lines that a program has told so far.
pub(super) struct Told {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    /// The beginning of a line that is not finished.
    rest: Vec<u8>,
    lines: usize,
    looked: Option<Instant>,
    /// The last step; that of a line that names none is the next.
    step: Option<u64>,
    /// Whether a line was told to be wrong.
    complained: bool,
}

/// A line of numbers.
#[derive(Debug, Default, PartialEq)]
struct Line {
    step: Option<u64>,
    epoch: Option<u64>,
    of: Option<u64>,
    values: Vec<(String, f64)>,
}

impl Told {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            offset: 0,
            rest: Vec::new(),
            lines: 0,
            looked: None,
            step: None,
            complained: false,
        }
    }

    /// Tells what was added since it was last looked at, if that is a while ago.
    pub(super) fn look(&mut self, ctx: &Context) {
        if self.looked.is_some_and(|looked| looked.elapsed() < PACE) {
            return;
        }
        self.looked = Some(Instant::now());
        self.read(ctx);
    }

    /// Tells all that is left, with a last line that has no end.
    pub(super) fn finish(&mut self, ctx: &Context) {
        self.read(ctx);
        let rest = std::mem::take(&mut self.rest);
        self.line(ctx, &rest);
    }

    fn read(&mut self, ctx: &Context) {
        // It is not there before the program tells something. What cannot be read is not told.
        if self.file.is_none() {
            self.file = File::open(&self.path)
                .ok()
                .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()));
        }
        let mut bytes = Vec::new();
        while let Some(file) = &mut self.file {
            bytes.clear();
            let offset = SeekFrom::Start(self.offset);
            let read = file.seek(offset).and_then(|_| file.take(CHUNK).read_to_end(&mut bytes));
            if read.is_err() || bytes.is_empty() {
                break;
            }
            self.offset += bytes.len() as u64;
            for part in bytes.split_inclusive(|&byte| byte == b'\n') {
                if self.rest.len() <= LONGEST {
                    self.rest.extend_from_slice(part);
                }
                if part.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.rest);
                    self.line(ctx, &line);
                }
            }
        }
    }

    fn line(&mut self, ctx: &Context, line: &[u8]) {
        self.lines += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match Line::parse(text) {
            Ok(line) => self.tell(ctx, line),
            Err(problem) if !self.complained => {
                self.complained = true;
                ctx.note(format!("line {} of SCONCE_JOURNAL is left out: {problem}", self.lines));
            }
            Err(_) => {}
        }
    }

    fn tell(&mut self, ctx: &Context, line: Line) {
        let Line { step, epoch, of, values } = line;
        // Epochs alone are counted themselves.
        let of_epoch = || epoch.map(|epoch| self.step.unwrap_or(epoch));
        let next = || self.step.map_or(1, |step| step + 1);
        let counts_epochs = step.is_none() && epoch.is_some();
        let place = step.or_else(of_epoch).unwrap_or_else(next);
        if !counts_epochs {
            self.step = Some(place);
        }
        let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        if !values.is_empty() {
            let values = values.iter().map(|(name, value)| (name.as_str(), *value));
            ctx.point(narrow(place), epoch.map(narrow), values);
        }
        if let Some(of) = of {
            let (done, unit) = match epoch {
                Some(epoch) if counts_epochs => (epoch, "epochs"),
                _ => (place, "steps"),
            };
            // Who waits for the program sees by himself that the run is to stop.
            let _ = ctx.progress(narrow(done), narrow(of), unit);
        }
    }
}

impl Line {
    fn parse(text: &str) -> Result<Self, String> {
        let mut line = Self::default();
        if text.starts_with('{') {
            let value: Value = serde_json::from_str(text)
                .map_err(|error| format!("expected a JSON object of numbers: {error}"))?;
            for (name, value) in value.as_object().into_iter().flatten() {
                // JSON has no other word for what is no number.
                let number = if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
                line.set(name, number, value)?;
            }
            return Ok(line);
        }
        for word in text.split_whitespace() {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("expected `name=value`, found `{}`", short(word)))?;
            line.set(name, value.parse().ok(), &value)?;
        }
        Ok(line)
    }

    fn set(
        &mut self,
        name: &str,
        number: Option<f64>,
        found: &dyn std::fmt::Display,
    ) -> Result<(), String> {
        let wrong = |expected: &str| {
            Err(format!(
                "expected {expected} for `{}`, found `{}`",
                short(name),
                short(&found.to_string())
            ))
        };
        let Some(number) = number else { return wrong("a number") };
        let place = match name {
            "step" => &mut self.step,
            "epoch" => &mut self.epoch,
            "of" => &mut self.of,
            "" => return Err("expected a name before `=`".to_owned()),
            name => {
                self.values.push((name.to_owned(), number));
                return Ok(());
            }
        };
        // Whole numbers up to here are exact.
        const LARGEST: f64 = 9_007_199_254_740_992.0;
        if !(0.0..=LARGEST).contains(&number) || number.fract() != 0.0 {
            return wrong("a whole number");
        }
        *place = Some(number as u64);
        Ok(())
    }
}

/// The beginning of what somebody wrote.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_or_names_and_values() {
        let expected = Line {
            step: Some(20),
            epoch: Some(2),
            of: Some(500),
            values: vec![("loss".to_owned(), 0.25), ("acc".to_owned(), 1e-3)],
        };
        assert_eq!(Line::parse("step=20 epoch=2 of=500  loss=.25 acc=1e-3"), Ok(expected));
        let json = Line::parse(r#"{"loss": 0.25, "step": 20.0, "bad": null}"#).unwrap();
        assert_eq!(json.step, Some(20));
        let (mut values, names) = (json.values, ["bad", "loss"]);
        values.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(values.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        assert!(values[0].1.is_nan() && values[1].1 == 0.25);
        assert!(Line::parse("loss=NaN").unwrap().values[0].1.is_nan());
    }

    #[test]
    fn a_wrong_line_says_what_was_expected() {
        let wrong = [
            ("hello", "expected `name=value`, found `hello`"),
            ("loss=low", "expected a number for `loss`, found `low`"),
            ("step=1.5", "expected a whole number for `step`, found `1.5`"),
            ("step=-1", "expected a whole number for `step`, found `-1`"),
            ("=1", "expected a name before `=`"),
            (r#"{"loss": "low"}"#, "expected a number for `loss`, found `\"low\"`"),
        ];
        for (line, message) in wrong {
            assert_eq!(Line::parse(line), Err(message.to_owned()), "{line}");
        }
        assert!(Line::parse("{").unwrap_err().starts_with("expected a JSON object of numbers: "));
    }
}
