//! A server that speaks S3, for tests. The crate of the remote store takes this file into its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// moto's server. It keeps to conditions on a put.
pub(crate) struct Moto {
    child: Child,
    told: serde_json::Value,
}

/// Whose credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// May do all.
    Owner,
    /// May read.
    Reader,
    /// The owner's name, and not its secret.
    Mistyped,
    /// Nobody that the server knows.
    Stranger,
}

/// Fails where there is no moto, or one that takes a right signature for a wrong one: 5.2.1 does.
const INSTALLED: &str = "import boto3, moto, moto.server, sys
sys.exit(tuple(int(part) for part in moto.__version__.split('.')[:3]) < (5, 2, 5))";

impl Moto {
    /// A running server with these buckets, which takes any request, or such as are signed by its own users
    /// alone. None, and told so, where it is not installed.
    #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn start(buckets: &[&str], checks: bool) -> Option<Self> {
        #[allow(clippy::disallowed_methods, reason = "a test asks where the server is")]
        let python = std::env::var("SCONCE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let installed = Command::new(&python)
            .args(["-c", INSTALLED])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !installed {
            eprintln!(
                "skipped: `{python}` has no moto of 5.2.5 or later (pip install 'moto[server]'; SCONCE_TEST_PYTHON)"
            );
            return None;
        }
        let mut command = Command::new(&python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/s3.py")).args(buckets);
        if checks {
            command.arg("--checked");
        }
        // It ends with its input, also where this process is killed.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap();
        Some(Self { child, told })
    }

    /// The variables by which somebody comes in.
    pub(crate) fn environment(&self, who: Who) -> BTreeMap<String, String> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let name = if who == Who::Reader { "reader" } else { "owner" };
        let [mut id, mut secret] = [0, 1].map(|place| text(&self.told[name][place]));
        match who {
            Who::Owner | Who::Reader => {}
            Who::Mistyped => secret.push('x'),
            Who::Stranger => "AKIASTRANGER00000000".clone_into(&mut id),
        }
        let variables = [
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", text(&self.told["region"])),
            ("AWS_ENDPOINT_URL", text(&self.told["endpoint"])),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
