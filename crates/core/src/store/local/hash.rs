//! Hashing of files: small ones in one read, large ones in parallel parts.
//!
//! No memory maps: a file that someone truncates meanwhile must be an error, not a signal.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root};

use crate::Digest;
use crate::system::files;

/// Bytes that one thread reads and hashes at a time: a power of two, small enough for its cache.
const PART: u64 = 256 << 10;

/// From this size on, several threads hash a file.
const PARALLEL: u64 = 2 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with this thread's buffer of [`PART`] bytes.
fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(PART as usize, 0);
        work(buffer)
    })
}

/// The digest and the size of the file at `path`.
pub(crate) fn of_path(path: &Path) -> io::Result<(Digest, u64)> {
    of_file(&File::open(path)?)
}

/// The digest and the size of an open file, from its beginning.
///
/// # Errors
/// The file could not be read, or became shorter meanwhile.
pub(super) fn of_file(file: &File) -> io::Result<(Digest, u64)> {
    let size = file.metadata()?.len();
    if size < PART {
        let whole = with_buffer(|buffer| -> io::Result<_> {
            let read = fill(file, buffer)?;
            Ok((read < buffer.len()).then(|| (Digest::of(&buffer[..read]), read as u64)))
        })?;
        // It grows, or the system does not tell sizes here.
        return whole.map_or_else(|| streamed(file), Ok);
    }
    if size < PARALLEL {
        return streamed(file);
    }
    let left = left_subtree_len(size);
    let (a, b) = rayon::join(|| subtree(file, 0, left), || subtree(file, left, size - left));
    let root = merge_subtrees_root(&a?, &b?, Mode::Hash);
    Ok((Digest::from_bytes(*root.as_bytes()), size))
}

fn subtree(file: &File, offset: u64, size: u64) -> io::Result<ChainingValue> {
    if size > PART {
        let left = left_subtree_len(size);
        let (a, b) = rayon::join(
            || subtree(file, offset, left),
            || subtree(file, offset + left, size - left),
        );
        return Ok(merge_subtrees_non_root(&a?, &b?, Mode::Hash));
    }
    with_buffer(|buffer| {
        let part = &mut buffer[..size as usize];
        read_exact_at(file, part, offset)?;
        let mut hasher = Hasher::new();
        hasher.set_input_offset(offset).update(part);
        Ok(hasher.finalize_non_root())
    })
}

/// Reads to the end, whatever the size was said to be.
fn streamed(file: &File) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut offset = 0;
    loop {
        let read = with_buffer(|buffer| -> io::Result<_> {
            let read = read_at(file, buffer, offset)?;
            hasher.update(&buffer[..read]);
            Ok(read)
        })?;
        if read == 0 {
            let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
            return Ok((digest, offset));
        }
        offset += read as u64;
    }
}

/// Copies all of `from` to `to`; the digest is that of the very bytes that were written.
pub(super) fn copy(from: &File, to: &mut impl io::Write) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut size = with_buffer(|buffer| -> io::Result<_> {
        let read = fill(from, buffer)?;
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        Ok(read as u64)
    })?;
    if size == PART {
        let mut buffer = vec![0; (PART * 4) as usize];
        loop {
            let read = read_at(from, &mut buffer, size)?;
            if read == 0 {
                break;
            }
            hasher.update_rayon(&buffer[..read]);
            to.write_all(&buffer[..read])?;
            size += read as u64;
        }
    }
    Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), size))
}

/// Reads from the beginning until the buffer is full or the file ends.
fn fill(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read_at(file, &mut buffer[done..], done as u64)? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

fn read_exact_at(file: &File, mut part: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !part.is_empty() {
        let read = read_at(file, part, offset)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was read",
            ));
        }
        part = &mut part[read..];
        offset += read as u64;
    }
    Ok(())
}

fn read_at(file: &File, part: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match files::read_at(file, part, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_around_the_parts_gives_the_digest_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let part = PART as usize;
        let bytes: Vec<u8> = (0..13 * part + 9).map(|i| (i * 31 % 251) as u8).collect();
        for size in [
            0,
            1,
            1023,
            1025,
            part - 1,
            part,
            part + 1,
            2 * part,
            3 * part + 5,
            5 * part + 7,
            8 * part - 1,
            8 * part,
            8 * part + 1,
            13 * part + 9,
        ] {
            std::fs::write(&path, &bytes[..size]).unwrap();
            let wanted = (Digest::of(&bytes[..size]), size as u64);
            assert_eq!(of_path(&path).unwrap(), wanted, "{size}");
            let mut copied = Vec::new();
            let file = File::open(&path).unwrap();
            assert_eq!(copy(&file, &mut copied).unwrap(), wanted, "{size}");
            assert!(copied == bytes[..size]);
        }
    }
}
