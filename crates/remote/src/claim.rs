//! Claims: which machine computes a key. They save work; results are right without them.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use sconce_core::store::Claim;
use sconce_core::{Digest, Result};
use serde::{Deserialize, Serialize};

use crate::bucket::{Created, Trouble};
use crate::link::{Link, now, random};
use crate::shared::Access;

/// A claim that is not renewed for so many seconds is anyone's.
const LEASE: u64 = 120;
const RENEW: Duration = Duration::from_secs(40);

/// Who computes a key, and until when.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The machine, and a random text by which two tries of one process are told from two processes.
    pub(crate) owner: String,
    /// Seconds since 1970.
    pub(crate) until: u64,
    /// When it began.
    #[serde(default)]
    pub(crate) since: u64,
}

/// A claim of this process, renewed until it is dropped.
struct Held {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn claim(inner: &Arc<Link>, key: &Digest) -> Result<Option<Claim>> {
    let nothing = || Ok(Some(Box::new(()) as Claim));
    if inner.access == Access::ReadOnly || inner.is_down() {
        return nothing();
    }
    inner.pause_before_asking_again(key);
    match take(inner, key) {
        Ok(Some(lease)) => Ok(Some(Box::new(hold(inner, key, lease)))),
        Ok(None) => {
            inner.note_claimed(key);
            Ok(None)
        }
        Err(Taken::Unfit) => nothing(),
        Err(Taken::Trouble(trouble)) => inner.without(&trouble).and_then(|()| nothing()),
    }
}

enum Taken {
    /// The service does not keep to conditions: nobody has a right.
    Unfit,
    Trouble(Trouble),
}

impl From<Trouble> for Taken {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

pub(crate) fn name(key: &Digest) -> String {
    format!("claims/{}", key.hex())
}

fn lease(owner: &str, since: u64) -> Bytes {
    let lease = Lease { owner: owner.to_owned(), until: now() + LEASE, since };
    serde_json::to_vec(&lease).unwrap_or_default().into()
}

/// The lease that is ours now; none while another has one.
fn take(inner: &Link, key: &Digest) -> Result<Option<(String, Bytes)>, Taken> {
    if !inner.keeps_conditions()? {
        return Err(Taken::Unfit);
    }
    let bucket = inner.ready()?;
    let down = |error: sconce_core::Error| Trouble::Down(error.to_string());
    let machine = inner.machine().map_err(down)?;
    let owner = format!("{machine}.{}", random().map_err(down)?);
    let ours = lease(&owner, now());
    let theirs = match bucket.create(&name(key), &ours)? {
        Created::Ours => return Ok(Some((owner, ours))),
        Created::Theirs(theirs) => theirs,
    };
    // What cannot be read is nobody's. A lease of this machine is a dead process': the key's lock is ours.
    let is_alive = |lease: Lease| lease.until > now() && !lease.owner.starts_with(&machine);
    if serde_json::from_slice(&theirs).is_ok_and(is_alive) {
        return Ok(None);
    }
    Ok(bucket.exchange(&name(key), &theirs, &ours)?.then_some((owner, ours)))
}

/// Renews a lease until the claim is dropped, then gives it back.
fn hold(inner: &Arc<Link>, key: &Digest, (owner, mut ours): (String, Bytes)) -> Held {
    let (stop, stopped) = channel::<()>();
    let (inner, name) = (Arc::clone(inner), name(key));
    let since = now();
    let thread = std::thread::spawn(move || {
        let Ok(bucket) = inner.bucket() else { return };
        while stopped.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
            let next = lease(&owner, since);
            match bucket.exchange(&name, &ours, &next) {
                Ok(true) => ours = next,
                // Another has it by now, and both compute: no harm but the work.
                Ok(false) => return,
                Err(_) => {}
            }
        }
        if bucket.get(&name).is_ok_and(|found| found.is_some_and(|found| found == ours)) {
            let _ = bucket.delete(&name);
        }
    });
    Held { stop: Some(stop), thread: Some(thread) }
}
