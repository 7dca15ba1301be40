//! What differs between operating systems, one door for each concern.
//!
//! The rest of the workspace asks these functions and not the system; a test (`tests/whole/layout.rs`) has the list of the few places
//! beside them. What each system gives:
//!
//! | | Linux | macOS | Windows |
//! |---|---|---|---|
//! | a file is whole on the disk before it has its name ([`files::sync`]) | ✓ | ✓ | ✓ |
//! | and so is the name ([`files::sync_folder`]) | ✓ | ✓ | by the journal of NTFS |
//! | a rename replaces a file that another process reads ([`files::rename`]) | ✓ | ✓ | from Windows 10 on NTFS; else it is tried again for a second, then an error |
//! | content of the store is read-only | ✓ | ✓ | no: a write to it is found by its time or its bytes |
//! | locks end with their process, and keep no reader out ([`locks`]) | ✓ | ✓ | ✓ |
//! | Ctrl-C reaches the run alone, and a run ends its workers with what they started (`processes::Group`) | ✓ | ✓ | ✓ |
//! | also what started a session of its own | ✓ | no | ✓ |
//! | workers end when their run is killed | ✓ | ✓ | ✓ |
//! | a worker computes several small cells | ✓ | no: one each | no: one each |
//! | a program of the kind `command` is asked to end before it is ended | ✓ | ✓ | no |
//! | a shell line fails with any program in it, and so does a pipe | ✓ | ✓ | no: `cmd` has neither; lines after lines are refused, a pipe is noted |

pub mod files;
pub mod locks;
pub mod processes;
pub(crate) mod strays;
#[cfg(windows)]
mod windows;

/// The C library, whose mathematical functions round in its own way; where it has no name of its own, the system.
pub(crate) fn c_library() -> &'static str {
    if cfg!(all(target_os = "linux", target_env = "gnu")) { "glibc" } else { std::env::consts::OS }
}

/// Nanoseconds of a clock that all processes of this machine share; but on Windows it never goes back.
pub(crate) fn nanoseconds() -> u64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
        seconds.unwrap_or_default() * 1_000_000_000 + nanoseconds.unwrap_or_default()
    }
    #[cfg(not(unix))]
    {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Whether a part of a path that is good elsewhere means something else here: Windows takes `\` for a separator, and `:` for the end of a
/// drive or of a file's name.
pub(crate) fn is_foreign(name: &str) -> bool {
    cfg!(windows) && name.contains(['\\', ':'])
}
