use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sconce_core::Digest;

use super::*;

/// The heads of the requests that a server got, in order.
type Requests = Arc<Mutex<Vec<String>>>;

/// A server on loopback; `answer` gets the number of the request and its head, and writes.
fn serve(
    mut answer: impl FnMut(usize, &str, &mut TcpStream) + Send + 'static,
) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap() > 2 {}
            let head = head.to_ascii_lowercase();
            seen.lock().unwrap().push(head.clone());
            answer(number, &head, &mut stream);
            let _ = stream.flush();
        }
    });
    (url, requests)
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    let _ = stream.write_all(body);
}

fn whole(stream: &mut TcpStream, body: &[u8]) {
    respond(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()), body);
}

/// A place to fetch into, with a mirror folder.
struct Place {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
    max_size: u64,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mirror")).unwrap();
        let patience = Patience {
            attempts: 3,
            delay: Duration::from_millis(1),
            stall: Duration::from_secs(5),
        };
        let surroundings = Surroundings { patience, ..Surroundings::default() };
        Self { folder, surroundings, max_size: 1 << 30 }
    }

    fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror")
    }

    /// Fetches and returns the files by name.
    fn fetch(&self, digest: Digest, sources: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let sources: Vec<_> = sources.iter().map(|text| Source::parse(text).unwrap()).collect();
        let cell = tempfile::tempdir_in(self.folder.path()).unwrap();
        let ctx =
            Context::in_folder(self.folder.path(), &[]).unwrap().with_mirror(Some(self.mirror()));
        let request = Request {
            digest: digest.into(),
            sources: &sources,
            name: &sources[0].content_name(true),
            unpack: true,
            max_size: self.max_size,
        };
        fetch(&ctx, &request, &self.surroundings, cell.path())?;
        let files = Files::from_folder(cell.path())?;
        files.iter().map(|(name, ..)| Ok((name.to_owned(), files.read(name)?))).collect()
    }

    fn error(&self, digest: Digest, sources: &[&str]) -> String {
        let error = self.fetch(digest, sources).unwrap_err().to_string();
        error.replace(&self.folder.path().display().to_string(), "FOLDER")
    }

    fn partial_files(&self) -> Vec<String> {
        let folder = self.folder.path().join("checkpoint/downloads");
        let Ok(files) = Files::from_folder(&folder) else { return Vec::new() };
        files.iter().map(|(name, ..)| name.to_owned()).collect()
    }
}

fn content(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * i % 251) as u8).collect()
}

#[test]
fn a_broken_connection_is_resumed() {
    let bytes = content(100_000);
    let body = bytes.clone();
    let (url, requests) = serve(move |number, _, stream| match number {
        0 => {
            let headers = "ETag: \"v1\"\r\nContent-Length: 100000\r\n";
            respond(stream, "200 OK", headers, &body[..40_000]);
        }
        _ => {
            let headers = "ETag: \"v1\"\r\nContent-Range: bytes 40000-99999/100000\r\n\
                           Content-Length: 60000\r\n";
            respond(stream, "206 Partial Content", headers, &body[40_000..]);
        }
    });
    let place = Place::new();
    let files = place.fetch(Digest::of(&bytes), &[&format!("{url}/a/data.bin")]).unwrap();
    assert_eq!(files, [("data.bin".to_owned(), bytes)]);
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert!(!requests[0].contains("range:"), "{}", requests[0]);
    assert!(requests[1].contains("range: bytes=40000-\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("if-range: \"v1\"\r\n"), "{}", requests[1]);
}

#[test]
fn an_interrupted_run_is_resumed_by_the_next() {
    let bytes = content(50_000);
    let body = bytes.clone();
    let (url, requests) = serve(move |number, _, stream| match number {
        0 => {
            let headers =
                "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 50000\r\n";
            respond(stream, "200 OK", headers, &body[..20_000]);
        }
        1..=3 => respond(stream, "503 Busy", "Content-Length: 0\r\n", b""),
        _ => {
            let headers = "Content-Range: bytes 20000-49999/50000\r\nContent-Length: 30000\r\n";
            respond(stream, "206 Partial Content", headers, &body[20_000..]);
        }
    });
    let place = Place::new();
    let source = format!("{url}/data.bin");
    let message = place.error(Digest::of(&bytes), &[&source]);
    assert!(message.contains("the server answered 503"), "{message}");
    assert_eq!(place.partial_files().len(), 2);
    let files = place.fetch(Digest::of(&bytes), &[&source]).unwrap();
    assert_eq!(files[0].1, bytes);
    assert!(requests.lock().unwrap().last().unwrap().contains("range: bytes=20000-"));
    assert!(!place.partial_files().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn changed_content_starts_over() {
    let new = content(30_000);
    let body = new.clone();
    let (url, _) = serve(move |number, _, stream| match number {
        0 => {
            let headers = "ETag: \"old\"\r\nContent-Length: 30000\r\n";
            respond(stream, "200 OK", headers, &[7; 10_000]);
        }
        // The tag does not match any more: the whole new content, as RFC 9110 asks for.
        _ => respond(stream, "200 OK", "ETag: \"new\"\r\nContent-Length: 30000\r\n", &body),
    });
    let files = Place::new().fetch(Digest::of(&new), &[&format!("{url}/x")]).unwrap();
    assert_eq!(files[0].1, new);
}

/// Serves old content, whose first download breaks, and then new content in parts.
fn content_that_changes(
    old: &'static str,
    new: &'static str,
    bodies: [Vec<u8>; 2],
) -> (String, Requests) {
    serve(move |number, head, stream| {
        let [before, now] = &bodies;
        let length = format!("Content-Length: {}\r\n", now.len());
        match number {
            0 => {
                let length = format!("Content-Length: {}\r\n", before.len());
                respond(stream, "200 OK", &format!("{old}{length}"), &before[..10_000]);
            }
            // This server does not know `If-Range`.
            _ if head.contains("range: bytes=10000-") => {
                let range =
                    format!("Content-Range: bytes 10000-{}/{}\r\n", now.len() - 1, now.len());
                let length = format!("Content-Length: {}\r\n", now.len() - 10_000);
                let headers = format!("{new}{range}{length}");
                respond(stream, "206 Partial Content", &headers, &now[10_000..]);
            }
            _ => respond(stream, "200 OK", &format!("{new}{length}"), now),
        }
    })
}

#[test]
fn content_that_changes_between_two_parts_starts_over() {
    let then = "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    let later = "Last-Modified: Tue, 02 Jan 2024 00:00:00 GMT\r\n";
    let (v1, v2) = ("ETag: \"v1\"\r\n", "ETag: \"v2\"\r\n");
    let other =
        |length: usize| content(length).into_iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
    for (old, new, length) in [
        (v1, v2, 30_000),
        (then, later, 30_000),
        // Told by the length alone, …
        (v1, "", 40_000),
        // … and by nothing but the digest: a file that was replaced within a second.
        (then, then, 30_000),
    ] {
        let new_content = other(length);
        let (url, requests) =
            content_that_changes(old, new, [content(30_000), new_content.clone()]);
        let files = Place::new().fetch(Digest::of(&new_content), &[&format!("{url}/x")]).unwrap();
        assert_eq!(files[0].1, new_content);
        let requests = requests.lock().unwrap();
        assert_eq!(requests.len(), 3, "{old} {new}");
        assert!(requests[1].contains("range: bytes=10000-"));
        assert!(!requests[2].contains("range:"), "{old} {new}: {}", requests[2]);
    }
}

#[test]
fn wrong_content_in_parts_is_not_asked_for_for_ever() {
    let (url, requests) = serve(|_, head, stream| {
        let tag = "ETag: \"v1\"\r\n";
        if head.contains("range: bytes=10000-") {
            let headers =
                format!("{tag}Content-Range: bytes 10000-19999/20000\r\nContent-Length: 10000\r\n");
            respond(stream, "206 Partial Content", &headers, &[7; 10_000]);
        } else {
            respond(stream, "200 OK", &format!("{tag}Content-Length: 20000\r\n"), &[7; 10_000]);
        }
    });
    let message = Place::new().error(Digest::of(b"other"), &[&format!("{url}/x")]);
    assert!(message.contains("the content is another"), "{message}");
    assert_eq!(requests.lock().unwrap().len(), 6);
}

#[test]
fn a_damaged_partial_file_is_thrown_away() {
    let bytes = content(50_000);
    let body = bytes.clone();
    let (url, requests) = serve(move |number, head, stream| match number {
        0 => {
            respond(stream, "200 OK", "ETag: \"v1\"\r\nContent-Length: 50000\r\n", &body[..20_000]);
        }
        1..=3 => respond(stream, "503 Busy", "Content-Length: 0\r\n", b""),
        _ if head.contains("range:") => {
            let headers = "Content-Range: bytes 20000-49999/50000\r\nContent-Length: 30000\r\n";
            respond(stream, "206 Partial Content", headers, &body[20_000..]);
        }
        _ => whole(stream, &body),
    });
    let place = Place::new();
    let source = format!("{url}/data.bin");
    place.error(Digest::of(&bytes), &[&source]);
    let downloads = place.folder.path().join("checkpoint/downloads");
    let part = place.partial_files().into_iter().find(|name| name.ends_with(".part")).unwrap();
    std::fs::write(downloads.join(part), vec![0; 20_000]).unwrap();
    assert_eq!(place.fetch(Digest::of(&bytes), &[&source]).unwrap()[0].1, bytes);
    assert_eq!(requests.lock().unwrap().len(), 6);
}

#[test]
fn a_server_error_is_retried_and_a_missing_file_is_not() {
    let bytes = content(10);
    let body = bytes.clone();
    let (url, requests) = serve(move |number, head, stream| match number {
        _ if head.starts_with("get /missing") => {
            respond(stream, "404 Not Found", "Content-Length: 0\r\n", b"");
        }
        0 | 1 => respond(stream, "503 Busy", "Retry-After: 0\r\nContent-Length: 0\r\n", b""),
        _ => whole(stream, &body),
    });
    let place = Place::new();
    assert_eq!(place.fetch(Digest::of(&bytes), &[&format!("{url}/x")]).unwrap()[0].1, bytes);
    assert_eq!(requests.lock().unwrap().len(), 3);
    let message = place.error(Digest::of(&bytes), &[&format!("{url}/missing")]);
    assert!(message.contains("the server answered 404 Not Found"), "{message}");
    assert_eq!(requests.lock().unwrap().len(), 4);
}

#[test]
fn sizes_are_limited_with_and_without_an_announcement() {
    let (url, _) = serve(|_, head, stream| match head.starts_with("get /announced") {
        true => respond(stream, "200 OK", "Content-Length: 999999\r\n", b""),
        false => {
            // Endless: stops when the client hangs up.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[0; 4096]).is_ok() {}
        }
    });
    let place = Place { max_size: 100_000, ..Place::new() };
    let message = place.error(Digest::of(b""), &[&format!("{url}/announced")]);
    assert!(message.contains("larger (999999 bytes) than `max_size` allows"), "{message}");
    let message = place.error(Digest::of(b""), &[&format!("{url}/endless")]);
    assert!(message.contains("larger than `max_size` allows (100000 bytes)"), "{message}");
    assert!(place.partial_files().is_empty());
    std::fs::write(place.mirror().join("big"), vec![0; 100_001]).unwrap();
    let message = place.error(Digest::of(b""), &["mirror:big"]);
    assert!(message.contains("larger (100001 bytes)"), "{message}");
}

#[test]
fn redirects_of_a_loopback_server_are_not_followed() {
    let (url, _) = serve(|_, _, stream| {
        let headers = "Location: http://192.0.2.1/x\r\nContent-Length: 0\r\n";
        respond(stream, "302 Found", headers, b"");
    });
    let message = Place::new().error(Digest::of(b""), &[&format!("{url}/x")]);
    assert!(message.contains("302") || message.contains("redirect"), "{message}");
}

#[test]
fn the_hub_is_asked_at_its_endpoint() {
    let (url, requests) = serve(|_, _, stream| whole(stream, b"weights"));
    let mut place = Place::new();
    place.surroundings.hugging_face = url;
    place.surroundings.hugging_face_token = Some("secret".to_owned());
    let source = "hf:timm/vgg16.tv_in1k@1a2b3c/sub/model file.safetensors";
    let files = place.fetch(Digest::of(b"weights"), &[source]).unwrap();
    assert_eq!(files[0].0, "model file.safetensors");
    let head = requests.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("get /timm/vgg16.tv_in1k/resolve/1a2b3c/sub/model%20file.safetensors "),
        "{head}"
    );
    assert!(head.contains("authorization: bearer secret"), "{head}");
}

#[test]
fn the_error_lists_every_source_and_what_to_do() {
    let place = Place::new();
    std::fs::write(place.mirror().join("wrong.bin"), "another content").unwrap();
    let sources = [
        "https://name.invalid/scenes.bin",
        "mirror:wrong.bin",
        "mirror:missing.bin",
        "file:/nowhere/scenes.bin",
        "embedded:nothing",
    ];
    let message = place.error(Digest::of(b"scenes"), &sources);
    // What the resolver says depends on the machine.
    let message: String = message
        .lines()
        .map(|line| match line.split_once("scenes.bin: ") {
            Some((source, _)) if source.contains("invalid") => {
                format!("{source}scenes.bin: CAUSE\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    insta::assert_snapshot!(message, @r#"
    no source gave the content blake3:fadf1fb4ca777c370362feb7d5ab5da72cda95a323d61751a7b85fec0118df31:
      https://name.invalid/scenes.bin: CAUSE
      mirror:wrong.bin: the content is another: its digest is blake3:a979d1de4148d58bc0d3299001ff5d8739c248cf5d15c48ef1f3d9faed3dc521
      mirror:missing.bin: FOLDER/mirror/missing.bin: No such file or directory (os error 2)
      file:/nowhere/scenes.bin: /nowhere/scenes.bin: No such file or directory (os error 2)
      embedded:nothing: no embedded `nothing`; there are: digits, photographs, squeezenet1_1.safetensors, imagenet1k_label_to_names.json
    to provide it by hand: put the file `scenes.bin` into the mirror folder FOLDER/mirror, or add "file:PATH" to `sources`
    "#);
}

/// A tree of two files, as an archive of each sort.
struct Tree {
    folder: tempfile::TempDir,
    digest: Digest,
}

impl Tree {
    const FILES: [(&str, &str); 2] = [("a.txt", "first"), ("sub/b.txt", "second")];

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        for (name, text) in Self::FILES {
            let path = plain.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let digest = Files::from_folder(&plain).unwrap().digest();
        let tree = Self { folder, digest };
        std::fs::write(tree.path("tree.tar"), tree.tar("")).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tree.tar("package/data/")).unwrap();
        std::fs::write(tree.path("thing-1.0.0.tgz"), gz.finish().unwrap()).unwrap();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in Self::FILES {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(format!("thing/data/{name}"), options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        let zip = zip.finish().unwrap().into_inner();
        std::fs::write(tree.path("thing-1.0.0-py3-none-any.whl"), zip).unwrap();
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tar(&self, prefix: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in Self::FILES {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("{prefix}{name}"), text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// A folder with a client of this name that copies `file` to where it runs.
    fn client(&self, name: &str, file: &str) -> OsString {
        let folder = self.path("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let from = self.path(file);
        let log = self.path("arguments");
        let script =
            format!("#!/bin/sh\necho \"$@\" >> {}\n/bin/cp {} .\n", log.display(), from.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder.into()
    }
}

#[test]
fn one_digest_for_all_sources() {
    let tree = Tree::new();
    let wheel = std::fs::read(tree.path("thing-1.0.0-py3-none-any.whl")).unwrap();
    let (url, _) = serve(move |_, _, stream| whole(stream, &wheel));
    tree.client("npm", "thing-1.0.0.tgz");
    let search = tree.client("pip", "thing-1.0.0-py3-none-any.whl");
    let mut place = Place::new();
    place.surroundings.search = Some(search);
    std::fs::copy(tree.path("tree.tar"), place.mirror().join("tree.tar")).unwrap();
    place::copy(&tree.path("plain/a.txt"), &place.mirror().join("open/data/a.txt")).unwrap();
    place::copy(&tree.path("plain/sub/b.txt"), &place.mirror().join("open/data/sub/b.txt"))
        .unwrap();
    for source in [
        "mirror:tree.tar".to_owned(),
        "mirror:open/data".to_owned(),
        "mirror:open#data".to_owned(),
        format!("file:{}", tree.path("plain").display()),
        format!("{url}/thing.zip#thing/data"),
        "npm:thing@1.0.0#data".to_owned(),
        "npm:thing@1.0.0#package/data".to_owned(),
        "pypi:thing==1.0.0#thing/data".to_owned(),
    ] {
        let files = place.fetch(tree.digest, &[&source]).unwrap();
        let expected = Tree::FILES.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        assert_eq!(files, expected, "{source}");
    }
    // One file out of each archive.
    for source in ["mirror:tree.tar#sub/b.txt", "npm:thing@1.0.0#data/sub/b.txt"] {
        let files = place.fetch(Digest::of(b"second"), &[source]).unwrap();
        assert_eq!(files, [("b.txt".to_owned(), b"second".to_vec())], "{source}");
    }
    let mut arguments = String::new();
    std::fs::File::open(tree.path("arguments")).unwrap().read_to_string(&mut arguments).unwrap();
    assert!(
        arguments.contains("pack thing@1.0.0 --ignore-scripts --loglevel=error\n"),
        "{arguments}"
    );
    assert!(arguments.contains("download --no-deps --only-binary=:all:"), "{arguments}");
}

#[test]
fn the_mirror_serves_what_other_sources_would() {
    let tree = Tree::new();
    let place = Place::new();
    std::fs::copy(tree.path("tree.tar"), place.mirror().join("tree.tar")).unwrap();
    std::fs::copy(tree.path("thing-1.0.0.tgz"), place.mirror().join("thing-1.0.0.tgz")).unwrap();
    for source in ["https://name.invalid/x/tree.tar", "npm:thing@1.0.0#data"] {
        assert_eq!(place.fetch(tree.digest, &[source]).unwrap().len(), 2, "{source}");
    }
    // The user's file stays.
    assert!(place.mirror().join("tree.tar").exists());
}

#[test]
fn a_failing_client_is_quoted() {
    let tree = Tree::new();
    let search = tree.client("npm", "missing.tgz");
    let mut place = Place::new();
    place.surroundings.search = Some(search);
    let message = place.error(Digest::of(b""), &["npm:thing@1.0.0"]);
    assert!(
        message.contains("`npm pack thing@1.0.0 --ignore-scripts --loglevel=error` failed: "),
        "{message}"
    );
    assert!(message.contains("/bin/cp: ") && message.contains("missing.tgz"), "{message}");
    let message = place.error(Digest::of(b""), &["pypi:thing==1.0.0"]);
    assert!(message.contains("no `pip` or `pip3` or `python3` on the search path"), "{message}");
}

/// What npm 11.19.1 and pip 23.2.1 say where nobody listens: the cause is first there, and last here.
#[test]
fn a_client_s_cause_is_kept() {
    let tree = Tree::new();
    let mut place = Place::new();
    let mut failing = |client: &str, said: &str, source: &str| {
        place.surroundings.search = Some(tree.client(client, "missing.tgz"));
        let script = format!("#!/bin/sh\n/bin/cat >&2 <<'END'\n{said}END\nexit 1\n");
        std::fs::write(tree.path("bin").join(client), script).unwrap();
        let message = place.error(Digest::of(b""), &[source]);
        std::fs::remove_file(tree.path("bin").join(client)).unwrap();
        message.lines().find_map(|line| line.split_once("failed: ")).unwrap().1.to_owned()
    };
    let npm = "npm error code ECONNREFUSED\nnpm error syscall connect\nnpm error errno ECONNREFUSED\n\
               npm error FetchError: request to http://127.0.0.1:9/thing failed, reason: connect ECONNREFUSED\n\
               npm error     at ClientRequest.emit (node:events:524:28)\nnpm error   code: 'ECONNREFUSED',\n\
               npm error }\nnpm error\nnpm error If you are behind a proxy, see: 'npm help config'\n\
               npm error A complete log of this run can be found in: /home/you/.npm/_logs/debug-0.log\n";
    assert_eq!(
        failing("npm", npm, "npm:thing@1.0.0"),
        "code ECONNREFUSED; syscall connect; errno ECONNREFUSED; FetchError: request to http://127.0.0.1:9/thing failed, \
         reason: connect ECONNREFUSED; …; }; If you are behind a proxy, see: 'npm help config'"
    );
    let pip = "WARNING: Retrying after connection broken by 'Connection refused'\n\
               ERROR: Could not find a version that satisfies thing==1.0.0\nERROR: No matching distribution\n";
    assert_eq!(
        failing("pip", pip, "pypi:thing==1.0.0"),
        "WARNING: Retrying after connection broken by 'Connection refused'; ERROR: Could not find a version that \
         satisfies thing==1.0.0; ERROR: No matching distribution"
    );
    assert_eq!(failing("npm", "", "npm:thing@1.0.0"), "it said nothing");
}

#[test]
fn a_network_s_cause_is_kept() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let message = place.error(Digest::of(b""), &[&format!("http://{free}/x.bin")]);
    assert!(
        message.contains("Connection refused") && message.contains("(3 attempts)"),
        "{message}"
    );
    let (url, _) = serve(|_, _, stream| drop(stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")));
    let message = place.error(Digest::of(b""), &[&format!("{url}/x.bin")]);
    assert!(message.contains("protocol: "), "{message}");
    // A server without TLS.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x.bin", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let message = place.error(Digest::of(b""), &[&url]);
    assert!(message.contains("received corrupt message"), "{message}");
}

/// Through the real clients, where there are some and the registry answers.
#[test]
fn real_packages() {
    let place = Place::new();
    for (source, digest) in [
        (
            "npm:is-odd@3.0.1#index.js",
            "blake3:1530859eaf53c93517940889baf31005445c968c4727eada509e7b8d8ba2f4f8",
        ),
        (
            "pypi:six==1.17.0#six.py",
            "blake3:a50992d8c56217ba4074d8c5356863a2ff0a514e3a9670bd815747f8c12e0571",
        ),
    ] {
        match place.fetch(digest.parse().unwrap(), &[source]) {
            Ok(files) => assert_eq!(files.len(), 1),
            Err(error)
                if error.to_string().contains("digest")
                    && !error.to_string().contains("failed") =>
            {
                panic!("{error}")
            }
            Err(error) => println!("skipped: {error}"),
        }
    }
}

#[test]
fn embedded_content_is_pinned() {
    let place = Place::new();
    let list: String = embedded::names()
        .map(|name| {
            let path = place.folder.path().join("embedded").join(name);
            embedded::write(name, &path).unwrap();
            let digest = match path.is_dir() {
                true => Files::from_folder(&path).unwrap().digest(),
                false => Digest::of_file(&path).unwrap(),
            };
            assert!(!place.fetch(digest, &[&format!("embedded:{name}")]).unwrap().is_empty());
            format!("{name} {digest}\n")
        })
        .collect();
    insta::assert_snapshot!(list, @r"
    digits blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e
    photographs blake3:8904a163fd3e3d20eed39f7e3397ef8aa321eefff369827b8f70fc110d9e926e
    squeezenet1_1.safetensors blake3:874b983eee30d6c2abe98ef6d64c799f9c7aeaf5b02b7c021f1d2819259f0aa7
    imagenet1k_label_to_names.json blake3:78870c0c1cc584a3293c101686b384f2394f2d62996b54e93f6e54a7d4266da5
    ");
    assert_eq!(embedded::imagenet_classes().len(), 1000);
    assert_eq!(embedded::imagenet_classes()[281], "tabby, tabby cat");
}
