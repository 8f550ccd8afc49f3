//! Registries: a real one with skopeo as peer, and one that misbehaves on demand.

use std::collections::BTreeMap;
use std::process::Command;
use std::process::Output;
use std::time::Duration;

use rbuild::oci::Descriptor;
use rbuild::oci::DiffId;
use rbuild::oci::Digest;
use rbuild::oci::Image;
use rbuild::oci::ImageConfig;
use rbuild::oci::Layer;
use rbuild::oci::Platform;
use rbuild::oci::Reference;
use rbuild::oci::media_type;
use rbuild::progress::Sink;
use rbuild::remote;
use rbuild::remote::Client;
use rbuild::remote::Destination;
use rbuild::remote::Options;
use rbuild::remote::Pull;
use rbuild::remote::Query;
use rbuild::remote::Registries;
use rbuild::remote::Retry;
use rbuild::store::Store;
use tempfile::TempDir;

use crate::support::Feature;
use crate::support::docker_registry::DockerRegistry;
use crate::support::require;

/// A store in a folder of its own, and a client for it.
pub(crate) struct Home {
    pub(crate) _folder: TempDir,
    pub(crate) store: Store,
    pub(crate) client: Client,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::with_config("{}", change)
    }

    /// Makes a home whose docker has this `config.json`.
    pub(crate) fn with_config(config: &str, change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let store = Store::open(&folder.path().join("root")).unwrap();
        let mut options = Options {
            store: store.clone(),
            registries: Registries::default(),
            credential_files: vec![folder.path().join("config.json")],
            certificate_folders: vec![folder.path().join("certs.d")],
            retry: Retry {
                attempts: 3,
                first_delay: Duration::from_millis(10),
                silence: Duration::from_secs(20),
            },
            manifest_bytes: 4 << 20,
            sink: Sink::silent(),
        };
        change(&mut options);
        Self {
            _folder: folder,
            store,
            client: Client::new(options),
        }
    }

    pub(crate) fn mirrored(registry: &str, mirrors: &[&str]) -> Self {
        let list = mirrors.join("\", \"");
        let text = format!("[\"{registry}\"]\nmirrors = [\"{list}\"]");
        Self::with(|options| options.registries = toml::from_str(&text).unwrap())
    }

    /// Stores an image of `layers`, and gives its descriptor.
    pub(crate) fn image(&self, layers: &[&[u8]]) -> Descriptor {
        let layers = layers.iter().map(|bytes| Layer {
            diff_id: DiffId(Digest::of(bytes)),
            blob: self.store.put(media_type::LAYER, bytes).unwrap(),
        });
        let config = ImageConfig::scratch(&Platform::host());
        let image = Image::assemble(config, layers.collect());
        self.store.put(media_type::CONFIG, &image.config).unwrap();
        self.store
            .put(media_type::MANIFEST, &image.manifest)
            .unwrap();
        image.descriptor
    }

    pub(crate) async fn push(
        &self,
        image: &Descriptor,
        name: &str,
    ) -> Result<Digest, remote::Error> {
        let destination = Destination {
            name: name.parse().unwrap(),
            sources: BTreeMap::new(),
        };
        let step = Sink::silent().step("push");
        remote::push(&self.client, image, &destination, &step).await
    }

    pub(crate) async fn pull(&self, name: &str) -> Result<remote::Resolved, remote::Error> {
        let step = Sink::silent().step("pull");
        remote::pull(&self.client, &query(name, Pull::Missing), &step).await
    }
}

pub(crate) fn query(name: &str, pull: Pull) -> Query {
    Query {
        name: name.parse().unwrap(),
        platform: Platform::host(),
        pull,
    }
}

pub(crate) fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Bytes that do not compress and are not all alike.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn skopeo(args: &[&str]) -> Output {
    Command::new("skopeo").args(args).output().unwrap()
}

#[tokio::test]
async fn what_is_pushed_to_a_real_registry_is_pulled_again() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let full = format!("{}/library/app:1", registry.host());
    let here = Home::new();
    let image = here.image(&[b"first", &noise(3_000_000), b"first"]);
    assert_eq!(here.push(&image, &full).await.unwrap(), image.digest);
    assert_eq!(here.push(&image, &full).await.unwrap(), image.digest);

    let there = Home::mirrored("docker.io", &[&registry.host()]);
    let pulled = there.pull("app:1").await.unwrap();
    assert_eq!(pulled.root.digest, image.digest);
    for layer in &pulled.image.manifest.layers {
        there.store.open_blob(layer).unwrap().finish().unwrap();
    }
    let known = there.store.find(&name("app:1")).unwrap().unwrap();
    assert_eq!(known.digest, image.digest);

    // What is known needs no registry.
    drop(registry);
    assert_eq!(there.pull("app:1").await.unwrap().root, known);
    let never = query("app:1", Pull::Never);
    remote::resolve(&there.client, &never).await.unwrap();
    let always = query("app:1", Pull::Always);
    let error = remote::resolve(&there.client, &always).await.unwrap_err();
    assert!(error.hint().is_some(), "{error}");
}

#[tokio::test]
async fn skopeo_reads_what_is_pushed_and_writes_what_is_pulled() {
    if !require(&[Feature::Program("skopeo")]) {
        return;
    }
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let here = Home::new();
    let image = here.image(&[b"layer"]);
    let full = format!("{}/team/app:1", registry.host());
    here.push(&image, &full).await.unwrap();
    let inspect = ["inspect", "--tls-verify=false", &format!("docker://{full}")];
    let output = skopeo(&inspect);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&image.digest.to_string()), "{output:?}");

    here.store.tag(&name("local/app:2"), &image).unwrap();
    let layout = format!("oci:{}:docker.io/local/app:2", here.store.root().display());
    let copied = format!("{}/copied/app:2", registry.host());
    let output = skopeo(&[
        "copy",
        "--dest-tls-verify=false",
        "--preserve-digests",
        &layout,
        &format!("docker://{copied}"),
    ]);
    assert!(output.status.success(), "{output:?}");
    let there = Home::new();
    assert_eq!(there.pull(&copied).await.unwrap().root.digest, image.digest);
}

#[tokio::test]
async fn a_registry_with_a_password_wants_the_right_one() {
    let Some(registry) = DockerRegistry::start_with_password() else {
        return;
    };
    let full = format!("{}/private/app:1", registry.host());
    let login = |auth: &str| {
        let text = format!(
            r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#,
            registry.host()
        );
        Home::with_config(&text, |_| ())
    };
    // user:password, user:wrong
    let right = login("dXNlcjpwYXNzd29yZA==");
    let wrong = login("dXNlcjp3cm9uZw==");
    let image = right.image(&[b"secret layer"]);
    right.push(&image, &full).await.unwrap();
    assert_eq!(right.push(&image, &full).await.unwrap(), image.digest);

    let error = causes(&wrong.pull(&full).await.unwrap_err());
    assert!(error.contains("config.json were refused"), "{error}");
    let none = Home::new();
    let error = none.pull(&full).await.unwrap_err();
    assert!(
        causes(&error).contains("no credentials for 127.0.0.1"),
        "{error:?}"
    );
    assert!(
        error.hint().unwrap().contains("docker login 127.0.0.1"),
        "{error:?}"
    );
    let image = none.image(&[b"secret layer"]);
    let error = none.push(&image, &full).await.unwrap_err();
    assert_eq!(error.status(), Some(401), "{error:?}");
}

#[tokio::test]
async fn certificates_are_verified_unless_told_otherwise() {
    let Some(registry) = DockerRegistry::start_with_certificate() else {
        return;
    };
    let full = format!("{}/app:1", registry.host());
    let set = |settings: &str| {
        let text = format!("[\"{}\"]\nhttp = false\n{settings}", registry.host());
        Home::with(|options| options.registries = toml::from_str(&text).unwrap())
    };
    let trusting = set(&format!("ca = \"{}\"", registry.certificate().display()));
    let image = trusting.image(&[b"layer"]);
    trusting.push(&image, &full).await.unwrap();
    set("insecure = true").pull(&full).await.unwrap();

    let folder = trusting._folder.path().join("certs.d");
    let own = folder.join(registry.host());
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(registry.certificate(), own.join("ca.crt")).unwrap();
    let text = format!("[\"{}\"]\nhttp = false", registry.host());
    let docker = Home::with(|options| {
        options.registries = toml::from_str(&text).unwrap();
        options.certificate_folders = vec![folder];
    });
    docker.pull(&full).await.unwrap();

    let error = set("").pull(&full).await.unwrap_err();
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
    let error = set("ca = \"/absent.pem\"").pull(&full).await.unwrap_err();
    assert!(error.to_string().contains("/absent.pem"), "{error:?}");
    let error = Home::new().pull(&full).await.unwrap_err();
    assert!(error.hint().unwrap().contains("http = false"), "{error:?}");
}

#[tokio::test]
async fn plain_http_is_spoken_where_that_is_allowed() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let full = format!("{}/app:1", registry.host());
    let set = |settings: &str| {
        let text = format!("[\"{}\"]\nhttp = false\n{settings}", registry.host());
        Home::with(|options| options.registries = toml::from_str(&text).unwrap())
    };
    let home = set("insecure = true");
    let image = home.image(&[b"layer"]);
    home.push(&image, &full).await.unwrap();
    let error = set("").pull(&full).await.unwrap_err();
    assert!(error.hint().unwrap().contains("http = true"), "{error:?}");
}

/// Writes an error with its causes in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
