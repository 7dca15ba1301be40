//! `sconce ui`: a page of this machine that shows a pipeline while it runs and afterwards.
//!
//! The page is files of this program; it asks for JSON below `api/`, and for files of results. Nothing
//! can be changed through it, and nothing but the pipeline's results and logs can be read:
//!
//! - It listens on the loopback address alone, unless it is told otherwise.
//! - Every address begins with a random token, so that other users and other pages do not know it.
//! - The header `Host` has to be the address that it listens on: a page elsewhere whose name is made to
//!   point here (DNS rebinding) is refused.
//! - Requests that could change something are refused, and no other page may frame this one or run in it.
//! - Files come from the store by digest and name; no path of the disk is ever taken from a request.

mod answers;
mod board;
mod compare;
mod files;
mod http;

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::ExitCode;

use crate::arguments::UiArguments;
use crate::failure::Failure;
use crate::session::{Call, open_with_plan};
use crate::style::{WARN, status};
use board::Board;
use http::{Answer, Request};

/// What the page may do: load what this server has, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the page.
const PAGE: [(&str, &str, &str); 9] = [
    ("", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("app.js", JAVASCRIPT, include_str!("page/app.js")),
    ("elements.js", JAVASCRIPT, include_str!("page/elements.js")),
    ("graph.js", JAVASCRIPT, include_str!("page/graph.js")),
    ("list.js", JAVASCRIPT, include_str!("page/list.js")),
    ("chart.js", JAVASCRIPT, include_str!("page/chart.js")),
    ("cell.js", JAVASCRIPT, include_str!("page/cell.js")),
    ("compare.js", JAVASCRIPT, include_str!("page/compare.js")),
];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

pub(crate) fn ui(call: &Call<'_>, arguments: &UiArguments) -> Result<ExitCode, Failure> {
    let (session, plan) = open_with_plan(call, &arguments.pipeline)?;
    let address = SocketAddr::new(arguments.address, arguments.port);
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::usage(format!("cannot listen on {address}: {error}")))?;
    let address = listener.local_addr()?;
    let token = token()?;
    let board = Board::new(&session, plan, &arguments.pipeline)?;
    if !address.ip().is_loopback() {
        let text =
            "other machines can reach this page; whoever has its address can read all results";
        let _ = writeln!(anstream::stderr(), "{}", status(WARN, "Warning", text));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "http://{address}/{token}/")?;
    out.flush()?;
    drop(out);
    std::thread::scope(|scope| {
        scope.spawn(|| -> () { board.keep_up(call.kinds) });
        http::serve(&listener, &|request| {
            guarded(request, address, &token, |path| answers::answer(&board, path, request))
        });
    });
    Ok(ExitCode::SUCCESS)
}

/// 128 bits that nobody else knows, in hexadecimal digits.
fn token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::usage(format!("no random numbers for the address: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Answers a request that may be answered, for the path behind the token.
fn guarded(
    request: &Request,
    address: SocketAddr,
    token: &str,
    answer: impl FnOnce(&str) -> Answer,
) -> Answer {
    let answer = if !is_ours(&request.host, address) {
        Answer::text(403, "this server answers only to the address that it printed")
    } else {
        let path = request.path.strip_prefix('/').unwrap_or_default();
        match path.split_once('/') {
            Some((given, path)) if same(given, token) => match page(path) {
                Some(file) => file,
                None => answer(path),
            },
            _ => Answer::text(404, "open the whole address that sconce ui printed"),
        }
    };
    let has_policy = answer.headers.iter().any(|(name, _)| *name == "Content-Security-Policy");
    let answer = match has_policy {
        true => answer,
        false => answer.with("Content-Security-Policy", POLICY),
    };
    let has_cache = answer.headers.iter().any(|(name, _)| *name == "Cache-Control");
    let answer = if has_cache { answer } else { answer.with("Cache-Control", "no-store") };
    answer
        .with("X-Content-Type-Options", "nosniff")
        .with("X-Frame-Options", "DENY")
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Resource-Policy", "same-origin")
        .with("Cross-Origin-Opener-Policy", "same-origin")
}

fn page(path: &str) -> Option<Answer> {
    let (_, content, text) = PAGE.iter().find(|(name, ..)| *name == path)?;
    Some(Answer::bytes(200, content, text.as_bytes().to_vec()))
}

/// Whether a header `Host` names the address on which this server listens.
fn is_ours(host: &str, address: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, Some(80)),
    };
    if port != Some(address.port()) {
        return false;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return address.ip().is_loopback();
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        // On all addresses: any address of this machine, but no name, which others can bend.
        Ok(_) if address.ip().is_unspecified() => true,
        Ok(named) => named == address.ip(),
        Err(_) => false,
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_address_is_a_host() {
        let own: SocketAddr = "127.0.0.1:8123".parse().unwrap();
        for host in ["127.0.0.1:8123", "localhost:8123", "LOCALHOST:8123"] {
            assert!(is_ours(host, own), "{host}");
        }
        let others = [
            "",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:80",
            "evil.example:8123",
            "127.0.0.1.evil.example:8123",
            "localhost.evil.example:8123",
            "127.0.0.2:8123",
            "[::1]:8123",
            ":8123",
        ];
        for host in others {
            assert!(!is_ours(host, own), "{host}");
        }
        let six: SocketAddr = "[::1]:80".parse().unwrap();
        assert!(is_ours("[::1]:80", six) && is_ours("[::1]", six) && is_ours("localhost", six));
        let all: SocketAddr = "0.0.0.0:8123".parse().unwrap();
        assert!(is_ours("192.168.1.7:8123", all));
        assert!(!is_ours("localhost:8123", all) && !is_ours("evil.example:8123", all));
    }

    #[test]
    fn nothing_is_told_without_the_token() {
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let status = |path: &str, host: &str| {
            let request =
                Request { path: path.to_owned(), host: host.to_owned(), ..Request::default() };
            guarded(&request, address, "secret", |path| Answer::text(200, path)).status
        };
        assert_eq!(status("/secret/api/plan", "127.0.0.1:80"), 200);
        for path in ["/", "/secret", "/secre/api", "/secrets/api", "/api/plan", "//secret/", ""] {
            assert_eq!(status(path, "127.0.0.1:80"), 404, "{path}");
        }
        assert_eq!(status("/secret/api/plan", "evil.example:80"), 403);
        assert_ne!(token().unwrap(), token().unwrap());
        assert_eq!(token().unwrap().len(), 32);
    }
}
