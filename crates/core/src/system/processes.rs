//! Starting processes apart, ending them with all that they started, and how they ended.

use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// A process with what it starts: a process group, on Windows a job object.
///
/// Ctrl-C in the terminal does not reach it. On Windows it also ends when whoever started it does.
#[derive(Debug)]
pub(crate) struct Group {
    #[cfg(unix)]
    first: rustix::process::Pid,
    #[cfg(windows)]
    job: super::windows::Job,
}

impl Group {
    /// Starts a program as the first process of a group of its own.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<(Child, Self)> {
        #[cfg(unix)]
        {
            std::os::unix::process::CommandExt::process_group(command, 0);
            let child = command.spawn()?;
            let first = rustix::process::Pid::from_child(&child);
            Ok((child, Self { first }))
        }
        #[cfg(windows)]
        {
            super::windows::Job::start(command).map(|(child, job)| (child, Self { job }))
        }
    }

    /// Ends all processes of the group. Only before its first one is reaped: after that its number may be another's.
    pub(crate) fn end(&self) {
        #[cfg(unix)]
        {
            // An error means that no one is left.
            let _ = rustix::process::kill_process_group(self.first, rustix::process::Signal::KILL);
        }
        #[cfg(windows)]
        self.job.end();
    }

    /// Waits for the end of the first process, and leaves it to be reaped.
    pub(crate) fn wait(&self) {
        #[cfg(unix)]
        {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(self.first), options) {}
        }
        #[cfg(windows)]
        self.job.wait();
    }
}

/// Lets a program outlive this process and its terminal.
pub fn set_apart(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    super::windows::set_apart(command);
}

/// Ends all of the group that this process leads; on Windows whoever started it does.
pub(crate) fn end_own_group() {
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpgrp, getpid, kill_process_group};
        let group = getpgrp();
        if group == getpid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Asks a process to end. Windows has no such question: it is ended.
pub(crate) fn ask_to_end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
    }
    #[cfg(windows)]
    {
        let _ = child.kill();
    }
}

/// Waits until a process ends, at most so long.
pub(crate) fn rest(child: &Child, pause: Duration) {
    #[cfg(target_os = "linux")]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        // Systems before Linux 5.3, and some sandboxes, have none.
        if let Ok(end) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
            let timeout = Timespec::try_from(pause).ok();
            let _ = poll(&mut [PollFd::new(&end, PollFlags::IN)], timeout.as_ref());
            return;
        }
    }
    let _ = child;
    std::thread::sleep(pause);
}

/// Whether a process was ended as the system does when memory is short. Windows ends none for that.
pub(crate) fn is_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    #[cfg(windows)]
    {
        let _ = status;
        false
    }
}

/// What ended a process that did not end by itself: `signal 9 (SIGKILL)`, on Windows `exception 0xC0000005 (access violation)`.
pub(crate) fn cause_of_end(status: ExitStatus) -> Option<String> {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status).map(signal_name);
    #[cfg(windows)]
    return status.code().and_then(super::windows::exception);
}

/// What a shell's status says of a program in its line. Windows' shell says nothing.
pub(crate) fn cause_in_shell(code: i32) -> String {
    const PIPE: i32 = 13;
    if cfg!(windows) {
        return String::new();
    }
    match code - 128 {
        PIPE => format!(
            ": a program in it was ended by {}, because the next one of the pipe stopped reading; where that is meant, put \
             `set +o pipefail;` before",
            signal_name(PIPE)
        ),
        signal @ 1..=64 => format!(": a program in it was ended by {}", signal_name(signal)),
        -1 => ": a program in it was not found".to_owned(),
        _ => String::new(),
    }
}

/// `signal 9 (SIGKILL)`.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}
