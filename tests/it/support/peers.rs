//! A real registry, the base images in it, and servers that are started, asked and ended.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Signal;

use super::Feature;
use super::docker_registry::listening;
use super::home::RBUILD;
use super::home::mirror_config;
use super::home::succeed;
use super::processes::signal;

/// The certificates that a `RUN` needs where a proxy between it and the package registries has a
/// certificate authority of its own.
pub(crate) const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What [`Registry::start_with_password`] asks for.
pub(crate) const PASSWORD: &str = "correct horse";
const PASSWORD_BCRYPT: &str = "$2a$04$r15gTe4gKcLMPmGqOwj/lOk0nhfQGmXsA9d0H5V8AG2ITD3Nyhbh6";

/// What making the base images takes.
pub(crate) const BASES: [Feature; 6] = [
    Feature::Root,
    Feature::Namespaces,
    Feature::Program("docker-registry"),
    Feature::Program("mmdebstrap"),
    Feature::Program("busybox"),
    Feature::Server("deb.debian.org:80"),
];

/// A `docker-registry` on a port of the loopback interface; it ends with the test program.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Its host and port.
    pub(crate) address: String,
    _shell: Child,
}

impl Registry {
    /// Starts one that keeps its images in this folder.
    pub(crate) fn start(storage: &Path) -> Registry {
        Registry::start_with(storage, "")
    }

    /// Starts one that lets `someone` in with [`PASSWORD`], and nobody else.
    pub(crate) fn start_with_password(storage: &Path) -> Registry {
        fs::create_dir_all(storage).unwrap();
        let passwords = storage.join("passwords");
        fs::write(&passwords, format!("someone:{PASSWORD_BCRYPT}\n")).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: tests, path: {passwords:?}}}}}\n");
        Registry::start_with(storage, &auth)
    }

    fn start_with(storage: &Path, more: &str) -> Registry {
        fs::create_dir_all(storage).unwrap();
        let [config, log] =
            ["yml", "log"].map(|kind| storage.join(format!("{}.{kind}", std::process::id())));
        // A log of an earlier program would tell another port.
        fs::write(&log, "").unwrap();
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n\
             storage: {{filesystem: {{rootdirectory: {storage:?}}}}}\n{more}"
        );
        fs::write(&config, text).unwrap();
        // The shell outlives no test program, however that ends: then its standard input closes.
        let script = "docker-registry serve \"$1\" 2>>\"$2\" & cat >/dev/null; kill $!";
        let shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .args([&config, &log])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Registry {
            address: listening(&log).to_string(),
            _shell: shell,
        }
    }
}

/// The registry that has the base images: one for the whole test program. Its folder, the cache of
/// root filesystems and images, is in `target`, so that only the first run makes them.
pub(crate) fn bases() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::start(&cache().join("registry")))
}

/// Makes sure that the base image is in the registry of [`bases`].
pub(crate) fn make_base(name: &str, reference: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let registry = bases();
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let (repository, tag) = reference.split_once(':').unwrap();
    let manifest = format!("/v2/library/{repository}/manifests/{tag}");
    if http_get(&registry.address, &manifest).is_some() {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/bases/make.sh");
    let mut make = Command::new(script);
    make.arg(RBUILD)
        .arg(&registry.address)
        .arg(cache())
        .arg(name);
    make.env("RBUILD_ROOT", cache().join("root"));
    let config = cache().join("rbuild.toml");
    fs::write(&config, mirror_config(&registry.address)).unwrap();
    make.env("RBUILD_CONFIG", config);
    succeed(&mut make);
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bases")
}

/// A running server, told to end and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Server {
        Server(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Whether it ends within the time after SIGTERM. A shell that is process 1 of its container
    /// ignores that, so there are two more; the third one is never ignored.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        const PAUSE: Duration = Duration::from_secs(2);
        let start = Instant::now();
        let mut sent = 0;
        // What has ended is not told to: by then its number may be another's.
        while self.0.try_wait().unwrap().is_none() {
            if start.elapsed() >= limit {
                return false;
            }
            if sent < 3 && start.elapsed() >= PAUSE * sent {
                signal(self.0.id(), Signal::TERM);
                sent += 1;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.ends_within(Duration::from_secs(10)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The whole answer to a GET if its status is 200.
pub(crate) fn http_get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let accept = "application/vnd.oci.image.manifest.v1+json, \
                  application/vnd.docker.distribution.manifest.v2+json, */*";
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split_whitespace().nth(1)?;
    (status == "200").then_some(answer)
}
