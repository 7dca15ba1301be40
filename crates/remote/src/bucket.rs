//! Objects below a prefix, asked for from threads that wait.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

/// Calls at once.
pub(crate) const AT_ONCE: usize = 16;
/// A put on a condition is tried so often.
const TRIES: usize = 4;
/// Chunks at once: each is some megabytes.
pub(crate) const CHUNKS_AT_ONCE: usize = 6;

/// How many calls were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Objects and parts of objects that were read, and looks at single ones.
    pub gets: u64,
    /// Objects that were written.
    pub puts: u64,
    /// Pages of lists.
    pub lists: u64,
    /// Objects that were removed.
    pub deletes: u64,
    /// Bytes that were read.
    pub received: u64,
    /// Bytes that were written.
    pub sent: u64,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The service does not answer, or not sensibly: perhaps later.
    Down(String),
    /// The user has to put something right.
    Refused(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(text) | Self::Refused(text) => f.write_str(text),
        }
    }
}

/// What became of a put that must not replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is there now, and by us.
    Ours,
    /// Something else was there before.
    Theirs(Bytes),
}

/// An object in a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Its name below the prefix.
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// The objects below a prefix.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// What is said where the service refuses who asks.
    refusal: String,
    calls: [AtomicU64; 6],
}

impl Bucket {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let (prefix, refusal) = (prefix.trim_matches('/'), "the credentials are refused");
        Self {
            store,
            prefix: prefix.to_owned(),
            refusal: refusal.to_owned(),
            calls: Default::default(),
        }
    }

    /// The same, which says so where the service refuses who asks.
    pub(crate) fn with_refusal(self, refusal: String) -> Self {
        Self { refusal, ..self }
    }

    pub(crate) fn calls(&self) -> Calls {
        let [gets, puts, lists, deletes, received, sent] =
            std::array::from_fn(|index| self.calls[index].load(Ordering::Relaxed));
        Calls { gets, puts, lists, deletes, received, sent }
    }

    fn count(&self, which: usize, number: usize) {
        self.calls[which].fetch_add(number as u64, Ordering::Relaxed);
    }

    fn path(&self, name: &str) -> Path {
        match self.prefix.is_empty() {
            true => Path::from(name),
            false => Path::from(format!("{}/{name}", self.prefix)),
        }
    }

    /// The whole of an object; none when there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Bytes>, Trouble> {
        Ok(self.get_with_version(name)?.map(|(bytes, _)| bytes))
    }

    fn get_with_version(&self, name: &str) -> Result<Option<(Bytes, UpdateVersion)>, Trouble> {
        self.count(0, 1);
        let path = self.path(name);
        let found = wait(async {
            let found = self.store.get(&path).await?;
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            Ok::<_, Error>((found.bytes().await?, version))
        });
        match found {
            Ok((bytes, version)) => {
                self.count(4, bytes.len());
                Ok(Some((bytes, version)))
            }
            Err(error) => self.absent(error),
        }
    }

    /// Part of an object, which is at least as long; none when there is no such object.
    pub(crate) fn get_range(
        &self,
        name: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Option<Bytes>, Trouble> {
        // An empty range is an error everywhere.
        if range.is_empty() {
            return Ok(Some(Bytes::new()));
        }
        self.count(0, 1);
        match wait(self.store.get_range(&self.path(name), range)) {
            Ok(bytes) => {
                self.count(4, bytes.len());
                Ok(Some(bytes))
            }
            Err(error) => self.absent(error),
        }
    }

    /// When an object was written; none when there is none.
    pub(crate) fn modified(&self, name: &str) -> Result<Option<SystemTime>, Trouble> {
        self.count(0, 1);
        match wait(self.store.head(&self.path(name))) {
            Ok(found) => Ok(Some(found.last_modified.into())),
            Err(error) => self.absent(error),
        }
    }

    /// Writes an object, whatever was there.
    pub(crate) fn put(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        self.count(1, 1);
        self.count(5, bytes.len());
        wait(self.store.put(&self.path(name), PutPayload::from(bytes)))
            .map_err(|error| self.unwritten(error))?;
        Ok(())
    }

    /// Writes an object where none is. A service that knows no conditions writes it in any case.
    ///
    /// The first of two tries may have been carried out although its answer was lost; then the second is
    /// told that there is something. So what is there is compared before it is believed to be another's.
    pub(crate) fn create(&self, name: &str, bytes: &Bytes) -> Result<Created, Trouble> {
        let mut why = format!("{name} is written and removed by others all the time");
        for _ in 0..TRIES {
            match self.put_if(name, bytes, PutMode::Create) {
                Ok(true) => return Ok(Created::Ours),
                Ok(false) => {}
                // `object_store` does not try a condition again after a cut, as it cannot tell what became of it.
                Err(Trouble::Down(text)) => why = text,
                Err(refused) => return Err(refused),
            }
            match self.get(name)? {
                Some(found) if found == *bytes => return Ok(Created::Ours),
                Some(found) => return Ok(Created::Theirs(found)),
                // It was not carried out, or removed meanwhile.
                None => {}
            }
        }
        Err(Trouble::Down(why))
    }

    /// Writes an object in place of `old`. False when something else is there (by now).
    pub(crate) fn exchange(&self, name: &str, old: &Bytes, new: &Bytes) -> Result<bool, Trouble> {
        let Some((found, version)) = self.get_with_version(name)? else { return Ok(false) };
        if found != *old {
            return Ok(false);
        }
        match self.put_if(name, new, PutMode::Update(version)) {
            Ok(true) => Ok(true),
            Ok(false) | Err(Trouble::Down(_)) => {
                Ok(self.get(name)?.is_some_and(|found| found == *new))
            }
            // A folder has no versions: the old one goes, and one of those who come next is first.
            Err(Trouble::Refused(_)) => {
                self.delete(name)?;
                Ok(self.create(name, new)? == Created::Ours)
            }
        }
    }

    /// Whether a put on a condition was carried out.
    fn put_if(&self, name: &str, bytes: &Bytes, mode: PutMode) -> Result<bool, Trouble> {
        self.count(1, 1);
        self.count(5, bytes.len());
        let payload = PutPayload::from(bytes.clone());
        let options = PutOptions { mode, ..PutOptions::default() };
        match wait(self.store.put_opts(&self.path(name), payload, options)) {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            // It was there and has been removed.
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.unwritten(error)),
        }
    }

    /// Whether the service keeps to conditions; tried on `name`, which is there afterwards.
    pub(crate) fn keeps_conditions(&self, name: &str, bytes: &Bytes) -> Result<bool, Trouble> {
        self.put(name, bytes.clone())?;
        let mut why = String::new();
        for _ in 0..TRIES {
            match self.put_if(name, bytes, PutMode::Create) {
                Ok(carried_out) => return Ok(!carried_out),
                Err(Trouble::Refused(_)) => return Ok(false),
                Err(Trouble::Down(text)) => why = text,
            }
        }
        Err(Trouble::Down(why))
    }

    /// Removes an object. That there is none is no error, as a folder has it.
    pub(crate) fn delete(&self, name: &str) -> Result<(), Trouble> {
        self.count(3, 1);
        match wait(self.store.delete(&self.path(name))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// The objects below a folder, in the order of their names; at most about so many.
    pub(crate) fn list(&self, folder: &str, most: usize) -> Result<Vec<Listed>, Trouble> {
        let prefix = self.path(folder);
        let above = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let mut found = Vec::new();
        let listed = wait(async {
            let mut stream = self.store.list(Some(&prefix));
            while let Some(one) = stream.try_next().await? {
                found.push(Listed {
                    name: one.location.as_ref().get(above..).unwrap_or_default().to_owned(),
                    size: one.size,
                    modified: one.last_modified.into(),
                });
                if found.len() >= most {
                    break;
                }
            }
            Ok::<_, Error>(())
        });
        self.count(2, found.len() / 1000 + 1);
        match listed {
            // A folder gives its files in any order.
            Ok(()) => found.sort_unstable_by(|a, b| a.name.cmp(&b.name)),
            Err(Error::NotFound { .. }) => found.clear(),
            Err(error) => return Err(self.trouble(error)),
        }
        Ok(found)
    }

    /// None for what is not there.
    fn absent<T>(&self, error: Error) -> Result<Option<T>, Trouble> {
        match error {
            // S3 says so of a bucket, too.
            Error::NotFound { ref source, .. } if source.to_string().contains("NoSuchBucket") => {
                Err(Trouble::Refused("there is no such bucket".to_owned()))
            }
            Error::NotFound { .. } => Ok(None),
            error => Err(self.trouble(error)),
        }
    }

    fn trouble(&self, error: Error) -> Trouble {
        let text = cause(&error);
        match error {
            Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => {
                Trouble::Refused(format!("{}: {text}", self.refusal))
            }
            Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. } => Trouble::Refused(text),
            _ if text.contains("NoSuchBucket") => {
                Trouble::Refused("there is no such bucket".to_owned())
            }
            _ => Trouble::Down(text),
        }
    }

    /// Why nothing was written. Who may read and not write is told how to do just that.
    fn unwritten(&self, error: Error) -> Trouble {
        let is_denied = matches!(error, Error::PermissionDenied { .. });
        match self.trouble(error) {
            Trouble::Refused(text) if is_denied && text.contains("AccessDenied") => {
                Trouble::Refused(format!(
                    "{text}; who may only read says --read-only-remote, or `store.read_only = true`"
                ))
            }
            other => other,
        }
    }
}

/// The results of `work` in the order of `items`, on up to `most` threads.
pub(crate) fn at_once<T: Sync, R: Send>(
    most: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..most.min(items.len())).map(|_| scope.spawn(take)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<(usize, R)>>| match thread.join()
        {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().flat_map(join).collect()
    });
    all.sort_unstable_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

/// Waits for a future on this thread. `object_store` wants a runtime for its pauses between tries.
fn wait<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    thread_local! {
        static RUNTIME: std::io::Result<tokio::runtime::Runtime> =
            tokio::runtime::Builder::new_current_thread().enable_time().build();
    }
    RUNTIME.with(|runtime| match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => Err(Error::Generic {
            store: "runtime",
            source: Box::new(std::io::Error::new(error.kind(), error.to_string())),
        }),
    })
}

/// The innermost cause in one line: what is around it repeats addresses and tries.
fn cause(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    // Services answer in XML; people read what is in it.
    let within = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    };
    let text = match (within("Code"), within("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => text,
    };
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(200) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// How patiently calls are tried again.
pub(crate) fn patience() -> object_store::RetryConfig {
    object_store::RetryConfig {
        backoff: object_store::BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(60),
    }
}
