//! What is going on, on a terminal: a line for each running cell, and one for the whole run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use sconce_core::plan::Plan;
use sconce_core::run::Event;

use super::lines::reason;

/// Bars below the lines.
pub(super) struct Live {
    bars: MultiProgress,
    running: BTreeMap<String, Running>,
    total: Option<ProgressBar>,
    wanted: u64,
    settled: u64,
    colours: bool,
    /// Width of the longest cell's name, so that the bars are below each other.
    width: usize,
}

struct Running {
    bar: ProgressBar,
    /// Whether the bar shows how far the cell is.
    measured: bool,
    unit: String,
    note: String,
    metrics: BTreeMap<String, f64>,
}

impl Live {
    pub(super) fn new(plan: &Plan) -> Self {
        const WIDEST: usize = 40;
        let width = plan.cells().map(|(_, cell)| cell.id.to_string().chars().count()).max();
        let choice = anstream::AutoStream::choice(&std::io::stderr());
        Self {
            // Drawn when something is running; until then the terminal is left alone.
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12)),
            running: BTreeMap::new(),
            total: None,
            wanted: 0,
            settled: 0,
            colours: choice != anstream::ColorChoice::Never,
            width: width.unwrap_or(0).min(WIDEST),
        }
    }

    /// Prints lines of others above the bars.
    pub(super) fn above(&self) -> impl FnMut(&str) + Send + 'static {
        let bars = self.bars.clone();
        move |line| bars.suspend(|| super::print(&[line.trim_end().to_owned()]))
    }

    /// Calls a function while no bar is drawn.
    pub(super) fn paused(&self) -> impl Fn(&dyn Fn()) + Send + 'static {
        let bars = self.bars.clone();
        move |ask| bars.suspend(ask)
    }

    /// Shows an event, with the lines that it gives.
    pub(super) fn event(&mut self, event: &Event, lines: &[String]) {
        if self.total.is_some() {
            for line in lines {
                // Above the bars.
                let _ = self.bars.println(self.plain_or_coloured(line));
            }
        } else {
            super::print(lines);
        }
        match event {
            Event::RunStarted { cells, .. } => self.wanted = *cells as u64,
            Event::CellHit { .. } => self.settle(None),
            Event::CellStarted { cell, reasons, .. } => {
                let cell = cell.to_string();
                let reason = self.plain_or_coloured(&reason(reasons));
                self.start(cell, &reason);
            }
            Event::CellProgress { cell, done, total, unit } => {
                self.progress(&cell.to_string(), *done, *total, unit);
            }
            Event::CellNote { cell, text } => {
                let dim = self.plain_or_coloured(&crate::style::paint(crate::style::DIM, text));
                self.update(&cell.to_string(), |running| running.note = dim);
            }
            Event::CellMetric { cell, name, value } => {
                self.update(&cell.to_string(), |running| {
                    running.metrics.insert(name.clone(), *value);
                });
            }
            Event::CellFinished { cell, .. }
            | Event::CellFailed { cell, .. }
            | Event::CellCancelled { cell }
            | Event::CellVerified { cell, .. }
            | Event::CellDiffers { cell, .. } => self.settle(Some(&cell.to_string())),
            Event::CellSkipped { .. } | Event::CellAbsent { .. } => self.settle(None),
            Event::RunFinished(_) => self.end(),
            _ => {}
        }
    }

    fn start(&mut self, cell: String, reason: &str) {
        let bar = match &self.total {
            Some(total) => self.bars.insert_before(total, ProgressBar::new(0)),
            None => {
                let total = self.bars.add(ProgressBar::new(self.wanted));
                total.set_style(
                    self.style("{prefix:>12.green.bold} [{bar:30}] {pos}/{len} cells, {elapsed}"),
                );
                total.set_prefix("Pipeline");
                total.set_position(self.settled);
                total.enable_steady_tick(Duration::from_millis(500));
                let bar = self.bars.insert_before(&total, ProgressBar::new(0));
                self.total = Some(total);
                bar
            }
        };
        bar.set_style(self.named("{prefix:>12.cyan.bold} {name} {elapsed:>4} {msg}", &cell));
        bar.set_prefix("Running");
        bar.set_message(reason.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        let running = Running {
            bar,
            measured: false,
            unit: String::new(),
            note: String::new(),
            metrics: BTreeMap::new(),
        };
        self.running.insert(cell, running);
    }

    fn progress(&mut self, cell: &str, done: u64, total: u64, unit: &str) {
        let style = if total > 0 {
            "{prefix:>12.cyan.bold} {name} [{bar:20}] {pos}/{len} {msg}"
        } else {
            "{prefix:>12.cyan.bold} {name} {pos} {msg}"
        };
        let style = self.named(style, cell);
        let Some(running) = self.running.get_mut(cell) else { return };
        // A new unit is a new phase, with a rate of its own.
        if !running.measured || running.unit != unit || running.bar.length() != Some(total) {
            running.bar.reset();
            running.bar.set_length(total);
            running.bar.set_style(style);
            running.measured = true;
            unit.clone_into(&mut running.unit);
        }
        running.bar.set_position(done);
        running.message();
    }

    fn update(&mut self, cell: &str, change: impl FnOnce(&mut Running)) {
        let Some(running) = self.running.get_mut(cell) else { return };
        change(running);
        if running.measured {
            running.message();
        } else {
            running.bar.set_message(running.words());
        }
    }

    /// A cell is over; one that ran leaves the screen.
    fn settle(&mut self, cell: Option<&str>) {
        if let Some(running) = cell.and_then(|cell| self.running.remove(cell)) {
            running.bar.finish_and_clear();
            self.bars.remove(&running.bar);
        }
        self.settled += 1;
        if let Some(total) = &self.total {
            total.set_position(self.settled);
        }
    }

    fn end(&mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            running.bar.finish_and_clear();
        }
        if let Some(total) = self.total.take() {
            total.finish_and_clear();
        }
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let template = if self.colours {
            template.to_owned()
        } else {
            template.replace(".cyan.bold", "").replace(".green.bold", "")
        };
        // The templates are ours and right; a wrong one would show as the default bar.
        ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
    }

    /// The style of a running cell, whose name has a column of its own.
    fn named(&self, template: &str, cell: &str) -> ProgressStyle {
        let name = format!("{cell:<width$}", width = self.width);
        let write = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&name);
        };
        self.style(template).with_key("name", write)
    }

    fn plain_or_coloured(&self, line: &str) -> String {
        if self.colours { line.to_owned() } else { anstream::adapter::strip_str(line).to_string() }
    }
}

impl Running {
    /// Rate, time left, metrics and note behind the bar.
    fn message(&self) {
        let mut text = self.unit.clone();
        let rate = self.bar.per_sec();
        if rate.is_finite() && rate > 0.0 && self.bar.position() > 0 {
            let _ = write!(text, ", {}/s", crate::style::number(round(rate)));
            let left = self.bar.eta().as_secs();
            if self.bar.length().is_some_and(|all| all > self.bar.position()) && left > 0 {
                let _ = write!(text, ", {} left", left_over(left));
            }
        }
        let words = self.words();
        if !words.is_empty() {
            let _ = write!(text, ", {words}");
        }
        self.bar.set_message(text);
    }

    fn words(&self) -> String {
        let mut words: Vec<_> = self
            .metrics
            .iter()
            .take(3)
            .map(|(name, value)| format!("{name} {}", crate::style::number(*value)))
            .collect();
        if !self.note.is_empty() {
            words.push(self.note.clone());
        }
        words.join(", ")
    }
}

/// Whole seconds are enough for what is only guessed.
fn left_over(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { crate::style::seconds(seconds as f64) }
}

/// Two digits are enough for a rate.
fn round(rate: f64) -> f64 {
    if rate >= 100.0 { rate.round() } else { (rate * 10.0).round() / 10.0 }
}
