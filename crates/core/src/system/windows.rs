//! Calls to Windows that the standard library does not make.

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION,
    GENERIC_WRITE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    FILE_WRITE_ATTRIBUTES, GetFileInformationByHandle, LOCKFILE_EXCLUSIVE_LOCK,
    LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, ReOpenFile, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, INFINITE, WaitForSingleObject,
};

use super::files::Identity;

fn done(answer: i32) -> Result<()> {
    if answer == 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Where the byte lies that stands for a file's lock: behind the end of any file.
const LOCK: u64 = 1 << 62;

fn at_lock() -> OVERLAPPED {
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.Offset = 0;
    place.Anonymous.Anonymous.OffsetHigh = (LOCK >> 32) as u32;
    place
}

fn take(file: &File, flags: u32) -> Result<()> {
    let mut place = at_lock();
    // SAFETY: the handle is open as long as the file is borrowed, and the call is over before `place` is: the file was not opened for
    // overlapped calls.
    done(unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) })
}

fn try_take(file: &File, flags: u32) -> Result<bool> {
    let busy = [ERROR_LOCK_VIOLATION, ERROR_IO_PENDING].map(|code| Some(code.cast_signed()));
    match take(file, flags | LOCKFILE_FAIL_IMMEDIATELY) {
        Ok(()) => Ok(true),
        Err(error) if busy.contains(&error.raw_os_error()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until nobody else has a lock on the file. It has to be open for reading or writing, and not for appending alone.
pub fn lock(file: &File) -> Result<()> {
    take(file, LOCKFILE_EXCLUSIVE_LOCK)
}

/// Waits until nobody has the lock for itself alone.
pub fn lock_shared(file: &File) -> Result<()> {
    take(file, 0)
}

/// Whether nobody else had a lock, and this file has it now.
pub fn try_lock(file: &File) -> Result<bool> {
    try_take(file, LOCKFILE_EXCLUSIVE_LOCK)
}

/// Whether nobody had the lock for itself alone, and this file shares it now.
pub fn try_lock_shared(file: &File) -> Result<bool> {
    try_take(file, 0)
}

/// Gives the lock back, as dropping the file does.
pub fn unlock(file: &File) -> Result<()> {
    let mut place = at_lock();
    // SAFETY: as for `LockFileEx`.
    done(unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut place) })
}

pub(super) fn identity(file: &File) -> Result<Identity> {
    let mut told = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `told` is of the type that the call fills.
    done(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut told) })?;
    Ok(Identity {
        device: u64::from(told.dwVolumeSerialNumber),
        number: (u64::from(told.nFileIndexHigh) << 32) | u64::from(told.nFileIndexLow),
        names: u64::from(told.nNumberOfLinks),
    })
}

/// Opens a file, a folder or a link itself, to ask for what is told of it.
pub(super) fn open_to_ask(path: &Path) -> Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    OpenOptions::new().access_mode(FILE_READ_ATTRIBUTES).custom_flags(flags).open(path)
}

/// The very file that is open, open to have its times set.
pub(super) fn open_to_mark(file: &File) -> Result<File> {
    open_again(file, FILE_WRITE_ATTRIBUTES)
}

/// The very file that is open, open to be written to.
pub(super) fn open_to_write(file: &File) -> Result<File> {
    open_again(file, GENERIC_WRITE)
}

fn open_again(file: &File, access: u32) -> Result<File> {
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: the handle is open.
    let handle = unsafe { ReOpenFile(file.as_raw_handle(), access, share, 0) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// How long a rename is tried.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// Renames, again and again while somebody holds one of both open who does not share it.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    let held = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION].map(|code| Some(code.cast_signed()));
    let start = Instant::now();
    loop {
        match std::fs::rename(from, to) {
            Err(error)
                if held.contains(&error.raw_os_error())
                    && start.elapsed() < PATIENCE
                    && !to.is_dir() =>
            {
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

/// A process with all that it starts.
#[derive(Debug)]
pub(super) struct Job {
    /// All processes of it end when this is closed.
    job: OwnedHandle,
    first: OwnedHandle,
}

impl Job {
    pub(super) fn start(command: &mut Command) -> Result<(Child, Self)> {
        let job = new_job()?;
        // Not reached by Ctrl-C in the console.
        let mut child = command.creation_flags(CREATE_NEW_PROCESS_GROUP).spawn()?;
        // SAFETY: both handles are open.
        let joined =
            done(unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) });
        let first = joined.and_then(|()| child.as_handle().try_clone_to_owned());
        match first {
            Ok(first) => Ok((child, Self { job, first })),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn end(&self) {
        /// As a shell tells of a process that was killed.
        const KILLED: u32 = 128 + 9;
        // SAFETY: the handle is open. An error means that no one is left.
        let _ = unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) };
    }

    pub(super) fn wait(&self) {
        // SAFETY: the handle is open.
        let _ = unsafe { WaitForSingleObject(self.first.as_raw_handle(), INFINITE) };
    }
}

fn new_job() -> Result<OwnedHandle> {
    // SAFETY: no attributes and no name.
    let handle = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
    if handle.is_null() {
        return Err(Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(handle) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    let size = size_of_val(&limits) as u32;
    // SAFETY: `limits` is what this class of information is made of, and has this size.
    done(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size,
        )
    })?;
    Ok(job)
}

/// Without the console, whose end would end it, and not reached by Ctrl-C there.
pub(super) fn set_apart(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
}

/// The exception that a process ended with, if its status is one.
pub(super) fn exception(code: i32) -> Option<String> {
    let code = code.cast_unsigned();
    let name = match code {
        0xC000_0005 => "access violation",
        0xC000_0017 => "out of memory",
        0xC000_001D => "illegal instruction",
        0xC000_0094 => "division by zero",
        0xC000_00FD => "stack overflow",
        0xC000_0135 => "a library was not found",
        0xC000_013A => "Ctrl-C",
        0xC000_0409 => "it ended itself",
        0xC000_0000.. => "unknown",
        _ => return None,
    };
    Some(format!("exception {code:#X} ({name})").replace("0X", "0x"))
}
