//! As much of HTTP as a local page needs: requests without a body, one answer a connection.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Longest head of a request in bytes.
const LONGEST: usize = 16 << 10;
/// Connections at a time; more wait in the system's queue.
const MOST: usize = 64;
/// How long a reader or writer may be silent.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Whether only the head of the answer is wanted.
    pub(super) head: bool,
    /// The path, decoded, without the query.
    pub(super) path: String,
    /// Names and values of the query, decoded.
    pub(super) query: Vec<(String, String)>,
    /// The header `Host`, as it was sent.
    pub(super) host: String,
}

impl Request {
    /// The value of a name of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The type of the content.
    pub(super) content: &'static str,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// What an answer holds.
pub(super) enum Body {
    Bytes(Vec<u8>),
    /// An open file, and its size.
    File(File, u64),
}

impl Answer {
    pub(super) fn text(status: u16, text: &str) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
    }

    pub(super) fn bytes(status: u16, content: &'static str, bytes: Vec<u8>) -> Self {
        Self { status, content, headers: Vec::new(), body: Body::Bytes(bytes) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers requests until the process ends.
pub(super) fn serve(listener: &TcpListener, answer: &(dyn Fn(&Request) -> Answer + Sync)) {
    let busy = &AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            while busy.load(Ordering::SeqCst) >= MOST {
                std::thread::sleep(Duration::from_millis(2));
            }
            busy.fetch_add(1, Ordering::SeqCst);
            scope.spawn(move || {
                // Who goes away misses the answer.
                let _ = converse(&stream, answer);
                busy.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
}

fn converse(stream: &TcpStream, answer: &dyn Fn(&Request) -> Answer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let (answer, head) = match read(stream)? {
        Ok(request) => (answer(&request), request.head),
        Err(refused) => (refused, false),
    };
    write(stream, answer, head)
}

/// The request of a connection, or why there is none.
fn read(mut stream: &TcpStream) -> std::io::Result<Result<Request, Answer>> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&part[..read]);
        match parse(&bytes) {
            Ok(Some(request)) => return Ok(Ok(request)),
            Ok(None) if bytes.len() >= LONGEST => {
                return Ok(Err(Answer::text(431, "the request's head is too long")));
            }
            Ok(None) => {}
            Err(refused) => return Ok(Err(refused)),
        }
    }
}

/// A request whose head is whole; none while some of it is missing.
fn parse(bytes: &[u8]) -> Result<Option<Request>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(status) if status.is_partial() => return Ok(None),
        Ok(_) => {}
        Err(_) => return Err(Answer::text(400, "no request of HTTP")),
    }
    let method = head.method.unwrap_or_default();
    if !matches!(method, "GET" | "HEAD") {
        let refused = Answer::text(405, "this page can only be read");
        return Err(refused.with("Allow", "GET, HEAD"));
    }
    let hosts: Vec<_> =
        head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host")).collect();
    let [host] = hosts[..] else { return Err(Answer::text(400, "expected one header Host")) };
    let host = String::from_utf8_lossy(host.value).into_owned();
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decoded = |text: &str| decode(text).ok_or_else(|| Answer::text(400, "no such address"));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    };
    let query = pairs.map(pair).collect::<Result<_, Answer>>()?;
    Ok(Some(Request { head: method == "HEAD", path: decoded(path)?, query, host }))
}

/// A part of an address with its `%`-signs resolved; none when it is no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn write(mut stream: &TcpStream, answer: Answer, head: bool) -> std::io::Result<()> {
    let reason = match answer.status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    };
    let length = match &answer.body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::File(_, size) => *size,
    };
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {length}\r\nConnection: close\r\n",
        answer.status, answer.content
    );
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    stream.write_all(text.as_bytes())?;
    if !head {
        match answer.body {
            Body::Bytes(bytes) => stream.write_all(&bytes)?,
            Body::File(file, size) => _ = std::io::copy(&mut file.take(size), &mut stream)?,
        }
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> u16 {
        parse(text.as_bytes()).err().map_or(0, |answer| answer.status)
    }

    #[test]
    fn a_request_is_a_path_a_query_and_a_host() {
        let text = "GET /a%20b/c?x=1&y=%C3%BC&z HTTP/1.1\r\nhost: localhost:80\r\nA: b\r\n\r\n";
        for cut in 0..text.len() {
            assert!(matches!(parse(&text.as_bytes()[..cut]), Ok(None)), "{cut}");
        }
        let request = parse(text.as_bytes()).ok().flatten().unwrap();
        assert_eq!((request.path.as_str(), request.host.as_str()), ("/a b/c", "localhost:80"));
        assert_eq!((request.query("y"), request.query("z")), (Some("ü"), Some("")));
        assert!(!request.head);
        let head = parse(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").ok().flatten().unwrap();
        assert!(head.head);
    }

    #[test]
    fn all_else_is_refused() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"] {
            assert_eq!(refused(&format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n")), 405);
        }
        assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(refused("GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
        assert_eq!(refused("GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
        assert_eq!(refused("\x16\x03\x01\x02"), 400);
    }
}
