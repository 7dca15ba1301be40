//! What differs between operating systems on a command line; the engine's part is [`sconce_core::system`].

use std::io::{Result, Write};
use std::path::{Path, PathBuf};

/// Does this on Ctrl-C, and when the process is asked to end: SIGTERM and SIGHUP, on Windows also Ctrl-Break and the end of the console.
/// Where that cannot be, such a signal ends the process at once, which loses no result.
pub(crate) fn on_stop(stop: impl FnMut() + Send + 'static) {
    let _ = ctrlc::set_handler(stop);
}

/// Takes standard output for the protocol alone: what libraries print there goes to the log. On Windows it does not: a line that is none
/// of the protocol's fails the cell.
pub(crate) fn protocol_output() -> Result<Box<dyn Write + Send>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let copy = std::io::stdout().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdout(std::io::stderr())?;
        Ok(Box::new(std::fs::File::from(copy)))
    }
    #[cfg(not(unix))]
    Ok(Box::new(std::io::stdout()))
}

/// From now on standard error is the end of this file. Only where a worker computes several cells.
pub(crate) fn send_errors_to(log: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let file = std::fs::File::options().append(true).create(true).open(log)?;
        Ok(rustix::stdio::dup2_stderr(file)?)
    }
    #[cfg(not(unix))]
    {
        let _ = log;
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Whether this user may do everything.
pub(crate) fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    false
}

/// The program of this name in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = if cfg!(windows) {
        vec![format!("{name}.cmd"), format!("{name}.exe")]
    } else {
        vec![name.to_owned()]
    };
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| path.is_file())
}

/// The driver of NVIDIA's devices where Linux tells of it, in words.
pub(crate) const NO_DRIVER: &str = if cfg!(target_os = "linux") {
    "no NVIDIA driver"
} else {
    "nothing that this program can use"
};
