//! `sconce show --live`: what running cells tell, on a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use sconce_core::Store;
use sconce_core::clock::now;
use sconce_core::plan::{CellIndex, Plan};
use sconce_core::store::Progress;

use super::curves::{Curve, Per, curves};
use super::sparkline::sparkline;
use super::{Look, Status};
use crate::commands::assess_plan;
use crate::failure::Failure;
use crate::session::Session;
use crate::style::{BAD, BOLD, BUSY, DIM, GOOD, WARN, age, count, is_dumb, number, paint, seconds};

/// How often the screen is drawn.
const PACE: Duration = Duration::from_millis(500);
/// Cells that are shown with all their curves; of more, each has a line.
const WHOLE: usize = 4;
/// Lines of cells at most.
const MOST: usize = 30;
/// Widest sparkline.
const WIDEST: usize = 60;

/// Shows the cells until none of them can change any more; once where nobody watches.
pub(crate) fn live(session: &Session, plan: &Plan, cells: &[CellIndex]) -> Result<(), Failure> {
    let watched = std::io::stdout().is_terminal() && !is_dumb();
    let mut drawn = 0;
    loop {
        let begin = Instant::now();
        let assessed = assess_plan(session, plan)?;
        let look = |&cell: &CellIndex| Look::at(&session.store, &assessed, cell);
        let looks: Vec<Look> = cells.iter().map(look).collect::<Result<_, _>>()?;
        let took = begin.elapsed();
        let ids = cells.iter().map(|&cell| plan[cell].id.to_string());
        let named: Vec<(String, Look)> = ids.zip(looks).collect();
        let lines = draw(&session.store, &named, width());
        let open = named.iter().any(|(_, look)| look.status.is_open());
        let mut text = String::new();
        if drawn > 0 {
            // Up to where it began, and all below away.
            text = format!("\x1b[{drawn}A\x1b[J");
        }
        text += &lines.join("\n");
        text.push('\n');
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        drop(out);
        if !(watched && open) {
            return Ok(());
        }
        drawn = lines.len();
        std::thread::sleep(PACE.max(took * 4));
    }
}

fn draw(store: &Store, cells: &[(String, Look)], width: usize) -> Vec<String> {
    if cells.len() > WHOLE {
        return table(store, cells, width);
    }
    let mut lines = Vec::new();
    for (name, look) in cells {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        whole(store, name, look, width, &mut lines);
    }
    lines
}

/// All of one cell.
fn whole(store: &Store, name: &str, look: &Look, width: usize, lines: &mut Vec<String>) {
    let mut state = painted(look.status);
    let journal = look.journal.as_ref();
    if let Some(journal) = journal.filter(|journal| journal.starts > 0) {
        let since = match look.status {
            Status::Running => {
                format!(", for {}", seconds((now() - journal.started).max(0.0)))
            }
            Status::Done => String::new(),
            _ => format!(", {}", age(journal.told() as u64)),
        };
        state += &since;
        if journal.starts > 1 {
            state += &format!(", started {} times", journal.starts);
        }
    }
    if let Some(receipt) = &look.receipt {
        state += &format!(", in {}, {}", seconds(receipt.seconds), age(receipt.started));
    }
    lines.push(format!("{} {}", paint(BOLD, name), paint(DIM, format_args!("({state})"))));
    let mut line = |title: &str, text: String| {
        let text = text.replace('\n', " ");
        lines.push(format!("  {title:<10} {}", cut(&text, width.saturating_sub(13))));
    };
    if let Some(journal) = journal.filter(|_| look.status != Status::Done) {
        if let Some(progress) = &journal.progress {
            let left = journal.seconds_left(now()).filter(|_| look.status == Status::Running);
            line("progress", bar(progress, left));
        }
        if !journal.note.is_empty() {
            line("note", journal.note.clone());
        }
    }
    if !look.error.is_empty() {
        line("error", look.error.clone());
    }
    let curves = curves(store, look.receipt.as_deref(), journal);
    let longest = curves.iter().map(|curve| curve.name.chars().count()).max().unwrap_or(0).min(24);
    for curve in &curves {
        lines.push(drawn(curve, longest, width));
    }
    if let Some(receipt) = look.receipt.as_ref().filter(|_| curves.is_empty()) {
        for (name, value) in &receipt.metrics {
            lines.push(format!("  {name:<10} {}", number(*value)));
        }
    }
}

/// A curve: name, form, last value, and where it was lowest and highest.
fn drawn(curve: &Curve, longest: usize, width: usize) -> String {
    let finite = || curve.points.iter().filter(|(_, value)| value.is_finite());
    let name = cut(&curve.name, longest);
    let last = curve.points.last().map_or(f64::NAN, |&(_, value)| value);
    let last = if last.is_finite() { number(last) } else { "not a number".to_owned() };
    let lowest = finite().min_by(|a, b| a.1.total_cmp(&b.1));
    let highest = finite().max_by(|a, b| a.1.total_cmp(&b.1));
    let what = match curve.per {
        Per::Step => "step",
        Per::Epoch => "epoch",
    };
    let place = curve.points.last().map_or(0.0, |&(place, _)| place);
    let mut more = format!("{what} {}", number(place));
    if let (Some(low), Some(high)) = (lowest, highest) {
        more += &format!(
            ", {} at {} to {} at {}",
            number(low.1),
            number(low.0),
            number(high.1),
            number(high.0)
        );
    }
    let fixed = 2 + longest + 1 + 1 + 12 + 1;
    let room = width.saturating_sub(fixed + more.chars().count() + 1);
    // On a narrow terminal the form matters more than where the extremes are.
    let (room, more) = match room < 16 {
        true => (width.saturating_sub(fixed), String::new()),
        false => (room, more),
    };
    let form = sparkline(&curve.points, room.min(WIDEST));
    let line = format!(
        "  {name:<longest$} {} {} {}",
        paint(BUSY, form),
        paint(BOLD, format_args!("{last:<11}")),
        paint(DIM, more)
    );
    line.trim_end().to_owned()
}

/// A line for each cell: the running ones first, then those that failed.
fn table(store: &Store, cells: &[(String, Look)], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut order: Vec<_> = cells.iter().collect();
    let rank = |status: Status| match status {
        Status::Running => 0,
        Status::Failed | Status::Killed | Status::Stopped | Status::Unreadable => 1,
        Status::Done => 3,
        Status::Ready | Status::Waiting => 2,
    };
    order.sort_by_key(|(_, look)| rank(look.status));
    let shown = &order[..order.len().min(MOST)];
    let longest = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let longest = longest.min(width / 2);
    for (name, look) in shown {
        let name = cut(name, longest);
        let mut text = format!("  {name:<longest$} {}", painted(look.status));
        let mut used = longest + 3 + look.status.word().len();
        let journal = look.journal.as_ref();
        if let Some(journal) = journal.filter(|_| look.status == Status::Running)
            && let Some(Progress { done, total, unit, .. }) = &journal.progress
        {
            let of = if *total > 0 { format!("/{total}") } else { String::new() };
            let left = journal.seconds_left(now());
            let left = left.map_or_else(String::new, |left| format!(", {} left", seconds(left)));
            let progress = format!(" {done}{of} {unit}{left}");
            used += progress.chars().count();
            text += &progress;
        }
        let curves = curves(store, look.receipt.as_deref(), journal);
        if let Some(curve) = curves.first() {
            let last = curve.points.last().map_or(f64::NAN, |&(_, value)| value);
            let value = format!(" {} {}", curve.name, number(last));
            let room = width.saturating_sub(used + value.chars().count() + 2).min(24);
            if room >= 8 {
                text += &format!(" {}", paint(BUSY, sparkline(&curve.points, room)));
            }
            text += &value;
        }
        lines.push(text);
    }
    let parts = Status::ALL.iter().filter_map(|&status| {
        let number = cells.iter().filter(|(_, look)| look.status == status).count();
        (number > 0).then(|| format!("{number} {}", status.word()))
    });
    let parts: Vec<_> = parts.collect();
    let more = order.len() - shown.len();
    let more =
        if more > 0 { format!(" ({} not shown)", count(more, "cell")) } else { String::new() };
    lines.push(paint(DIM, format_args!("  {}{more}", parts.join(", "))));
    lines
}

fn bar(progress: &Progress, left: Option<f64>) -> String {
    const WIDTH: usize = 20;
    let Progress { done, total, unit, .. } = progress;
    if *total == 0 {
        return format!("{done} {unit}");
    }
    let full = (*done as f64 / *total as f64 * WIDTH as f64) as usize;
    let full = "=".repeat(full.min(WIDTH));
    let left = left.map_or_else(String::new, |left| format!(", {} left", seconds(left)));
    let share = *done as f64 / *total as f64 * 100.0;
    format!("[{full:<WIDTH$}] {done}/{total} {unit}, {share:.0} %{left}")
}

fn painted(status: Status) -> String {
    let style = match status {
        Status::Done => GOOD,
        Status::Running => BUSY,
        Status::Failed | Status::Killed | Status::Unreadable => BAD,
        Status::Stopped | Status::Ready | Status::Waiting => WARN,
    };
    paint(style, status.word())
}

/// At most `width` characters of a text; what is cut off is told by a point.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Columns of the terminal.
fn width() -> usize {
    terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0))
}
