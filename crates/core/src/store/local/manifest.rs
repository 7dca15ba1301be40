//! Tree manifests: the text that [`tree_digest`](crate::stage::artifact::tree_digest) hashes, so that a
//! tree's digest is its manifest's.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::{Digest, Member};

const HEAD: &[u8] = b"sconce tree 1\n";

/// The manifest of a tree; names sorted.
pub(super) fn encode<S: AsRef<str>, M: Borrow<Member>>(
    members: impl ExactSizeIterator<Item = (S, M)>,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(HEAD.len() + members.len() * 110);
    text.extend_from_slice(HEAD);
    for (name, member) in members {
        let Member { digest, size } = member.borrow();
        text.extend_from_slice(name.as_ref().as_bytes());
        text.push(0);
        let hex = blake3::Hash::from_bytes(*digest.as_bytes()).to_hex();
        text.extend_from_slice(hex.as_bytes());
        text.push(0);
        text.extend_from_slice(size.to_string().as_bytes());
        text.push(b'\n');
    }
    text
}

/// The members that a manifest lists. None when it is no manifest, or when a name could leave
/// the folder.
pub(super) fn entries(text: &[u8]) -> Option<Vec<(&str, Member)>> {
    let mut rest = text.strip_prefix(HEAD)?;
    let mut entries = Vec::with_capacity(rest.len() / 80);
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let name = std::str::from_utf8(&rest[..end]).ok()?;
        let tail = &rest[end + 1..];
        let hex = tail.get(..64)?;
        let digest = Digest::from_bytes(*blake3::Hash::from_hex(hex).ok()?.as_bytes());
        let tail = tail[64..].strip_prefix(b"\0")?;
        let end = tail.iter().position(|&byte| byte == b'\n')?;
        let size = std::str::from_utf8(&tail[..end]).ok()?.parse().ok()?;
        if !is_inside(name) {
            return None;
        }
        entries.push((name, Member { digest, size }));
        rest = &tail[end + 1..];
    }
    Some(entries)
}

/// The members by name.
pub(super) fn decode(text: &[u8]) -> Option<BTreeMap<String, Member>> {
    let named = |(name, member): (&str, Member)| (name.to_owned(), member);
    Some(entries(text)?.into_iter().map(named).collect())
}

/// Whether `name` is a relative path that stays below its folder, on any system.
fn is_inside(name: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    name.split('/').all(plain) && !crate::system::is_foreign(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::artifact::tree_digest;

    #[test]
    fn a_trees_digest_is_its_manifests_and_names_may_be_unusual() {
        let member =
            |text: &str| Member { digest: Digest::of(text.as_bytes()), size: text.len() as u64 };
        let names = ["a b", "a/ü", "line\nbreak", ".hidden", "x/y/z.bin"];
        let tree: BTreeMap<_, _> = names.map(|n| (n.to_owned(), member(n))).into();
        let text = encode(tree.iter());
        let digest = tree_digest(tree.iter().map(|(name, member)| (name.as_str(), member)));
        assert_eq!(Digest::of(&text), digest);
        assert_eq!(decode(&text), Some(tree));
        for cut in 0..text.len() {
            // Every cut but the ones between lines is seen; the digest sees all.
            if text[..cut].last() != Some(&b'\n') {
                let whole = decode(&text[..cut]);
                assert!(whole.is_none(), "{cut}");
            }
        }
    }

    #[test]
    fn names_that_leave_the_folder_are_no_names() {
        for name in ["", "/etc/passwd", "..", "a/../../b", "a//b", "./a", "a/"] {
            assert!(!is_inside(name), "{name:?}");
            let member = Member { digest: Digest::of(b""), size: 0 };
            assert_eq!(decode(&encode([(name, member)].into_iter())), None);
        }
    }
}
