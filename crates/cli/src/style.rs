//! Colours and words. `anstream` drops the colours where they are not wanted.

use anstyle::{AnsiColor, Style};
use sconce_core::clock;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BUSY: Style = AnsiColor::Cyan.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();

/// Whether the terminal cannot move its cursor, and so would show nothing of what is drawn.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Leaves colours out on a terminal that cannot draw, in CI too, where `anstream` would use them
/// all the same; `CLICOLOR_FORCE` wins.
pub(crate) fn follow_the_terminal() {
    if is_dumb() && std::env::var_os("CLICOLOR_FORCE").is_none() {
        anstream::ColorChoice::Never.write_global();
    }
}

/// `text` in a style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A status line as cargo writes it: the word right-aligned, then the text.
pub(crate) fn status(style: Style, word: &str, text: impl std::fmt::Display) -> String {
    format!("{style}{word:>12}{style:#} {text}")
}

/// `1 cell`, `2 cells`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A duration for people: `0.03 s`, `12.4 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn seconds(seconds: f64) -> String {
    // Rounded first, so that 59.97 is not `60.0 s`.
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 1.0 => format!("{seconds:.2} s"),
        0..60 => format!("{:.1} s", seconds.min(59.9)),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// How long ago something was: `just now`, `5 min ago`, `3 h ago`, `12 days ago`.
pub(crate) fn age(since_1970: u64) -> String {
    match (clock::now() as u64).saturating_sub(since_1970) {
        0..60 => "just now".to_owned(),
        ago @ 60..3600 => format!("{} min ago", ago / 60),
        ago @ 3600..86_400 => format!("{} h ago", ago / 3600),
        ago => format!("{} ago", count((ago / 86_400) as usize, "day")),
    }
}

/// A number for people: few digits, and never in exponent form where that can be avoided.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let digits = if size >= 100.0 { 1 } else { 4 };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
