//! Ctrl-C on a terminal while cells are in a queue: the question, and what each answer does.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Said, eventually};
use crate::played::{Case, USUAL, begun, bench, command, submitted};

/// Runs a program on a terminal of its own: what comes in is typed, what goes out was shown.
const TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])) % 256)";

/// A program on a terminal.
struct Terminal {
    child: std::process::Child,
    shown: String,
    more: Receiver<String>,
}

impl Terminal {
    /// None, and told so, where there is no Python for it.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn run(bench: &Bench, arguments: &[&str]) -> Option<Self> {
        let program = command(bench, arguments);
        let mut terminal = Command::new("/usr/bin/env");
        terminal.args(["python3", "-c", TERMINAL]).arg(program.get_program());
        terminal.args(program.get_args()).current_dir(bench.path(""));
        for (name, value) in program.get_envs() {
            match value {
                // Python may be anywhere; the programs of the queue come first.
                Some(value) if name == "PATH" => {
                    let usual = std::env::vars_os().find(|(name, _)| name == "PATH").unwrap().1;
                    let paths = format!("{}:{}", value.display(), usual.display());
                    terminal.env(name, paths)
                }
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        terminal.env("TERM", "xterm");
        let has_python = Command::new("python3").args(["-c", "import pty"]).status();
        if !has_python.is_ok_and(|status| status.success()) {
            println!("skipped: no python3 to make a terminal");
            return None;
        }
        let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut out, (sender, more)) = (child.stdout.take().unwrap(), channel());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                let _ = sender.send(String::from_utf8_lossy(&bytes[..read]).into_owned());
            }
        });
        Some(Self { child, shown: String::new(), more })
    }

    fn types(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Waits until this is shown.
    fn shows(&mut self, text: &str) {
        let start = Instant::now();
        while !self.shown.contains(text) {
            assert!(start.elapsed() < Duration::from_secs(60), "no `{text}` in {}", self.shown);
            if let Ok(more) = self.more.recv_timeout(Duration::from_millis(100)) {
                self.shown += &more;
            }
        }
    }

    /// Presses Ctrl-C, and answers what is asked then.
    fn stops(&mut self, answer: &str) {
        self.types("\x03");
        self.shows("Stop?");
        self.types(answer);
    }

    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        while let Ok(more) = self.more.recv_timeout(Duration::from_secs(5)) {
            self.shown += &more;
        }
        (code, self.shown)
    }
}

/// One cell that waits for a file.
fn waiting() -> Bench {
    bench(&Case {
        squeue: &["NONE"],
        settings: "lost_after = \"60s\"",
        body: "until [ -e DIR/go ]; do sleep 0.05; done",
        ..USUAL
    })
}

#[test]
fn who_detaches_leaves_jobs_that_the_next_run_takes_up() {
    let bench = waiting();
    let Some(mut terminal) = Terminal::run(&bench, &["run", "p.toml"]) else { return };
    bench.wait_for("begun");
    terminal.stops("d\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("takes them up"), "{shown}");
    let mut next = command(&bench, &["run", "p.toml"]);
    let told = std::fs::File::create(bench.path("told")).unwrap();
    let mut next = next.stdout(Stdio::null()).stderr(told).spawn().unwrap();
    // It follows before the cell ends: else it would be one that the store holds.
    eventually("the next run begins", || bench.read("told").contains("Running a"));
    std::thread::sleep(Duration::from_secs(1));
    bench.write("go", "");
    assert!(next.wait().unwrap().success(), "{}", bench.read("told"));
    assert_eq!((submitted(&bench).len(), begun(&bench)), (1, 1), "{}", bench.read("told"));
    assert!(!bench.read("played/called").contains("scancel"));
}

#[test]
fn who_cancels_takes_the_jobs_out_of_the_queue() {
    let bench = waiting();
    let Some(mut terminal) = Terminal::run(&bench, &["run", "p.toml"]) else { return };
    bench.wait_for("begun");
    terminal.stops("c\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(130), "{shown}");
    assert!(!shown.contains("takes them up"), "{shown}");
    eventually("the queue is told", || bench.read("played/called").contains("scancel"));
    let said = Said::from(command(&bench, &["status"]).output().unwrap());
    assert!(said.out.contains("nothing is in a queue"), "{}", said.out);
}

#[test]
fn who_answers_with_enter_goes_on() {
    let bench = waiting();
    let Some(mut terminal) = Terminal::run(&bench, &["run", "p.toml"]) else { return };
    bench.wait_for("begun");
    terminal.stops("\n");
    bench.write("go", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(begun(&bench), 1);
}
