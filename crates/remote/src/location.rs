//! Where a remote store is: its address, and what the environment tells about how to reach it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;

use crate::bucket::{Bucket, Trouble, patience};
use crate::profile;
use crate::transport::Connector;

/// Variables of the environment by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// What is looked for when nothing tells credentials.
const S3_SOURCES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];
const GCS_SOURCES: &[&str] = &[
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_SKIP_SIGNATURE",
];
const AZURE_SOURCES: &[&str] = &[
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_STORAGE_USE_EMULATOR",
    "AZURE_SKIP_SIGNATURE",
];

/// What a builder builds, on our own transport. Their methods are alike, and of no common trait.
macro_rules! built {
    ($location:expr, $builder:expr) => {{
        let store = $builder.with_http_connector(Connector).with_retry(patience()).build();
        Ok(Arc::new(store.map_err(|error| $location.wrong(&error))?))
    }};
}

/// The kind of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    S3,
    Gcs,
    Azure,
    Folder,
}

/// Where a remote store is: `s3://bucket/prefix`, `gs://…`, `az://container/prefix` or `file:///folder`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    service: Service,
    bucket: String,
    prefix: String,
}

/// Why a text is no address of a remote store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the remote store `{0}`: expected `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, \
     `az://CONTAINER/PREFIX` or `file:///FOLDER`"
)]
pub struct LocationError(String);

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let wrong = || LocationError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let service = match scheme {
            "s3" => Service::S3,
            "gs" => Service::Gcs,
            "az" => Service::Azure,
            "file" if rest.starts_with('/') && rest.len() > 1 => {
                let bucket = rest.trim_end_matches('/').to_owned();
                return Ok(Self { service: Service::Folder, bucket, prefix: String::new() });
            }
            _ => return Err(wrong()),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_good = |part: &str| {
            part.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        };
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty()
            || !bucket.chars().all(plain)
            || !(prefix.is_empty() || is_good(prefix))
        {
            return Err(wrong());
        }
        Ok(Self { service, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.service {
            Service::S3 => "s3",
            Service::Gcs => "gs",
            Service::Azure => "az",
            Service::Folder => "file",
        };
        write!(f, "{scheme}://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Location {
    /// The bucket, by the credentials and addresses that the environment tells. Nobody is asked yet.
    ///
    /// # Errors
    /// There are no credentials: what was looked for.
    pub(crate) fn open(&self, environment: &Environment) -> Result<Bucket, Trouble> {
        self.open_on(environment, &|| is_cloud_machine(environment))
    }

    fn open_on(
        &self,
        environment: &Environment,
        is_cloud_machine: &dyn Fn() -> bool,
    ) -> Result<Bucket, Trouble> {
        let store = match self.service {
            Service::S3 => self.s3(environment, is_cloud_machine)?,
            Service::Gcs => self.gcs(environment, is_cloud_machine)?,
            Service::Azure => self.azure(environment, is_cloud_machine)?,
            Service::Folder => self.folder()?,
        };
        Ok(Bucket::new(store, &self.prefix).with_refusal(self.refusal(environment)))
    }

    /// What is said where the service refuses who asks: it tells whose credentials were shown.
    fn refusal(&self, environment: &Environment) -> String {
        let whose = |names: &[&str]| {
            names.iter().find(|name| environment.contains_key(**name)).map(|&name| name.to_owned())
        };
        let whose = match self.service {
            Service::Folder => return "this user may not do that".to_owned(),
            Service::S3 => match whose(S3_SOURCES).as_deref() {
                Some("AWS_ACCESS_KEY_ID") => {
                    Some("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned())
                }
                Some(name) => Some(name.to_owned()),
                None if profile::read(environment).contains_key("AWS_ACCESS_KEY_ID") => {
                    Some(format!("the profile `{}` of ~/.aws", profile::name(environment)))
                }
                None => Some("this machine in the cloud".to_owned()),
            },
            Service::Gcs => whose(GCS_SOURCES),
            Service::Azure => whose(AZURE_SOURCES),
        };
        match whose {
            Some(whose) => format!("the credentials of {whose} are refused"),
            None => "the credentials that were found are refused".to_owned(),
        }
    }

    fn s3(
        &self,
        environment: &Environment,
        is_cloud_machine: &dyn Fn() -> bool,
    ) -> Result<Arc<dyn ObjectStore>, Trouble> {
        let mut known = profile::read(environment);
        known.extend(variables(environment, "AWS_"));
        let has = |name: &&&str| known.contains_key(**name);
        if !S3_SOURCES.iter().any(|name| has(&name)) && !is_cloud_machine() {
            return Err(self.no_credentials(&format!(
                "the variables {}, the profile `{}` of ~/.aws, and the role of a machine in the cloud",
                S3_SOURCES.join(", "),
                profile::name(environment),
            )));
        }
        let mut builder = AmazonS3Builder::new();
        for (name, value) in known {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        built!(self, builder.with_bucket_name(&self.bucket))
    }

    fn gcs(
        &self,
        environment: &Environment,
        is_cloud_machine: &dyn Fn() -> bool,
    ) -> Result<Arc<dyn ObjectStore>, Trouble> {
        let known = variables(environment, "GOOGLE_");
        let default = environment.get("HOME").map(|home| {
            PathBuf::from(home).join(".config/gcloud/application_default_credentials.json")
        });
        let has_default = default.is_some_and(|path| path.exists());
        if !GCS_SOURCES.iter().any(|name| known.contains_key(*name))
            && !has_default
            && !is_cloud_machine()
        {
            return Err(self.no_credentials(&format!(
                "the variables {}, the default credentials of gcloud, and the account of a machine in \
                 the cloud",
                GCS_SOURCES.join(", "),
            )));
        }
        let mut builder = GoogleCloudStorageBuilder::new();
        for (name, value) in known {
            builder = match name.as_str() {
                "GOOGLE_APPLICATION_CREDENTIALS" => builder.with_application_credentials(value),
                name => match name.to_ascii_lowercase().parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                },
            };
        }
        built!(self, builder.with_bucket_name(&self.bucket))
    }

    fn azure(
        &self,
        environment: &Environment,
        is_cloud_machine: &dyn Fn() -> bool,
    ) -> Result<Arc<dyn ObjectStore>, Trouble> {
        let known = variables(environment, "AZURE_");
        let has_account = known.contains_key("AZURE_STORAGE_ACCOUNT_NAME")
            || known.contains_key("AZURE_STORAGE_USE_EMULATOR");
        let has_key = AZURE_SOURCES.iter().any(|name| known.contains_key(*name));
        if !has_account || !(has_key || is_cloud_machine()) {
            return Err(self.no_credentials(&format!(
                "the variables AZURE_STORAGE_ACCOUNT_NAME and one of {}, and the identity of a machine \
                 in the cloud",
                AZURE_SOURCES.join(", "),
            )));
        }
        let mut builder = MicrosoftAzureBuilder::new();
        for (name, value) in known {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        built!(self, builder.with_container_name(&self.bucket))
    }

    fn folder(&self) -> Result<Arc<dyn ObjectStore>, Trouble> {
        // A folder that is not there may be one that is not mounted: it is not made.
        if !std::path::Path::new(&self.bucket).is_dir() {
            return Err(Trouble::Refused("there is no such folder; is it mounted?".to_owned()));
        }
        let store = LocalFileSystem::new_with_prefix(&self.bucket);
        Ok(Arc::new(store.map_err(|error| self.wrong(&error))?))
    }

    fn no_credentials(&self, looked_for: &str) -> Trouble {
        Trouble::Refused(format!("no credentials were found; looked for {looked_for}"))
    }

    fn wrong(&self, error: &object_store::Error) -> Trouble {
        Trouble::Refused(error.to_string())
    }
}

fn variables(environment: &Environment, prefix: &str) -> Environment {
    let ours = |(name, value): &(&String, &String)| name.starts_with(prefix) && !value.is_empty();
    environment.iter().filter(ours).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether there is a metadata service, as machines in a cloud have one: else each call would wait for it.
fn is_cloud_machine(environment: &Environment) -> bool {
    if environment.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value == "true") {
        return false;
    }
    let address = SocketAddr::from(([169, 254, 169, 254], 80));
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["s3://bucket", "s3://bucket/a/b", "gs://b-1/x", "az://c/p", "file:///mnt/x"] {
            assert_eq!(good.parse::<Location>().unwrap().to_string(), good);
        }
        assert_eq!("s3://bucket/a/".parse::<Location>().unwrap().to_string(), "s3://bucket/a");
        for bad in [
            "",
            "bucket",
            "s3:/b",
            "s3://",
            "s3://b/../c",
            "s3://b//c",
            "file://x",
            "ftp://b",
            "s3://u:p@h",
        ] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }

    #[test]
    fn without_credentials_it_is_told_what_was_looked_for() {
        for (address, named) in [
            ("s3://bucket", ["AWS_ACCESS_KEY_ID", "~/.aws", "role"]),
            ("gs://bucket", ["GOOGLE_APPLICATION_CREDENTIALS", "gcloud", "account"]),
            ("az://bucket", ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_SAS_TOKEN", "identity"]),
        ] {
            let location: Location = address.parse().unwrap();
            let Err(Trouble::Refused(text)) = location.open_on(&Environment::new(), &|| false)
            else {
                panic!("{address} opens without credentials");
            };
            assert!(named.iter().all(|name| text.contains(name)), "{text}");
        }
    }
}
