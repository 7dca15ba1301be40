//! The state of the git repository around a pipeline file.
//!
//! The commit is read from git's files, which takes no time; whether files have changed only git
//! itself can say.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::store::Commit;

/// The commit that is checked out in the repository around `folder`; none where there is none.
/// Whether it is dirty is left open.
pub(super) fn head(folder: &Path) -> Option<Commit> {
    let folder = std::path::absolute(folder).ok()?;
    let git = folder.ancestors().find_map(git_folder)?;
    let head = read(&git.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else {
        return is_hash(&head).then_some(Commit { hash: head, branch: None, dirty: None });
    };
    // The folder of a further working tree has its own HEAD and shares the branches.
    let shared = match read(&git.join("commondir")) {
        Some(path) => git.join(path),
        None => git.clone(),
    };
    let loose = || [&git, &shared].into_iter().find_map(|folder| read(&folder.join(name)));
    let packed = || {
        let text = std::fs::read_to_string(shared.join("packed-refs")).ok()?;
        let line = |line: &str| {
            let (hash, of) = line.split_once(' ')?;
            (of == name).then(|| hash.to_owned())
        };
        text.lines().find_map(line)
    };
    let hash = loose().or_else(packed).filter(|hash| is_hash(hash))?;
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    Some(Commit { hash, branch, dirty: None })
}

/// Whether tracked files of the repository around `folder` have changes that are not committed.
/// None where git does not say.
pub(super) fn is_dirty(folder: &Path) -> Option<bool> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let output = Command::new("git")
        .args(["status", "--porcelain", "--untracked-files=no"])
        .current_dir(folder)
        // It only looks, and keeps out of the way of a git that works.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(!output.stdout.is_empty())
}

/// The folder of the repository whose working tree begins at `folder`.
fn git_folder(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let metadata = std::fs::metadata(&git).ok()?;
    if metadata.is_dir() {
        return Some(git);
    }
    let path = read(&git)?;
    Some(folder.join(path.strip_prefix("gitdir: ")?))
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=trunk"])
            .args(arguments)
            .current_dir(folder)
            .env_remove("GIT_DIR")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn the_commit_is_the_one_that_git_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        // Not even git may be there.
        if Command::new("git").arg("--version").output().is_err() || head(path).is_some() {
            return;
        }
        git(path, &["init", "-q"]);
        assert_eq!(head(path), None, "nothing was committed");
        std::fs::create_dir(path.join("inner")).unwrap();
        std::fs::write(path.join("inner/a"), "1").unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-q", "-m", "first"]);
        let hash = git(path, &["rev-parse", "HEAD"]);
        let branch = Some("trunk".to_owned());
        let commit = Commit { hash: hash.clone(), branch, dirty: None };
        assert_eq!(head(&path.join("inner")), Some(commit.clone()));
        assert_eq!(is_dirty(path), Some(false));
        git(path, &["pack-refs", "--all"]);
        assert_eq!(head(path), Some(commit), "from the packed references");
        std::fs::write(path.join("inner/a"), "2").unwrap();
        assert_eq!(is_dirty(&path.join("inner")), Some(true));
        git(path, &["worktree", "add", "-q", "-b", "other", "tree"]);
        let tree = head(&path.join("tree")).unwrap();
        assert_eq!((tree.hash, tree.branch.as_deref()), (hash.clone(), Some("other")));
        git(&path.join("tree"), &["checkout", "-q", "--detach"]);
        assert_eq!(head(&path.join("tree")).unwrap(), Commit { hash, branch: None, dirty: None });
    }
}
