//! Calling the programs of a queue, which may hang.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::system::processes::Group;

const PAUSE: Duration = Duration::from_millis(5);

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) ok: bool,
    pub(super) out: String,
    /// What it complained of, in one line.
    pub(super) error: String,
}

/// Why a program said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silence {
    /// It could not be started.
    NotStarted(String),
    /// It was ended because it took too long.
    Hung(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::NotStarted(text) | Self::Hung(text)) = self;
        f.write_str(text)
    }
}

/// Calls a program and waits for its end, but no longer than `patience`.
pub(super) fn call(
    program: &str,
    arguments: &[String],
    input: &str,
    patience: Duration,
) -> Result<Said, Silence> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C in the terminal is no reason to leave a question without an answer.
    let (mut child, group) = Group::start(&mut command)
        .map_err(|error| Silence::NotStarted(format!("cannot start `{program}`: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read is one that says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let (out, error) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if start.elapsed() < patience => std::thread::sleep(PAUSE),
            Ok(None) | Err(_) => break None,
        }
    };
    let Some(status) = status else {
        group.end();
        let _ = child.kill();
        let _ = child.wait();
        let seconds = patience.as_secs_f64();
        return Err(Silence::Hung(format!("`{program}` gave no answer in {seconds} s")));
    };
    let text =
        |bytes: Option<Vec<u8>>| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    // What it left running may hold its streams open.
    let (out, error) =
        (text(out.recv_timeout(patience).ok()), text(error.recv_timeout(PAUSE * 20).ok()));
    let error = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = error.collect::<Vec<_>>().join("; ");
    Ok(Said { ok: status.success(), out, error })
}

fn reader(stream: Option<impl Read + Send + 'static>) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// A word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
