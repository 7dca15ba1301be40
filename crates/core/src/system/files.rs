//! Files: which one it is, who may write to it, and when it is on the disk.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Result;
use std::path::Path;
use std::time::SystemTime;

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The number of its file system.
    pub(crate) device: u64,
    /// Its number there.
    pub(crate) number: u64,
    /// How many names it has.
    pub(crate) names: u64,
}

impl Identity {
    /// Of an open file.
    pub(crate) fn of(file: &File) -> Result<Self> {
        #[cfg(unix)]
        return file.metadata().map(|metadata| Self::told(&metadata));
        #[cfg(windows)]
        return super::windows::identity(file);
    }

    /// Of what stands at `path`; a link is not followed.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        #[cfg(unix)]
        return std::fs::symlink_metadata(path).map(|metadata| Self::told(&metadata));
        #[cfg(windows)]
        return Self::of(&super::windows::open_to_ask(path)?);
    }

    #[cfg(unix)]
    fn told(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), number: metadata.ino(), names: metadata.nlink() }
    }

    /// Whether both are one file.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.device, self.number) == (other.device, other.number)
    }
}

/// When a file or its attributes changed, in ns since 1970, and its number: what tells that it is another, where its size and its time do
/// not. Windows tells neither without opening the file: both are 0 there.
pub(crate) fn change(metadata: &Metadata) -> (i64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let seconds = metadata.ctime().saturating_mul(1_000_000_000);
        (seconds.saturating_add(metadata.ctime_nsec()), metadata.ino())
    }
    #[cfg(windows)]
    {
        let _ = metadata;
        (0, 0)
    }
}

/// A folder of which many files are asked for.
#[derive(Debug)]
pub(crate) struct Folder {
    #[cfg(unix)]
    open: File,
    #[cfg(windows)]
    path: std::path::PathBuf,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        #[cfg(unix)]
        return File::open(path).map(|open| Self { open });
        #[cfg(windows)]
        return Ok(Self { path: path.to_owned() });
    }

    /// Size and sub-second part of the modification time, in ns, of what has this name below the folder; a link is not followed.
    pub(crate) fn look(&self, name: &str) -> Result<(u64, u32)> {
        // A short name below an open folder costs a third less than the whole path.
        #[cfg(unix)]
        {
            let stat = rustix::fs::statat(&self.open, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
            let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
            Ok((size, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()))
        }
        #[cfg(windows)]
        {
            let metadata = std::fs::symlink_metadata(self.path.join(name))?;
            let since = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH);
            Ok((metadata.len(), since.map_or(0, |since| since.subsec_nanos())))
        }
    }
}

/// Opens a file for reading, and never waits for the other end of a pipe.
pub(crate) fn open_at_once(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    options.open(path)
}

/// Reads from a place of a file, whatever was read before.
pub(crate) fn read_at(file: &File, part: &mut [u8], offset: u64) -> Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, part, offset);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, part, offset);
}

/// Gives a file its name, in place of the file that has it.
///
/// On Windows a file that a scanner or an old program holds open cannot be replaced: it is tried again for a second.
///
/// # Errors
/// As of [`std::fs::rename`].
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    #[cfg(unix)]
    return std::fs::rename(from, to);
    #[cfg(windows)]
    return super::windows::rename(from, to);
}

/// Waits until what was written to a file is on the disk, also where it is open for reading alone.
///
/// # Errors
/// The disk does not take it.
pub fn sync(file: &File) -> Result<()> {
    #[cfg(unix)]
    return file.sync_all();
    #[cfg(windows)]
    return super::windows::open_to_write(file)?.sync_all();
}

/// Waits until the names in a folder are on the disk. Windows cannot be asked to: NTFS keeps a journal of them.
///
/// # Errors
/// The disk does not take them.
pub fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        return File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// Waits until all of the file system that an open file is on is on the disk; false where the system cannot do that.
pub(crate) fn sync_file_system(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::syncfs(file).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

/// Sets when an open file was modified, also where it is open for reading alone.
pub(crate) fn set_modified(file: &File, time: SystemTime) -> Result<()> {
    #[cfg(unix)]
    return file.set_modified(time);
    #[cfg(windows)]
    return super::windows::open_to_mark(file)?.set_modified(time);
}

/// Whether this process may make files in a folder, as far as its attributes tell.
pub(crate) fn is_writable(folder: &Path) -> bool {
    #[cfg(unix)]
    return rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    #[cfg(windows)]
    return std::fs::metadata(folder).is_ok_and(|folder| !folder.permissions().readonly());
}

/// Makes content of the store read-only for everybody. Not on Windows: a name of it by which it is shown could not be replaced or removed
/// any more, since all names of a file share this attribute.
pub(crate) fn seal(file: &File) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o444))
    }
    #[cfg(windows)]
    {
        let _ = file;
        Ok(())
    }
}

/// Makes a copy of the store's content its reader's own: everybody reads it, its owner writes to it.
///
/// # Errors
/// The file is not there, or another user's.
pub fn make_writable(path: &Path) -> Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    #[cfg(windows)]
    permissions.set_readonly(false);
    std::fs::set_permissions(path, permissions)
}

/// Lets the owner list and change a folder and those below it. On Windows it is files that keep their folder from being removed.
pub(crate) fn open_up(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_up(&entry.path())?;
        } else if cfg!(windows) && kind.is_file() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_itself_by_all_its_names_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "x").unwrap();
        std::fs::write(path("b"), "x").unwrap();
        let a = Identity::at(&path("a")).unwrap();
        assert_eq!(a.names, 1);
        assert!(a.is(&Identity::of(&File::open(path("a")).unwrap()).unwrap()));
        assert!(!a.is(&Identity::at(&path("b")).unwrap()));
        assert_eq!(a.device, Identity::at(folder.path()).unwrap().device);
        std::fs::hard_link(path("a"), path("c")).unwrap();
        let c = Identity::at(&path("c")).unwrap();
        assert!(a.is(&c) && c.names == 2);
        // It takes its identity along.
        rename(&path("c"), &path("b")).unwrap();
        assert!(a.is(&Identity::at(&path("b")).unwrap()));
    }

    #[test]
    fn a_file_that_is_read_can_be_marked_synced_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("f"), folder.path().join("new"));
        std::fs::write(&path, "text").unwrap();
        let file = File::open(&path).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_000);
        set_modified(&file, time).unwrap();
        seal(&file).unwrap();
        sync(&file).unwrap();
        sync_folder(folder.path()).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
        let look = Folder::open(folder.path()).unwrap().look("f").unwrap();
        assert_eq!(look, (4, 123_456_000));
        std::fs::write(&new, "another").unwrap();
        rename(&new, &path).unwrap();
        let mut part = [0; 9];
        assert_eq!(read_at(&file, &mut part, 1).unwrap(), 3);
        assert_eq!(&part[..3], b"ext");
        assert_eq!(std::fs::read(&path).unwrap(), b"another");
    }

    #[test]
    fn folders_with_read_only_content_can_be_removed_once_they_are_opened_up() {
        let folder = tempfile::tempdir().unwrap();
        let (below, file) = (folder.path().join("a/b"), folder.path().join("a/b/f"));
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(&file, "text").unwrap();
        for path in [&file, &below] {
            let mut permissions = std::fs::metadata(path).unwrap().permissions();
            permissions.set_readonly(true);
            std::fs::set_permissions(path, permissions).unwrap();
        }
        open_up(&folder.path().join("a")).unwrap();
        std::fs::remove_dir_all(folder.path().join("a")).unwrap();
    }
}
