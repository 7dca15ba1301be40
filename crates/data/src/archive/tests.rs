use std::io::Cursor;

use super::*;

enum Entry {
    File(&'static str, Vec<u8>),
    Folder(&'static str),
    Symlink(&'static str, &'static str),
    Hardlink(&'static str, &'static str),
    Device(&'static str),
}
use Entry::*;

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        let (name, data): (&str, &[u8]) = match entry {
            File(name, data) => (name, data),
            Folder(name) => {
                header.set_entry_type(tar::EntryType::Directory);
                (name, &[])
            }
            Symlink(name, to) | Hardlink(name, to) => {
                let symbolic = matches!(entry, Symlink(..));
                header.set_entry_type(match symbolic {
                    true => tar::EntryType::Symlink,
                    false => tar::EntryType::Link,
                });
                header.as_old_mut().linkname[..to.len()].copy_from_slice(to.as_bytes());
                (name, &[])
            }
            Device(name) => {
                header.set_entry_type(tar::EntryType::Char);
                (name, &[])
            }
        };
        // Written into the field itself: `set_path` would refuse what an attacker writes.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// Unpacks and lists what there is, also outside the folder.
fn unpacked(bytes: &[u8], select: Option<&str>, limits: Limits) -> Result<(Unpacked, Vec<String>)> {
    let outside = tempfile::tempdir().unwrap();
    let archive = outside.path().join("archive");
    std::fs::write(&archive, bytes).unwrap();
    let folder = outside.path().join("a/b/in");
    let result = unpack(&archive, "archive.gz", select, false, &folder, limits);
    let files = sconce_core::Files::from_folder(outside.path()).unwrap();
    let names: Vec<_> = files.iter().map(|(name, ..)| name.to_owned()).collect();
    let stray: Vec<_> =
        names.iter().filter(|name| !name.starts_with("a/b/in/") && *name != "archive").collect();
    assert!(stray.is_empty(), "written outside: {stray:?}");
    let inside = names.iter().filter_map(|name| name.strip_prefix("a/b/in/").map(str::to_owned));
    Ok((result?, inside.collect()))
}

fn names(bytes: &[u8], select: Option<&str>) -> Vec<String> {
    unpacked(bytes, select, Limits::default()).unwrap().1
}

fn error(bytes: &[u8]) -> String {
    unpacked(bytes, None, Limits::default()).unwrap_err().to_string()
}

#[test]
fn all_formats_unpack_and_select() {
    let entries = [
        Folder("./top/"),
        File("./top/x.txt", b"x".to_vec()),
        File("top/data/a.txt", b"a".to_vec()),
        File("top/data/deep/b.txt", b"b".to_vec()),
    ];
    let tar = tar(&entries);
    let zip = zip(&[("top/x.txt", b"x"), ("top/data/a.txt", b"a"), ("top/data/deep/b.txt", b"b")]);
    for bytes in [&tar, &gz(&tar), &zip] {
        assert_eq!(names(bytes, None), ["top/data/a.txt", "top/data/deep/b.txt", "top/x.txt"]);
        assert_eq!(names(bytes, Some("top/data")), ["a.txt", "deep/b.txt"]);
        assert_eq!(names(bytes, Some("/top/data/")), ["a.txt", "deep/b.txt"]);
        let (one, names) = unpacked(bytes, Some("top/x.txt"), Limits::default()).unwrap();
        assert!(matches!(one, Unpacked::File(path) if path.ends_with("x.txt")));
        assert_eq!(names, ["x.txt"]);
        let missing = unpacked(bytes, Some("top/dat"), Limits::default()).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no file under `top/dat` in the archive; at its top there are: top"
        );
    }
    let (one, names) = unpacked(&gz(b"content"), None, Limits::default()).unwrap();
    assert!(matches!(one, Unpacked::File(_)));
    assert_eq!(names, ["archive"]);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in
        ["../evil", "a/../../evil", "/evil", "a\\..\\evil", "C:/evil", "C:evil", "..", "//evil"]
    {
        let message = error(&tar(&[File(name, b"x".to_vec())]));
        assert!(message.contains("is refused"), "tar {name}: {message}");
        let message = error(&zip(&[(name, b"x")]));
        assert!(message.contains("is refused"), "zip {name}: {message}");
    }
    insta::assert_snapshot!(
        error(&tar(&[File("a/../../evil", Vec::new())])),
        @"unpacking `archive.gz`: entry `a/../../evil` is refused: its name leads out of the folder"
    );
}

#[test]
fn links_devices_and_twins_are_refused() {
    let link_then_write = [Symlink("link", "/tmp"), File("link/evil", b"x".to_vec())];
    insta::assert_snapshot!(error(&tar(&link_then_write)), @"unpacking `archive.gz`: entry `link` is refused: it is a symbolic link");
    insta::assert_snapshot!(error(&tar(&[Hardlink("link", "/etc/passwd")])), @"unpacking `archive.gz`: entry `link` is refused: it is a hard link");
    insta::assert_snapshot!(error(&tar(&[Device("null")])), @"unpacking `archive.gz`: entry `null` is refused: it is neither a file nor a folder");
    let twice = [File("a", b"x".to_vec()), File("./a", b"y".to_vec())];
    insta::assert_snapshot!(error(&tar(&twice)), @"unpacking `archive.gz`: entry `./a` is refused: it is there twice");

    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    insta::assert_snapshot!(error(&bytes), @"unpacking `archive.gz`: entry `link` is refused: it is a symbolic link");
    // A link that is not selected is not unpacked either.
    let elsewhere = [Symlink("other/link", "/etc"), File("data/a", b"x".to_vec())];
    assert_eq!(names(&tar(&elsewhere), Some("data")), ["a"]);
}

/// A zip archive with two entries of one name of one letter, which its writer refuses to make.
fn zip_of_twins(before: &[(&str, &[u8])], name: &str) -> Vec<u8> {
    let entries = [before, &[(name, b"1"), ("%", b"2")]].concat();
    let mut bytes = zip(&entries);
    bytes.iter_mut().filter(|byte| **byte == b'%').for_each(|byte| *byte = name.as_bytes()[0]);
    bytes
}

#[test]
fn entries_of_one_name_are_refused_in_zip_archives_too() {
    insta::assert_snapshot!(error(&zip_of_twins(&[], "a")), @"unpacking `archive.gz`: entry `a` is refused: it is there twice");
    let elsewhere = zip_of_twins(&[("data/x", b"x")], "a");
    assert_eq!(names(&elsewhere, Some("data")), ["x"]);
    insta::assert_snapshot!(error(&zip(&[("a", b"1"), ("./a", b"2")])), @"unpacking `archive.gz`: entry `./a` is refused: it is there twice");
}

#[test]
fn names_that_are_one_file_elsewhere_are_refused() {
    for (one, other, why) in [
        ("a", "A", "on macOS and Windows `A` and `a` are one"),
        ("d/É.txt", "d/é.txt", "on macOS and Windows `d/é.txt` and `d/É.txt` are one"),
        ("Train/a/1", "train/b/2", "on macOS and Windows `train` and `Train` are one"),
        ("x/Y/1", "x/y", "on macOS and Windows `x/y` and `x/Y` are one"),
    ] {
        let refused = format!("unpacking `archive.gz`: entry `{other}` is refused: {why}");
        assert_eq!(error(&zip(&[(one, b"1"), (other, b"2")])), refused);
        assert_eq!(error(&tar(&[File(one, b"1".to_vec()), File(other, b"2".to_vec())])), refused);
    }
    let apart = zip(&[("a/A", b"1"), ("b/a", b"2"), ("A1", b"3")]);
    assert_eq!(names(&apart, None), ["A1", "a/A", "b/a"]);
    // Of what is not unpacked nothing is refused.
    assert_eq!(names(&zip(&[("x/a", b"1"), ("x/A", b"2"), ("d/b", b"3")]), Some("d")), ["b"]);
}

#[test]
fn bombs_are_stopped() {
    let zeros = vec![0; 40 << 20];
    let bomb = gz(&tar(&[File("zeros", zeros.clone())]));
    assert!(bomb.len() < 50_000);
    let (limits, small) = (Limits::default(), Limits { size: 1000, ..Limits::default() });
    for bytes in [bomb, zip(&[("zeros", &zeros)]), gz(&zeros)] {
        for limits in [limits, small] {
            let message = unpacked(&bytes, None, limits).unwrap_err().to_string();
            assert!(message.contains("grow beyond the limit"), "{message}");
        }
    }
    let many: Vec<_> = (0..20).map(|_| Folder("a/")).collect();
    let few = Limits { entries: 10, ..Limits::default() };
    let message = unpacked(&tar(&many), None, few).unwrap_err().to_string();
    assert_eq!(message, "unpacking `archive.gz`: more than 10 entries");
}

#[test]
fn broken_archives_are_errors() {
    let whole = gz(&tar(&[File("a", vec![7; 5000])]));
    let zip = zip(&[("a", &[7; 5000])]);
    for bytes in [&whole[..whole.len() / 2], &zip[..zip.len() / 2], b"hello", b""] {
        assert!(unpacked(bytes, None, Limits::default()).is_err());
    }
    assert_eq!(
        unpacked(b"hello", None, Limits::default()).unwrap_err().to_string(),
        "expected a zip, tar, tar.gz or gz file"
    );
    assert!(unpacked(&tar(&[]), None, Limits::default()).is_err());
}
