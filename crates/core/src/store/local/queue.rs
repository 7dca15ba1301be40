//! What was handed to a queue: `queue/<batch>/`, a folder for each submission.
//!
//! The process that submits, its successors and the jobs on other machines agree by these files alone.
//! A file has its name only when its bytes are on the disk; one that is made *once* belongs to whoever
//! was first; one that grows has a single writer, and a last line that is not whole is as none. A batch
//! whose folder is gone is over: jobs of it end by themselves.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Store, durable, locks, scratch, walk};
use crate::Result;
use crate::error::IoResultExt;
use crate::system::{self, files};

/// The folder of all submissions of a store.
#[derive(Debug, Clone)]
pub struct Submissions {
    store: Store,
    root: PathBuf,
}

impl Store {
    /// What was handed to queues.
    pub fn submissions(&self) -> Submissions {
        Submissions { store: self.clone(), root: self.root().join("queue") }
    }
}

impl Submissions {
    /// The folder of a batch.
    pub fn folder(&self, batch: &str) -> PathBuf {
        self.root.join(batch)
    }

    /// The batches that are not over, oldest first as far as their names tell.
    pub fn batches(&self) -> Result<Vec<String>> {
        if !self.root.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = walk::names(&self.root)?;
        names.retain(|name| self.root.join(name).is_dir());
        names.sort_unstable();
        Ok(names)
    }

    /// Makes the folder of a batch; false when it is there already.
    pub fn make(&self, batch: &str) -> Result<bool> {
        durable::create_folder(&self.root)?;
        let folder = self.folder(batch);
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            other => other.at(&folder).map(|()| true),
        }
    }

    /// Makes a file hold `bytes`, at once and for good.
    pub fn put(&self, batch: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder(batch).join(name);
        let temporary = self.store.temporary()?;
        durable::write_new(&temporary, bytes)?;
        // Not made anew where it is missing: a batch without its folder is over.
        files::rename(&temporary, &path).at(&path)?;
        durable::sync_folder(&self.folder(batch))
    }

    /// Makes a file that nobody else has made; false when somebody has.
    pub fn put_once(&self, batch: &str, name: &str, bytes: &[u8]) -> Result<bool> {
        let path = self.folder(batch).join(name);
        let temporary = self.store.temporary()?;
        durable::write_new(&temporary, bytes)?;
        // A link and not an exclusive open: whoever sees the name sees the bytes.
        let made = match std::fs::hard_link(&temporary, &path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error)
                if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) =>
            {
                return create_once(&path, bytes);
            }
            // A cut answer of a file server: the file tells who was first.
            Err(error) => match std::fs::read(&path) {
                Ok(there) => there == bytes,
                Err(_) => return Err(error).at(&path),
            },
        };
        let _ = std::fs::remove_file(&temporary);
        durable::sync_folder(&self.folder(batch))?;
        Ok(made)
    }

    /// Writes over a file that nobody waits for.
    pub fn touch(&self, batch: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder(batch).join(name);
        std::fs::write(&path, bytes).at(&path)
    }

    /// Adds a line to a file of which this process is the only writer.
    pub fn append(&self, batch: &str, name: &str, line: &[u8]) -> Result<()> {
        let path = self.folder(batch).join(name);
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(&path).at(&path)?;
        // What a killed writer left of its last line stays a line of its own.
        let torn = match file.seek(SeekFrom::End(-1)) {
            Ok(_) => {
                let mut last = [0];
                file.read_exact(&mut last).at(&path)?;
                last != *b"\n"
            }
            Err(_) => false,
        };
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if torn {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        file.write_all(&bytes).at(&path)?;
        file.sync_data().at(&path)
    }

    /// The bytes of a file; none where it is missing.
    pub fn read(&self, batch: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.folder(batch).join(name);
        match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.at(&path).map(Some),
        }
    }

    /// The whole lines of a file from a place on, and the place after them.
    pub fn lines_after(&self, batch: &str, name: &str, from: u64) -> Result<(Vec<u8>, u64)> {
        let path = self.folder(batch).join(name);
        // Opened anew each time: that is when NFS looks whether a file has changed.
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), from)),
            other => other.at(&path)?,
        };
        if file.metadata().at(&path)?.len() <= from {
            return Ok((Vec::new(), from));
        }
        file.seek(SeekFrom::Start(from)).at(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at(&path)?;
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1));
        let read = bytes.len() as u64;
        Ok((bytes, from + read))
    }

    /// The names of a batch's files.
    pub fn names(&self, batch: &str) -> Result<Vec<String>> {
        let folder = self.folder(batch);
        if folder.is_dir() { walk::names(&folder) } else { Ok(Vec::new()) }
    }

    /// Ends a batch: its jobs find nothing to do.
    pub fn remove(&self, batch: &str) -> Result<()> {
        let folder = self.folder(batch);
        scratch::remove_tree(&folder).at(folder)
    }

    /// Asks the runs of a pipeline, or of all, to stop.
    pub fn ask_to_stop(&self, pipeline: Option<&str>) -> Result<()> {
        durable::create_folder(&self.root)?;
        let mark = serde_json::json!({ "at": crate::clock::now(), "pipeline": pipeline });
        self.store.write(&self.root.join("stop"), mark.to_string().as_bytes())
    }

    /// The last request to stop that a pipeline heeds; it changes with each.
    pub fn stop_mark(&self, pipeline: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join("stop")).ok()?;
        let mark: serde_json::Value = serde_json::from_str(&text).ok()?;
        let whose = mark["pipeline"].as_str();
        whose.is_none_or(|whose| whose == pipeline).then_some(text)
    }

    /// The right to record a submission, so that two processes do not submit the same. Held for short
    /// work only.
    pub fn lock(&self) -> Result<File> {
        let path = self.store.root().join("locks").join("queue");
        let file = locks::open(&path)?;
        system::locks::lock(&file).at(&path)?;
        Ok(file)
    }
}

/// For file systems without links.
fn create_once(path: &Path, bytes: &[u8]) -> Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(bytes).at(path)?;
            file.sync_all().at(path)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).at(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_whole_made_once_and_read_by_lines() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let submissions = store.submissions();
        assert!(submissions.batches().unwrap().is_empty());
        assert!(submissions.make("b").unwrap());
        assert!(!submissions.make("b").unwrap());
        assert!(submissions.put_once("b", "claim", b"one").unwrap());
        assert!(!submissions.put_once("b", "claim", b"two").unwrap());
        assert_eq!(submissions.read("b", "claim").unwrap().unwrap(), b"one");
        submissions.append("b", "lines", b"first").unwrap();
        let (lines, place) = submissions.lines_after("b", "lines", 0).unwrap();
        assert_eq!((lines.as_slice(), place), (b"first\n".as_slice(), 6));
        // A writer that was killed within its line.
        let path = submissions.folder("b").join("lines");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"seco").unwrap();
        assert_eq!(submissions.lines_after("b", "lines", place).unwrap().0, b"");
        submissions.append("b", "lines", b"third").unwrap();
        assert_eq!(submissions.lines_after("b", "lines", place).unwrap().0, b"seco\nthird\n");
        assert_eq!(submissions.batches().unwrap(), ["b"]);
        submissions.remove("b").unwrap();
        assert!(submissions.put("b", "late", b"").is_err(), "what is over is not begun anew");
        assert!(submissions.batches().unwrap().is_empty());
    }
}
