//! A real registry, Debian's `docker-registry`, on a port of this machine.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::Feature;
use crate::support::require;
use crate::support::wait::wait_until;

/// `user:password` in bcrypt, the only form the registry reads.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu\n";

/// A running registry; it ends with this value.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    child: Child,
    address: Option<SocketAddr>,
    folder: TempDir,
}

impl DockerRegistry {
    /// Starts a registry that anybody may use; none, with a printed reason, if there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Starts a registry that wants user `user` with password `password`.
    pub(crate) fn start_with_password() -> Option<Self> {
        Self::start_with("auth: { htpasswd: { realm: test, path: 'FOLDER/htpasswd' } }\n")
    }

    /// Starts a registry that speaks HTTPS with a certificate of its own making.
    pub(crate) fn start_with_certificate() -> Option<Self> {
        if !require(&[Feature::Program("openssl")]) {
            return None;
        }
        Self::start_with("  tls: { certificate: 'FOLDER/cert.pem', key: 'FOLDER/key.pem' }\n")
    }

    fn start_with(settings: &str) -> Option<Self> {
        if !require(&[Feature::Program("docker-registry")]) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{ accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: '{}' }}, delete: {{ enabled: true }} }}\n\
             http:\n  addr: '127.0.0.1:0'\n{settings}",
            data.display()
        );
        let text = text.replace("FOLDER", &folder.path().display().to_string());
        fs::write(&config, text).unwrap();
        fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        if settings.contains("tls:") {
            make_certificate(folder.path());
        }
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        // From here on it ends, whatever happens.
        let mut registry = Self {
            child,
            address: None,
            folder,
        };
        registry.address = Some(listening(&log));
        Some(registry)
    }

    /// Gives the file of the registry's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Gives `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> String {
        self.address.unwrap().to_string()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Waits until a registry listens on the port that the kernel gave it, as it writes into its log, and
/// gives the address.
pub(crate) fn listening(log: &Path) -> SocketAddr {
    let mut found = None;
    wait_until("the registry listens", || {
        let said = fs::read_to_string(log).unwrap_or_default();
        found = said.split_once("listening on ").and_then(|(_, rest)| {
            let end = rest.find(['"', ','])?;
            rest[..end].parse().ok()
        });
        found.is_some()
    });
    found.unwrap()
}
