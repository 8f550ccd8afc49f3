//! A real registry, Debian's `docker-registry`, on a free port of this machine.

use std::fs;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::Feature;
use crate::support::require;

/// `user:password` in bcrypt, the only form the registry reads.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu\n";

/// A running registry; it ends with this value.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    child: Child,
    port: u16,
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
        let port = free_port();
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{ level: error }}\n\
             storage: {{ filesystem: {{ rootdirectory: '{}' }}, delete: {{ enabled: true }} }}\n\
             http:\n  addr: '127.0.0.1:{port}'\n{settings}",
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
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self {
            child,
            port,
            folder,
        };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(registry);
            }
            thread::sleep(Duration::from_millis(25));
        }
        panic!("docker-registry does not listen on port {port}");
    }

    /// Gives the file of the registry's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Gives `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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

/// Finds a port nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
