//! Services to test against: what goes wrong on the way, and s3rver.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::location::Environment;
use crate::transport::Connector;

/// A service around another that treats puts and reads in a way of its own.
macro_rules! decorator {
    ($name:ident, $about:literal, put: $put:item, get: $get:item) => {
        #[doc = $about]
        #[derive(Debug)]
        pub(crate) struct $name<T>(pub(crate) T);

        impl<T: ObjectStore> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        #[async_trait]
        impl<T: ObjectStore> ObjectStore for $name<T> {
            $put
            $get

            async fn put_multipart_opts(
                &self,
                _path: &Path,
                _options: PutMultipartOptions,
            ) -> Result<Box<dyn MultipartUpload>> {
                panic!("no object is put in parts");
            }

            fn delete_stream(
                &self,
                paths: BoxStream<'static, Result<Path>>,
            ) -> BoxStream<'static, Result<Path>> {
                self.0.delete_stream(paths)
            }

            fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
                self.0.list(prefix)
            }

            async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
                self.0.list_with_delimiter(prefix).await
            }

            async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
                panic!("no object is copied");
            }
        }
    };
}

decorator! {
    Slow, "Takes its time.",
    put: async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        std::thread::sleep(Duration::from_millis(3));
        self.0.put_opts(path, payload, options).await
    },
    get: async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        std::thread::sleep(Duration::from_millis(3));
        self.0.get_opts(path, options).await
    }
}

decorator! {
    Twice, "Carries every put out twice and tells of the second, as a client does that lost an answer.",
    put: async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let _ = self.0.put_opts(path, payload.clone(), options.clone()).await;
        self.0.put_opts(path, payload, options).await
    },
    get: async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(path, options).await
    }
}

decorator! {
    Deaf, "Ignores conditions and overwrites, as s3rver does.",
    put: async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(path, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
    },
    get: async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(path, options).await
    }
}

/// What happens to requests on their way. `object_store` tries again by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    Good,
    /// Every n-th request does not reach the service.
    FailsEvery(usize),
    /// Every n-th request is carried out, and its answer is lost.
    LosesAnswersEvery(usize),
    /// Every n-th request is carried out and answered by an error of the server.
    CutsAnswersEvery(usize),
}

#[derive(Debug)]
struct OverLine(Line);

#[derive(Debug)]
struct Client {
    inner: HttpClient,
    line: Line,
    calls: AtomicUsize,
}

impl HttpConnector for OverLine {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let inner = Connector.connect(options)?;
        Ok(HttpClient::new(Client { inner, line: self.0, calls: AtomicUsize::new(0) }))
    }
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let lost = || {
            let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            Err(HttpError::new(HttpErrorKind::Interrupted, cut))
        };
        match self.line {
            Line::FailsEvery(n) if number.is_multiple_of(n) => lost(),
            Line::LosesAnswersEvery(n) if number.is_multiple_of(n) => {
                self.inner.execute(request).await?;
                lost()
            }
            Line::CutsAnswersEvery(n) if number.is_multiple_of(n) => {
                let (mut parts, body) = self.inner.execute(request).await?.into_parts();
                parts.status = http::StatusCode::INTERNAL_SERVER_ERROR;
                Ok(HttpResponse::from_parts(parts, body))
            }
            _ => self.inner.execute(request).await,
        }
    }
}

/// A bucket of a server that speaks S3.
#[derive(Debug, Clone)]
pub(crate) struct S3Bucket {
    pub(crate) name: String,
    pub(crate) environment: Environment,
}

/// A client of it.
pub(crate) fn s3(bucket: &S3Bucket, line: Line) -> Arc<dyn ObjectStore> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(&bucket.name);
    for (name, value) in &bucket.environment {
        builder = builder.with_config(name.to_ascii_lowercase().parse().unwrap(), value);
    }
    let mut patience = crate::bucket::patience();
    patience.backoff.init_backoff = Duration::from_millis(1);
    patience.backoff.max_backoff = Duration::from_millis(10);
    Arc::new(builder.with_http_connector(OverLine(line)).with_retry(patience).build().unwrap())
}

/// s3rver: it knows its users by name, does not verify signatures, and is deaf to conditions.
pub(crate) struct S3rver {
    child: Child,
    _folder: tempfile::TempDir,
    endpoint: String,
}

impl S3rver {
    /// A running server with the bucket `bucket`; none, and told so, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        #[allow(clippy::disallowed_methods, reason = "a test asks where the server is")]
        let program = std::env::var("SCONCE_TEST_S3RVER").unwrap_or_else(|_| "s3rver".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(&program);
        command.args(["--port", "0", "--address", "127.0.0.1", "--silent"]);
        command.args(["--configure-bucket", "bucket", "--directory"]).arg(folder.path());
        let Ok(mut child) = command.stdout(Stdio::piped()).spawn() else {
            eprintln!("skipped: no `{program}` (npm install s3rver@3.7.1; SCONCE_TEST_S3RVER)");
            return None;
        };
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).find_map(|line| {
            line.rsplit_once(" on ").map(|(_, address)| format!("http://{address}"))
        });
        Some(Self { child, _folder: folder, endpoint: told.unwrap() })
    }

    /// Its bucket, for a user of this name.
    pub(crate) fn bucket(&self, user: &str) -> S3Bucket {
        let variables = [
            ("AWS_ACCESS_KEY_ID", user),
            ("AWS_SECRET_ACCESS_KEY", "S3RVER"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &self.endpoint),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        S3Bucket { name: "bucket".to_owned(), environment: variables.map(owned).into() }
    }
}

impl Drop for S3rver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
