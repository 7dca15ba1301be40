//! Files of results, by the digest of their tree and their name.

use std::fs::File;

use sconce_core::Digest;

use super::board::Board;
use super::http::{Answer, Body};
use crate::media_type::media_type;

/// What a file of a result may do in a browser: show itself. A report has its styles and pictures within.
const POLICY: &str =
    "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; font-src data:";

/// The file `path`, which is a digest of 64 digits, `/` and a name.
pub(super) fn file(board: &Board<'_>, path: &str) -> Answer {
    let nothing = || Answer::text(404, "no such file of a result");
    let Some((tree, name)) = path.split_once('/') else { return nothing() };
    let Ok(tree) = format!("blake3:{tree}").parse::<Digest>() else { return nothing() };
    // Only what this pipeline shows, whatever else the store holds.
    if !board.shown().trees.contains(&tree) {
        return nothing();
    }
    let (member, path) = match board.store().file(&tree, name) {
        Ok(Some(found)) => found,
        Ok(None) => return nothing(),
        Err(error) => return Answer::text(500, &error.to_string()),
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return Answer::text(500, &format!("cannot read the file: {error}")),
    };
    let content = media_type(name);
    let answer = Answer {
        status: 200,
        content: content.unwrap_or("application/octet-stream"),
        headers: Vec::new(),
        body: Body::File(file, member.size),
    };
    let how = if content.is_some() { "inline" } else { "attachment" };
    answer
        .with("Content-Security-Policy", POLICY)
        .with("Content-Disposition", how)
        // A digest names its content for ever.
        .with("Cache-Control", "private, max-age=31536000, immutable")
}
