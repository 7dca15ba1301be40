//! Downloads that resume and retry.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sconce_core::error::IoResultExt;
use sconce_core::{Context, Digest, Error, Result};
use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, Response, StatusCode};

/// How often and how patiently a download is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts in a row that bring no new byte.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each further one, up to half a minute.
    pub delay: Duration,
    /// A read that brings nothing for so long fails.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, delay: Duration::from_millis(500), stall: Duration::from_secs(60) }
    }
}

/// What is known of a partial file, kept beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Partial {
    url: String,
    /// A strong `ETag` or a `Last-Modified`, for `If-Range`.
    validator: String,
    /// How long the whole is, where the server told.
    #[serde(default)]
    total: Option<u64>,
}

/// Why one attempt failed.
enum Failure {
    /// Trying again is of no use.
    Final(Error),
    /// Trying again may help, after the wait that the server asked for.
    Passing(String, Option<Duration>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Downloads `url` to a file in `partials`, a folder that outlives interrupted runs: what is there
/// of an earlier attempt is continued if the server still has the same content.
///
/// Returns the file, whole, and whether it was put together from several parts, which may be of
/// different content; the caller takes it away.
pub(super) fn download(
    ctx: &Context,
    url: &str,
    bearer: Option<&str>,
    max_size: u64,
    patience: Patience,
    partials: &Path,
) -> Result<(PathBuf, bool)> {
    std::fs::create_dir_all(partials).at(partials)?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(url.starts_with("https:"))
        // A loopback server has no business to send us elsewhere.
        .max_redirects(if url.starts_with("https:") { 10 } else { 0 })
        .timeout_connect(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .timeout_recv_response(Some(patience.stall))
        .http_status_as_error(false)
        .user_agent(concat!("sconce/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .build()
        .into();
    let stem = Digest::of(url.as_bytes()).short();
    let download = Download {
        ctx,
        agent,
        url,
        bearer,
        max_size,
        file: partials.join(format!("{stem}.part")),
        about: partials.join(format!("{stem}.json")),
    };
    let mut fruitless = 0;
    let mut farthest = 0;
    loop {
        let (cause, asked) = match download.attempt() {
            Ok(in_parts) => return Ok((download.file, in_parts)),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(cause, asked)) => (cause, asked),
        };
        let reached = download.file.metadata().map_or(0, |metadata| metadata.len());
        fruitless = if reached > farthest { 1 } else { fruitless + 1 };
        farthest = farthest.max(reached);
        if fruitless >= patience.attempts {
            return Err(Error::message(format!("{cause} ({fruitless} attempts)")));
        }
        let delay = patience.delay.saturating_mul(1 << (fruitless - 1).min(16));
        let delay = asked.unwrap_or(delay).min(Duration::from_secs(30));
        ctx.note(format!("{url}: {cause}; trying again in {:.0} s", delay.as_secs_f32().ceil()));
        wait(ctx, delay)?;
    }
}

fn wait(ctx: &Context, delay: Duration) -> Result<()> {
    let end = Instant::now() + delay;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        ctx.check_cancelled()?;
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    ctx.check_cancelled()
}

struct Download<'a> {
    ctx: &'a Context,
    agent: ureq::Agent,
    url: &'a str,
    bearer: Option<&'a str>,
    max_size: u64,
    file: PathBuf,
    about: PathBuf,
}

impl Download<'_> {
    /// Whether what was received now continues what was there.
    fn attempt(&self) -> Result<bool, Failure> {
        let partial = self.partial();
        let mut request = self.agent.get(self.url);
        if let Some(bearer) = self.bearer {
            request = request.header("Authorization", format!("Bearer {bearer}"));
        }
        if let Some((offset, known)) = &partial {
            request = request
                .header("Range", format!("bytes={offset}-"))
                .header("If-Range", &known.validator);
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::RequireHttpsOnly(_)
            | ureq::Error::TooManyRedirects
            | ureq::Error::BadUri(_) => Failure::Final(Error::message(error.to_string())),
            error => Failure::Passing(error.to_string(), None),
        })?;
        let offset = match (response.status(), partial) {
            (StatusCode::OK, _) => 0,
            (StatusCode::PARTIAL_CONTENT, Some((offset, known))) => {
                let headers = response.headers();
                // Servers that do not know `If-Range` go on with whatever they have now.
                let name = if known.validator.starts_with('"') { "etag" } else { "last-modified" };
                let now = header(headers, name);
                let total = range_total(headers).zip(known.total);
                let changed = now.is_some_and(|now| now != known.validator)
                    || total.is_some_and(|(now, then)| now != then);
                if changed || range_start(headers) != Some(offset) {
                    self.forget()?;
                    let cause = match changed {
                        true => "the content changed between two parts; starting over",
                        false => "the server sent another range than was asked for",
                    };
                    return Err(Failure::Passing(cause.to_owned(), Some(Duration::ZERO)));
                }
                offset
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
                self.forget()?;
                return Err(Failure::Passing("the partial file is of no use".to_owned(), None));
            }
            (status, _) => return Err(bad_status(status, response.headers())),
        };
        self.receive(response, offset)?;
        Ok(offset > 0)
    }

    /// Length of the partial file and what is known of it, if it can be continued.
    fn partial(&self) -> Option<(u64, Partial)> {
        let about: Partial = serde_json::from_slice(&std::fs::read(&self.about).ok()?).ok()?;
        let length = self.file.metadata().ok()?.len();
        (about.url == self.url && length > 0).then_some((length, about))
    }

    fn forget(&self) -> Result<()> {
        for path in [&self.about, &self.file] {
            if path.exists() {
                std::fs::remove_file(path).at(path)?;
            }
        }
        Ok(())
    }

    fn receive(&self, response: Response<ureq::Body>, offset: u64) -> Result<(), Failure> {
        let total = content_length(response.headers()).map(|length| offset + length);
        if total.is_some_and(|total| total > self.max_size) {
            return Err(Failure::Final(self.too_large(total)));
        }
        let mut file = if offset > 0 {
            OpenOptions::new().append(true).open(&self.file).at(&self.file)?
        } else {
            self.forget()?;
            let file = File::create(&self.file).at(&self.file)?;
            if let Some(validator) = validator(response.headers()) {
                let about = Partial { url: self.url.to_owned(), validator, total };
                let json = serde_json::to_vec(&about).map_err(Error::from)?;
                std::fs::write(&self.about, json).at(&self.about)?;
            }
            file
        };
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut done = offset;
        let mut told = Instant::now();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => {
                    return Err(Failure::Passing(format!("the connection broke: {error}"), None));
                }
            };
            done += n as u64;
            if done > self.max_size {
                self.forget()?;
                return Err(Failure::Final(self.too_large(None)));
            }
            file.write_all(&buffer[..n]).at(&self.file)?;
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                self.tell(done, total)?;
            }
        }
        match total {
            Some(total) if done < total => Err(Failure::Passing(
                format!("the connection ended at {done} of {total} bytes"),
                None,
            )),
            _ => Ok(self.tell(done, total)?),
        }
    }

    fn tell(&self, done: u64, total: Option<u64>) -> Result<()> {
        self.ctx.progress(done as usize, total.unwrap_or(0) as usize, "bytes")
    }

    fn too_large(&self, total: Option<u64>) -> Error {
        let total = total.map_or(String::new(), |total| format!(" ({total} bytes)"));
        Error::message(format!("larger{total} than `max_size` allows ({} bytes)", self.max_size))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-length")?.parse().ok()
}

/// RFC 9110, 13.1.5: `If-Range` takes a strong entity tag or a date.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = header(headers, "etag").filter(|tag| tag.starts_with('"'));
    tag.or_else(|| header(headers, "last-modified")).map(str::to_owned)
}

/// `bytes 100-199/200` starts at 100.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = header(headers, "content-range")?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

/// `bytes 100-199/200` is a part of 200.
fn range_total(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?.rsplit_once('/')?.1.parse().ok()
}

fn bad_status(status: StatusCode, headers: &HeaderMap) -> Failure {
    let cause = format!("the server answered {status}");
    let passing = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if passing {
        let seconds = header(headers, "retry-after").and_then(|after| after.parse().ok());
        Failure::Passing(cause, seconds.map(Duration::from_secs))
    } else {
        Failure::Final(Error::message(cause))
    }
}
