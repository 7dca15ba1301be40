//! The conformance suite on every kind of service, and what is particular to a remote store.

mod collection;
#[path = "../../../core/src/store/conformance.rs"]
mod conformance;
#[path = "../../../../tests/whole/s3.rs"]
mod s3;
mod service;
mod transfers;
mod trouble;

use std::path::Path;
use std::sync::Arc;

use conformance::Subject;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use sconce_core::store::{Claim, Imported, Receipt, Remote, Results};
use sconce_core::{Digest, Files, Result, Store};

use crate::bucket::Bucket;
use crate::chunk::Chunk;
use crate::location::{Environment, Location};
use crate::{Access, Shared};
use s3::{Moto, Who};
use service::{Deaf, Line, S3Bucket, S3rver, Slow, Twice};

/// One machine: a store of its own and the remote one behind it. What it records is there at once.
pub(super) struct Machine {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new(bucket: impl Fn() -> Bucket + Send + Sync + 'static) -> Self {
        Self::with(Access::Full, move || Ok(bucket()))
    }

    pub(super) fn with(
        access: Access,
        open: impl Fn() -> Result<Bucket, crate::bucket::Trouble> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alone = Store::open(&folder.path().join("store")).unwrap();
        let shared = Arc::new(Shared::over("test".to_owned(), access, alone.clone(), open));
        Self { store: alone.with_remote(Arc::clone(&shared) as _), shared, _folder: folder }
    }

    /// A machine before a service.
    pub(super) fn at(service: &Arc<dyn ObjectStore>) -> Self {
        let service = Arc::clone(service);
        Self::new(move || Bucket::new(Arc::clone(&service), "group"))
    }
}

impl Results for Machine {
    fn receipt(&self, key: &Digest) -> Result<Option<Receipt>> {
        self.store.receipt(key)
    }

    fn recorded(&self, key: &Digest) -> Result<Option<Receipt>> {
        self.store.recorded(key)
    }

    fn is_damaged(&self, key: &Digest) -> Result<bool> {
        self.store.is_damaged(key)
    }

    fn put_receipt(&self, receipt: &Receipt) -> Result<()> {
        self.store.put_receipt(receipt)?;
        self.shared.push(std::slice::from_ref(receipt), true).map(drop)
    }

    fn files(&self, tree: &Digest) -> Result<Files> {
        self.store.files(tree)
    }

    fn import(&self, folder: &Path) -> Result<Imported> {
        self.store.import(folder)
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>> {
        self.store.results().claim(key)
    }
}

/// Makes every object bad that could hold content of this digest: what holds some other is bad, too.
pub(super) fn spoil(bucket: &Bucket, content: &[u8]) {
    let (chunk, _) = Chunk::pack(content.to_vec());
    for folder in ["results", "chunks", "bundles"] {
        for object in bucket.list(folder, 10_000).unwrap() {
            let bytes = bucket.get(&object.name).unwrap().unwrap();
            let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
            let mut bad = bytes.to_vec();
            // What is deflated is found by its size alone.
            if object.name == chunk.name() || holds(content) || folder == "results" {
                let middle = bad.len() / 2;
                bad[middle] ^= 1;
                bucket.put(&object.name, bad.into()).unwrap();
            }
        }
    }
}

fn conforms(service: &Arc<dyn ObjectStore>, has_claims: bool) {
    let bucket = Bucket::new(Arc::clone(service), "group");
    Subject {
        open: &|| Box::new(Machine::at(service)),
        spoil: &|_| spoil(&bucket, b"to be spoilt"),
        is_one_place: false,
        has_claims,
    }
    .conforms();
}

#[test]
fn memory_conforms() {
    conforms(&(Arc::new(InMemory::new()) as _), true);
}

#[test]
fn a_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let local = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    conforms(&(Arc::new(local) as _), true);
}

#[test]
fn a_slow_service_conforms() {
    conforms(&(Arc::new(Slow(InMemory::new())) as _), true);
}

#[test]
fn a_service_that_is_told_everything_twice_conforms() {
    conforms(&(Arc::new(Twice(InMemory::new())) as _), true);
}

#[test]
fn a_service_that_is_deaf_to_conditions_conforms_but_for_claims() {
    let service: Arc<dyn ObjectStore> = Arc::new(Deaf(InMemory::new()));
    conforms(&service, false);
    let machine = Machine::at(&service);
    let key = Digest::of(b"key");
    assert!(machine.claim(&key).unwrap().is_some());
    let told = machine.shared.take_told();
    assert!(told.iter().any(|text| text.contains("does not keep to conditions")), "{told:?}");
}

/// All tests of the suite on a bucket over a line.
fn bucket_conforms(bucket: &S3Bucket, line: Line, has_claims: bool) {
    let plain = Bucket::new(service::s3(bucket, Line::Good), "group");
    Subject {
        open: &|| {
            let bucket = bucket.clone();
            Box::new(Machine::new(move || Bucket::new(service::s3(&bucket, line), "group")))
        },
        spoil: &|_| spoil(&plain, b"to be spoilt"),
        is_one_place: false,
        has_claims,
    }
    .conforms();
}

#[test]
fn what_speaks_s3_conforms_and_so_it_does_over_a_bad_line() {
    let lines = [
        ("plain", Line::Good),
        ("fails", Line::FailsEvery(3)),
        ("loses", Line::LosesAnswersEvery(3)),
        ("cuts", Line::CutsAnswersEvery(3)),
    ];
    let Some(moto) = Moto::start(&lines.map(|(name, _)| name), false) else { return };
    for (name, line) in lines {
        let environment = moto.environment(Who::Owner);
        bucket_conforms(&S3Bucket { name: name.to_owned(), environment }, line, true);
    }
}

#[test]
fn what_checks_credentials_conforms() {
    let Some(moto) = Moto::start(&["bucket"], true) else { return };
    let environment = moto.environment(Who::Owner);
    bucket_conforms(&S3Bucket { name: "bucket".to_owned(), environment }, Line::Good, true);
}

#[test]
fn s3rver_which_is_deaf_to_conditions_conforms_but_for_claims() {
    let Some(server) = S3rver::start() else { return };
    bucket_conforms(&server.bucket("S3RVER"), Line::Good, false);
    let error = asked(server.bucket("S3REVER").environment, "s3://bucket/group");
    assert!(error.contains("are refused: InvalidAccessKeyId"), "{error}");
}

/// What a machine is told that asks for a result.
fn asked(environment: Environment, address: &str) -> String {
    let location: Location = address.parse().unwrap();
    let machine = Machine::with(Access::Full, move || location.open(&environment));
    machine.store.receipt(&Digest::of(b"key")).unwrap_err().to_string()
}

#[test]
fn credentials_that_are_refused_are_told_and_not_taken_for_an_empty_store() {
    let Some(moto) = Moto::start(&["bucket"], true) else { return };
    for (who, why) in
        [(Who::Mistyped, "SignatureDoesNotMatch"), (Who::Stranger, "InvalidAccessKeyId")]
    {
        let error = asked(moto.environment(who), "s3://bucket/group");
        let wanted = format!(
            "the credentials of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are refused: {why}"
        );
        assert!(error.contains(&wanted), "{error}");
    }
    // They may be of a profile.
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let mut environment = moto.environment(Who::Mistyped);
    let text = format!(
        "[lab]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        environment.remove("AWS_ACCESS_KEY_ID").unwrap(),
        environment.remove("AWS_SECRET_ACCESS_KEY").unwrap()
    );
    std::fs::write(home.path().join(".aws/credentials"), text).unwrap();
    environment.insert("HOME".to_owned(), home.path().to_str().unwrap().to_owned());
    environment.insert("AWS_PROFILE".to_owned(), "lab".to_owned());
    let error = asked(environment, "s3://bucket/group");
    assert!(
        error.contains("the credentials of the profile `lab` of ~/.aws are refused"),
        "{error}"
    );
}

#[test]
fn a_bucket_that_is_not_there_is_told_and_not_taken_for_an_empty_store() {
    let Some(moto) = Moto::start(&[], false) else { return };
    let error = asked(moto.environment(Who::Owner), "s3://not-there/group");
    assert!(error.contains("no such bucket"), "{error}");
}
