//! What the user can do about an error.

use crate::progress::in_one_line;
use crate::remote::Error;

impl Error {
    /// Gives what the user can do about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve { source, .. }
            | Self::Pull { source, .. }
            | Self::Push { source, .. } => source.hint(),
            Self::Download { url, source } => match source.status() {
                Some(404) => Some("see whether the URL is right".to_owned()),
                Some(401 | 403) => Some(format!(
                    "give a token for it with --secret id=HTTP_AUTH_TOKEN_{},src=FILE",
                    host(url)
                )),
                _ => source.hint(),
            },
            Self::Everywhere { attempts } => {
                attempts.iter().rev().find_map(|(_, error)| error.hint())
            }
            Self::Status {
                status, message, ..
            } => status_hint(*status, message),
            Self::Login { host, .. } => Some(format!("log in again with `docker login {host}`")),
            Self::Unauthorized { url, .. } => Some(format!(
                "log in with `docker login {}`, or see whether the name is right: a registry \
                 also answers so where there is nothing",
                registry(url)
            )),
            Self::Request { url, source, .. } => request_hint(url, source),
            Self::Silence { url, .. } => Some(format!("{} hangs; try again later", host(url))),
            Self::Schema1 { .. } => {
                Some("pull the image with an old docker and push it again to convert it".to_owned())
            }
            Self::Platform { .. } => {
                Some("choose one of them with --platform, or another tag".to_owned())
            }
            Self::Never { .. } => Some("allow it with --pull=missing".to_owned()),
            Self::NeverFor { platform, .. } => Some(format!(
                "`rbuild pull --platform {platform}` gets it, or allow it with --pull=missing"
            )),
            _ => None,
        }
    }
}

/// Gives the registry by the name that credentials are kept under.
fn registry(url: &str) -> &str {
    match host(url) {
        "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

fn host(url: &str) -> &str {
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    place.split('/').next().unwrap_or(place)
}

fn status_hint(status: u16, message: &str) -> Option<String> {
    let hint = match status {
        400 if message.contains("HTTP request to an HTTPS server") => {
            "the registry speaks HTTPS: set `http = false` for it in the registry table"
        }
        403 => "the credentials are known but not allowed to do this",
        404 => "see whether the name and the tag are right",
        413 => "a proxy before the registry limits the size of uploads",
        429 => {
            "the registry limits how much one address or account may ask for: log in, wait, or \
             set a mirror in the registry table"
        }
        500..=599 => "the registry or what it depends on is out of order; try again later",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn request_hint(url: &str, source: &reqwest::Error) -> Option<String> {
    let cause = in_one_line(source);
    let host = host(url);
    let hint = if cause.contains("CaUsedAsEndEntity") {
        format!(
            "the certificate of {host} is that of an authority, not of a server: make one with \
             basicConstraints CA:FALSE, or set `insecure = true` in the registry table"
        )
    } else if cause.contains("UnknownIssuer") || cause.contains("invalid peer certificate") {
        format!(
            "the certificate of {host} is not one this machine trusts: set `ca` for it in the \
             registry table, or SSL_CERT_FILE; `insecure = true` trusts anything. A machine \
             without any trusts nobody until ca-certificates is installed"
        )
    } else if cause.contains("InvalidContentType") || cause.contains("corrupt message") {
        format!(
            "{host} does not seem to speak HTTPS: set `http = true` for it in the registry table"
        )
    } else if cause.contains("Connection refused") {
        format!("nothing listens at {host}: is the registry running, and is the port right?")
    } else if cause.contains("dns error") || cause.contains("lookup address") {
        format!(
            "the name {host} is not known: see whether it is right and whether there is a network"
        )
    } else if source.is_timeout() {
        format!("{host} does not answer: is a proxy needed (HTTPS_PROXY), or a mirror?")
    } else {
        return None;
    };
    Some(hint)
}
