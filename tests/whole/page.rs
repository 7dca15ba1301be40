//! The local page: what it serves, and to whom.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;

use crate::bench::{Bench, eventually};

const PIPELINE: &str = r#"
name = "shown"
[stage.a]
kind = "command"
run = "echo step=1 loss=$n >> $SCONCE_JOURNAL; echo told; echo '<b>' > out.html; echo $n > n.txt; test $n != 3"
outputs = { page = "out.html", number = "n.txt" }
matrix.n = [1, 2, 3]
[stage.b]
kind = "command"
run = "cat a/n.txt > out"
inputs = { a = "a.number" }
outputs = ["out"]
"#;

/// A running `sconce ui`, ended with the test.
struct Page {
    child: Child,
    /// `127.0.0.1:PORT`.
    host: String,
    token: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer: status, head, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn open(bench: &Bench) -> Self {
        let mut child = bench.start(&["ui", "p.toml"]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let rest = line.trim().strip_prefix("http://").unwrap();
        let (host, token) = rest.trim_end_matches('/').split_once('/').unwrap();
        Self { child, host: host.to_owned(), token: token.to_owned() }
    }

    /// Sends a request as it is.
    fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Answer {
        let Self { host, token, .. } = self;
        self.send(&format!("GET /{token}/{path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

#[test]
fn the_page_tells_what_the_command_line_tells() {
    let bench = Bench::new(PIPELINE);
    let page = Page::open(&bench);
    assert_eq!(page.json("api/state")["states"], "fffggg");
    assert_eq!(bench.sconce(&["run", "p.toml"]).code, Some(1));
    // Done; failed; what waits for that one.
    eventually("the page has seen the run", || page.json("api/state")["states"] == "aacaag");
    let plan = page.json("api/plan");
    assert_eq!(plan["names"][2], "a[n=3]");
    assert_eq!(plan["stages"][1]["reads"], serde_json::json!([0]));
    let cell = page.json("api/cell?edition=1&cell=0");
    assert_eq!(cell["status"], "done");
    let number = &cell["result"]["outputs"][0];
    assert_eq!(number["files"][0][0], "n.txt");
    let file = format!("file/{}/n.txt", number["digest"].as_str().unwrap());
    assert_eq!(page.get(&file).body, "1\n");
    let curves = page.json("api/curves?edition=1&cell=0");
    assert_eq!(curves["curves"][0]["points"], serde_json::json!([[1.0, 1.0]]));
    let failed = page.json("api/cell?edition=1&cell=2");
    assert_eq!(failed["error"], "the program ended with status 1");
    assert_eq!(page.json("api/log?edition=1&cell=2")["text"], "told\n");
    assert_eq!(
        page.json("api/why?edition=1&cell=5")["lines"][0],
        "b[n=3] may run: that is decided by what these yield"
    );
    let compared = page.json("api/compare?stage=a");
    assert_eq!(compared["columns"][0]["name"], "n");
    assert_eq!(compared["rows"][1], serde_json::json!([1, [2, compared["rows"][1][1][1]]]));
    // The file changes: another edition, and what is wrong with it.
    bench.write("p.toml", &PIPELINE.replace("[1, 2, 3]", "[1, 2]"));
    eventually("the new plan is shown", || page.json("api/state")["states"] == "aaaa");
    assert_eq!(page.get("api/cell?edition=1&cell=0").status, 404);
    bench.write("p.toml", "[stage.a]\nkind = 'none'\n");
    eventually("the mistake is shown", || {
        page.json("api/state")["problem"].as_str().unwrap().contains("none")
    });
}

#[test]
fn nothing_is_served_but_the_page_and_its_results() {
    let bench = Bench::new(PIPELINE);
    bench.sconce(&["run", "p.toml"]);
    let page = Page::open(&bench);
    let Page { host, token, .. } = &page;
    let index = page.get("");
    assert_eq!(index.status, 200);
    assert!(index.head.contains("Content-Security-Policy: default-src 'none'; script-src 'self'"));
    for path in
        ["app.js", "elements.js", "graph.js", "list.js", "chart.js", "cell.js", "compare.js"]
    {
        let answer = page.get(path);
        assert!(answer.head.contains("Content-Type: text/javascript"), "{path}");
    }
    // Without the token, or with another one.
    for path in ["/", "/api/plan", &format!("/{}/api/plan", "0".repeat(32))] {
        let answer = page.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("shown"));
    }
    // A page elsewhere whose name was made to point here.
    let port = host.rsplit(':').next().unwrap();
    for other in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", "localhost:1"] {
        let request = format!("GET /{token}/api/plan HTTP/1.1\r\nHost: {other}\r\n\r\n");
        assert_eq!(page.send(&request).status, 403, "{other}");
    }
    let named = format!("GET /{token}/api/plan HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    assert_eq!(page.send(&named).status, 200);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!("{method} /{token}/api/plan HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(page.send(&request).status, 405, "{method}");
    }
    let head = page.send(&format!("HEAD /{token}/api/plan HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    // Paths of the disk are none.
    let cell = page.json("api/cell?edition=1&cell=0");
    let outputs = cell["result"]["outputs"].as_array().unwrap();
    let digest = |name: &str| {
        let output = outputs.iter().find(|output| output["name"] == name).unwrap();
        output["digest"].as_str().unwrap().to_owned()
    };
    let tree = digest("page");
    for path in [
        "file/../p.toml",
        "../../etc/passwd",
        &format!("file/{tree}/../../../p.toml"),
        &format!("file/{tree}/%2e%2e/p.toml"),
        &format!("file/{tree}//etc/passwd"),
        &format!("file/{tree}/"),
        &format!("file/{}/out.html", "a".repeat(64)),
        "file/",
    ] {
        assert_eq!(page.get(path).status, 404, "{path}");
    }
    // A report can run nothing, whatever it holds.
    let report = page.get(&format!("file/{tree}/out.html"));
    assert_eq!(report.body, "<b>\n");
    assert!(report.head.contains("Content-Security-Policy: sandbox; default-src 'none'"));
    assert!(report.head.contains("X-Content-Type-Options: nosniff"));
    // A result of the store that this pipeline does not have.
    bench.write(
        "p.toml",
        &PIPELINE.replace("n = [1, 2, 3]", "n = [2]").replace("echo '<b>'", "echo x"),
    );
    let other = Page::open(&bench);
    assert_eq!(other.get(&format!("file/{tree}/out.html")).status, 404);
}
