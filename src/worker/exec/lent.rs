//! What the host lends a sandbox for as long as it runs: names, name servers, certificates.

use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::sandbox::Access;
use crate::sandbox::Mount;
use crate::sandbox::MountSource;
use crate::sandbox::Outbound;
use crate::sandbox::Spec;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Beside everything an image may have, so that nothing of it is hidden.
const BUNDLE: &str = "/run/rbuild/ca-bundle.pem";
/// What programs and language runtimes read the path of a certificate bundle from: OpenSSL and
/// Go, curl, Python's requests and pip, Node.js, git, cargo.
const BUNDLE_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
];

/// Gives the mounts of `/etc/hosts` and `/etc/resolv.conf`, on the host's network or one of its
/// own. Neither enters a layer.
#[must_use]
pub fn network_files(
    hostname: &str,
    extra_hosts: &[(String, String)],
    network: Option<&Outbound>,
) -> Vec<Mount> {
    let mut hosts =
        format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in extra_hosts {
        writeln!(hosts, "{address}\t{name}").expect("a string takes everything");
    }
    let mut mounts = vec![file("/etc/hosts", hosts.into_bytes())];
    // Without one, the C library asks a name server on this machine.
    if let Ok(host) = std::fs::read_to_string(RESOLV_CONF) {
        let own = network.and_then(|network| network.resolv_conf(&host));
        mounts.push(match own {
            Some(own) => file(RESOLV_CONF, own.into_bytes()),
            None => bind(RESOLV_CONF, PathBuf::from(RESOLV_CONF)),
        });
    }
    mounts
}

/// Shows the sandbox a certificate bundle and tells programs where it is, unless the image does.
pub(crate) fn add_certificates(spec: &mut Spec, bundle: &Path) {
    spec.mounts.push(bind(BUNDLE, bundle.to_owned()));
    for name in BUNDLE_VARIABLES {
        let is_set = spec
            .env
            .iter()
            .any(|pair| pair.split('=').next() == Some(name));
        if !is_set {
            spec.env.push(format!("{name}={BUNDLE}"));
        }
    }
}

fn file(target: &str, content: Vec<u8>) -> Mount {
    let source = MountSource::File {
        content,
        mode: 0o644,
        uid: 0,
        gid: 0,
        access: Access::ReadOnly,
    };
    Mount {
        target: target.to_owned(),
        source,
    }
}

fn bind(target: &str, path: PathBuf) -> Mount {
    let source = MountSource::Bind {
        path,
        access: Access::ReadOnly,
    };
    Mount {
        target: target.to_owned(),
        source,
    }
}
