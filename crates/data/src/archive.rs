//! Unpacking zip, tar, tar.gz and gz files that may be hostile.
//!
//! Nothing is written outside the given folder: entries whose names have `..`, a root, a drive or
//! a backslash are refused, as are links and devices, a second entry of the same name or of one that
//! differs in capital letters alone (they are one file on macOS and Windows), and archives that grow
//! beyond the limits. Times, owners and permissions are not kept.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Result};

/// How much an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all unpacked files together.
    pub size: u64,
    /// How many times larger than the archive the files may be, beyond the first 16 MiB.
    pub ratio: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 8 << 30, ratio: 200, entries: 2_000_000 }
    }
}

/// What an archive, or the part of it that was asked for, turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpacked {
    /// One file.
    File(PathBuf),
    /// A folder of files.
    Folder(PathBuf),
}

/// The sort of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Zip,
    Tar,
    TarGz,
    Gz,
}

/// Whether a file of this name is an archive to be unpacked unless said otherwise.
///
/// `.npz` and `.pth` files are zip archives too, but are read as they are.
pub fn is_archive_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".zip", ".tar", ".tgz", ".gz", ".whl"].iter().any(|ending| name.ends_with(ending))
}

/// Unpacks `archive` into `folder`, which is made.
///
/// `select` is the path of a file or folder in the archive: only that is unpacked, without the
/// folders above it. With `strip_root`, the archive's first folder is left out of all names (npm's
/// `package/`). A `.gz` file that holds no tar archive is one file, named by `name` without `.gz`.
pub fn unpack(
    archive: &Path,
    name: &str,
    select: Option<&str>,
    strip_root: bool,
    folder: &Path,
    limits: Limits,
) -> Result<Unpacked> {
    std::fs::create_dir_all(folder).at(folder)?;
    let compressed = archive.metadata().at(archive)?.len();
    let allowed = limits.size.min(compressed.saturating_mul(limits.ratio).max(16 << 20));
    let mut unpacking = Unpacking {
        select: select.map(|select| select.trim_matches('/').to_owned()).filter(|s| !s.is_empty()),
        strip_root,
        folder: folder.to_owned(),
        limits,
        compressed,
        left: allowed,
        entries: 0,
        file: None,
        written: 0,
        top: BTreeSet::new(),
        spelled: BTreeMap::new(),
        buffer: vec![0; 1 << 16],
    };
    match format(archive)? {
        Format::Zip => unpacking.zip(archive),
        Format::Tar => unpacking.tar(BufReader::new(File::open(archive).at(archive)?)),
        Format::TarGz => unpacking.tar(gunzip(archive)?),
        Format::Gz => {
            let path = folder.join(name.strip_suffix(".gz").unwrap_or(name));
            let written =
                gunzip(archive).and_then(|mut from| unpacking.write(&mut from, name, &path));
            unpacking.file = Some(path);
            written
        }
    }
    .doing(|| format!("unpacking `{name}`"))?;
    unpacking.finish()
}

fn gunzip(archive: &Path) -> Result<MultiGzDecoder<BufReader<File>>> {
    Ok(MultiGzDecoder::new(BufReader::new(File::open(archive).at(archive)?)))
}

fn format(archive: &Path) -> Result<Format> {
    let start = |reader: &mut dyn Read| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.take(512).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // POSIX.1-1988: `ustar` at byte 257. Older tars have no mark and are not read.
    let is_tar = |bytes: &[u8]| bytes.get(257..262) == Some(b"ustar");
    let bytes = start(&mut File::open(archive).at(archive)?).at(archive)?;
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        Ok(Format::Zip)
    } else if is_tar(&bytes) {
        Ok(Format::Tar)
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        let inner = start(&mut gunzip(archive)?).at(archive)?;
        Ok(if is_tar(&inner) { Format::TarGz } else { Format::Gz })
    } else {
        Err(Error::message("expected a zip, tar, tar.gz or gz file"))
    }
}

struct Unpacking {
    select: Option<String>,
    strip_root: bool,
    folder: PathBuf,
    limits: Limits,
    compressed: u64,
    /// Bytes that may still be written.
    left: u64,
    entries: u64,
    /// The selected file, when the selection is a file.
    file: Option<PathBuf>,
    written: u64,
    /// Names at the archive's top, for the message when the selection is not there.
    top: BTreeSet<String>,
    /// The files and folders that were made, by their names in small letters.
    spelled: BTreeMap<String, String>,
    buffer: Vec<u8>,
}

impl Unpacking {
    fn zip(&mut self, path: &Path) -> Result<()> {
        let file = BufReader::new(File::open(path).at(path)?);
        let mut archive = zip::ZipArchive::new(file).map_err(Error::other)?;
        // The library keeps the last of several entries of one name.
        let twins = match archive.has_duplicate_names() {
            true => {
                let mut file = BufReader::new(File::open(path).at(path)?);
                twins(&mut file, archive.central_directory_start()).at(path)?
            }
            false => BTreeSet::new(),
        };
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(Error::other)?;
            let name = entry.name().map_err(Error::other)?.into_owned();
            let Some(path) = self.admit(&name, entry.is_dir())? else { continue };
            if twins.contains(entry.name_raw()) {
                return Err(refused(&name, "it is there twice"));
            }
            if entry.is_symlink() {
                return Err(refused(&name, "it is a symbolic link"));
            }
            self.write(&mut entry, &name, &path)?;
        }
        Ok(())
    }

    fn tar(&mut self, reader: impl Read) -> Result<()> {
        use tar::EntryType;
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(Error::other)? {
            let mut entry = entry.map_err(Error::other)?;
            let name = std::str::from_utf8(&entry.path_bytes())
                .map_err(|_| Error::message("an entry's name is not UTF-8"))?
                .to_owned();
            let kind = entry.header().entry_type();
            if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
                continue;
            }
            let Some(path) = self.admit(&name, kind == EntryType::Directory)? else { continue };
            match kind {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {}
                EntryType::Symlink => return Err(refused(&name, "it is a symbolic link")),
                EntryType::Link => return Err(refused(&name, "it is a hard link")),
                _ => return Err(refused(&name, "it is neither a file nor a folder")),
            }
            self.write(&mut entry, &name, &path)?;
        }
        Ok(())
    }

    /// Where the entry's file goes; none when it is a folder or not selected.
    fn admit(&mut self, name: &str, is_folder: bool) -> Result<Option<PathBuf>> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::message(format!("more than {} entries", self.limits.entries)));
        }
        let mut parts = Vec::new();
        for part in name.split('/') {
            match part {
                // `./a` and `a//b` are what tar writes for honest folders.
                "." | "" if !name.starts_with('/') => {}
                ".." | "" => return Err(refused(name, "its name leads out of the folder")),
                part if part.contains(['\\', '\0']) || has_drive(part) => {
                    return Err(refused(name, "its name has a backslash, a NUL or a drive"));
                }
                part => parts.push(part),
            }
        }
        if self.strip_root && !parts.is_empty() {
            parts.remove(0);
        }
        // What file managers leave behind would make one content look like two.
        if parts.contains(&"__MACOSX") || parts.last() == Some(&".DS_Store") {
            return Ok(None);
        }
        let Some(first) = parts.first() else { return Ok(None) };
        if self.top.len() < 20 {
            self.top.insert((*first).to_owned());
        }
        let selected = match &self.select {
            None => parts.as_slice(),
            Some(select) => {
                let select: Vec<_> = select.split('/').collect();
                match parts.strip_prefix(select.as_slice()) {
                    None => return Ok(None),
                    Some([]) if is_folder => return Ok(None),
                    Some([]) => {
                        let path = self.folder.join(parts[parts.len() - 1]);
                        self.file = Some(path.clone());
                        return Ok(Some(path));
                    }
                    Some(rest) => rest,
                }
            }
        };
        if is_folder {
            return Ok(None);
        }
        Ok(Some(selected.iter().fold(self.folder.clone(), |path, part| path.join(part))))
    }

    fn write(&mut self, from: &mut dyn Read, name: &str, path: &Path) -> Result<()> {
        if self.spell(name, path)?
            && let Some(parent) = path.parent()
        {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        let mut file = match File::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(refused(name, "it is there twice"));
            }
            file => file.at(path)?,
        };
        loop {
            let n = match from.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::message(format!("`{name}`: {error}"))),
            };
            let Some(left) = self.left.checked_sub(n as u64) else {
                return Err(Error::message(format!(
                    "the files grow beyond the limit of {} bytes and {} times the archive's size \
                     ({} bytes)",
                    self.limits.size, self.limits.ratio, self.compressed
                )));
            };
            self.left = left;
            file.write_all(&self.buffer[..n]).at(path)?;
        }
        self.written += 1;
        Ok(())
    }

    /// Notes the names of a file and of the folders above it: whether any of these is new.
    fn spell(&mut self, name: &str, path: &Path) -> Result<bool> {
        let inside = path.strip_prefix(&self.folder).unwrap_or(path).to_string_lossy();
        let ends = inside.match_indices(['/', '\\']).map(|(end, _)| end).chain([inside.len()]);
        let mut new_folder = self.spelled.is_empty();
        for end in ends {
            let spelling = &inside[..end];
            match self.spelled.entry(spelling.to_lowercase()) {
                Entry::Vacant(free) => {
                    new_folder |= end < inside.len();
                    free.insert(spelling.to_owned());
                }
                Entry::Occupied(known) if known.get() != spelling => {
                    let other = known.get();
                    let why = format!("on macOS and Windows `{spelling}` and `{other}` are one");
                    return Err(refused(name, &why));
                }
                Entry::Occupied(_) => {}
            }
        }
        Ok(new_folder)
    }

    fn finish(self) -> Result<Unpacked> {
        match (self.file, self.written) {
            (Some(_), n) if n > 1 => {
                Err(Error::message("the archive has a file and a folder of one name"))
            }
            (Some(file), _) => Ok(Unpacked::File(file)),
            (None, 0) => {
                let top: Vec<_> = self.top.into_iter().collect();
                Err(Error::message(match self.select {
                    None => "the archive is empty".to_owned(),
                    Some(select) => format!(
                        "no file under `{select}` in the archive; at its top there are: {}",
                        top.join(", ")
                    ),
                }))
            }
            (None, _) => Ok(Unpacked::Folder(self.folder)),
        }
    }
}

/// The names that a zip archive's central directory, which begins at `start`, has more than once.
/// APPNOTE.TXT, 4.3.12: a header of 46 bytes, then name, extra field and comment.
fn twins(file: &mut (impl Read + Seek), start: u64) -> io::Result<BTreeSet<Vec<u8>>> {
    let (mut known, mut twins) = (BTreeSet::new(), BTreeSet::new());
    file.seek(SeekFrom::Start(start))?;
    loop {
        let mut head = [0; 46];
        // The directory's own end is shorter, and may be the file's.
        if file.read_exact(&mut head).is_err() || !head.starts_with(b"PK\x01\x02") {
            return Ok(twins);
        }
        let length = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let mut name = vec![0; length(28).into()];
        file.read_exact(&mut name)?;
        file.seek(SeekFrom::Current(i64::from(length(30)) + i64::from(length(32))))?;
        if !known.insert(name.clone()) {
            twins.insert(name);
        }
    }
}

fn has_drive(part: &str) -> bool {
    matches!(part.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn refused(name: &str, why: &str) -> Error {
    Error::message(format!("entry `{name}` is refused: {why}"))
}

#[cfg(test)]
mod tests;
