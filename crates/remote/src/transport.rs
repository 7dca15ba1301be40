//! HTTP for `object_store` by ureq, which the rest of Sconce has already: no second client, no second
//! TLS library. Each call blocks the thread that asks ([`bucket`](crate::bucket) runs several).

use std::io::Read;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

/// Makes clients.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .user_agent(concat!("sconce/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_send_body(Some(Duration::from_secs(300)))
            .timeout_recv_body(Some(Duration::from_secs(300)))
            .build()
            .into();
        Ok(HttpClient::new(Client(agent)))
    }
}

#[derive(Debug)]
struct Client(ureq::Agent);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let has_body = matches!(parts.method, http::Method::PUT | http::Method::POST);
        let response = if has_body {
            self.0.run(http::Request::from_parts(parts, &body[..]))
        } else {
            self.0.run(http::Request::from_parts(parts, ()))
        };
        let (parts, mut body) = response.map_err(error)?.into_parts();
        // What the header tells is a hint: a cut answer is shorter.
        let size = body.content_length().unwrap_or(0).min(16 << 20);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        body.as_reader().read_to_end(&mut bytes).map_err(|cut| error(ureq::Error::Io(cut)))?;
        let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {});
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// What `object_store` goes by when it tries again.
fn error(error: ureq::Error) -> HttpError {
    use std::io::ErrorKind;
    let kind = match &error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(cause) => match cause.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable => HttpErrorKind::Connect,
            ErrorKind::TimedOut => HttpErrorKind::Timeout,
            _ => HttpErrorKind::Interrupted,
        },
        ureq::Error::Protocol(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
