//! Who the user is to a registry: docker's and podman's files, and the programs they name.
//!
//! The order is docker's: a helper for this registry, the helper for all, the file itself. A key
//! may name a repository or a group of them as podman's may; the longest that fits wins.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time;

use crate::remote::Error;

/// What Docker Hub is called in docker's files.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// What a helper answers as user name when its secret is an identity token.
const TOKEN_USER: &str = "<token>";
const HELPER_LIMIT: Duration = Duration::from_secs(30);

/// Is told the name of each helper that is not installed.
pub(super) type Warn<'a> = &'a (dyn Fn(String) + Sync);

/// A secret for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A name and its password.
    Login { user: String, password: String },
    /// What a token is asked for with (OAuth 2 refresh token).
    Identity { token: String },
    /// A token to send as it is.
    Bearer { token: String },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Credential(…)")
    }
}

/// A credential and where it was found, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) credential: Credential,
    pub(super) place: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// Looks for a credential for the repository `path` of the registry `host`.
///
/// # Errors
/// [`Error::Credentials`] if a file is not readable, [`Error::Helper`] if a helper fails.
pub(super) async fn find(
    files: &[PathBuf],
    (host, path): (&str, &str),
    warn: Warn<'_>,
) -> Result<Option<Found>, Error> {
    for place in files {
        let Some(file) = read(place)? else { continue };
        let (key, helper_key) = match host {
            "docker.io" => ("docker.io", HUB_KEY),
            host => (host, host),
        };
        let own = file
            .cred_helpers
            .iter()
            .find(|(name, _)| normalise(name) == key);
        let helpers = own
            .map(|(_, helper)| helper)
            .into_iter()
            .chain(&file.creds_store);
        for helper in helpers.filter(|helper| !helper.is_empty()) {
            let program = format!("docker-credential-{helper}");
            if let Some(credential) = ask(&program, helper_key, warn).await? {
                let place = program;
                return Ok(Some(Found { credential, place }));
            }
        }
        if let Some(entry) = longest(&file.auths, &format!("{key}/{path}")) {
            let found = entry.credential().map_err(|reason| Error::Credentials {
                path: place.clone(),
                source: io::Error::new(io::ErrorKind::InvalidData, reason),
            })?;
            if let Some(credential) = found {
                let place = place.display().to_string();
                return Ok(Some(Found { credential, place }));
            }
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<File>, Error> {
    let error = |source| Error::Credentials {
        path: path.to_owned(),
        source,
    };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| error(source.into())),
        Err(source) => match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(error(source)),
        },
    }
}

/// Gives `host[:port][/path]` of a key that may be an URL, Docker Hub always under one name.
fn normalise(key: &str) -> String {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let key = key.trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or(key.strip_suffix("/v2"))
        .unwrap_or(key);
    match key {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        key => key.to_owned(),
    }
}

fn longest<'a>(auths: &'a BTreeMap<String, Entry>, repository: &str) -> Option<&'a Entry> {
    let fitting = auths.iter().filter_map(|(key, entry)| {
        let key = normalise(key);
        let rest = repository.strip_prefix(&key)?;
        (rest.is_empty() || rest.starts_with('/')).then_some((key.len(), entry))
    });
    fitting
        .max_by_key(|(length, _)| *length)
        .map(|(_, entry)| entry)
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>, &'static str> {
        if !self.registrytoken.is_empty() {
            let token = self.registrytoken.clone();
            return Ok(Some(Credential::Bearer { token }));
        }
        if !self.identitytoken.is_empty() {
            let token = self.identitytoken.clone();
            return Ok(Some(Credential::Identity { token }));
        }
        if !self.username.is_empty() {
            return Ok(Some(login(&self.username, &self.password)));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let bytes = STANDARD
            .decode(self.auth.trim())
            .map_err(|_| "an auth is not base64")?;
        let text = String::from_utf8(bytes).map_err(|_| "an auth is not text")?;
        let (user, password) = text
            .split_once(':')
            .ok_or("an auth is not user:password in base64")?;
        // Docker pads old entries with NUL.
        Ok(Some(login(user, password.trim_end_matches('\0'))))
    }
}

fn login(user: &str, secret: &str) -> Credential {
    if user == TOKEN_USER {
        return Credential::Identity {
            token: secret.to_owned(),
        };
    }
    Credential::Login {
        user: user.to_owned(),
        password: secret.to_owned(),
    }
}

/// Asks a credential helper. One that does not know the registry, or is not
/// installed, is as good as none.
async fn ask(program: &str, server: &str, warn: Warn<'_>) -> Result<Option<Credential>, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let error = |reason: String| Error::Helper {
        program: program.to_owned(),
        reason,
    };
    let output = match run(program, server).await {
        Ok(output) => output,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            warn(program.to_owned());
            return Ok(None);
        }
        Err(source) => return Err(error(source.to_string())),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(error(format!("{said}{complaint}").trim().to_owned()));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| error("its answer is not the JSON of a credential".to_owned()))?;
    let is_empty = answer.username.is_empty() && answer.secret.is_empty();
    Ok((!is_empty).then(|| login(&answer.username, &answer.secret)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a credential helper is a program by definition"
)]
async fn run(program: &str, server: &str) -> io::Result<std::process::Output> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input may still answer.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    match time::timeout(HELPER_LIMIT, child.wait_with_output()).await {
        Ok(output) => output,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", HELPER_LIMIT.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::Credential;
    use super::Found;
    use super::find;
    use super::login;

    fn look(json: &str, host: &str, path: &str) -> Option<Found> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, json).unwrap();
        let files = [folder.path().join("absent.json"), file];
        block_on(find(&files, (host, path), &|_| ())).unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn docker_hub_has_several_names() {
        // user:pass
        for key in [
            "https://index.docker.io/v1/",
            "docker.io",
            "index.docker.io",
            "https://registry-1.docker.io",
        ] {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#);
            let found = look(&json, "docker.io", "library/x").unwrap();
            assert_eq!(found.credential, login("user", "pass"), "{key}");
            assert!(found.place.ends_with("config.json"));
            assert_eq!(look(&json, "quay.io", "a/b"), None);
        }
    }

    #[test]
    fn the_longest_key_wins() {
        let json = r#"{"auths":{
            "r.io":{"username":"all","password":"1"},
            "r.io/group":{"username":"group","password":"2"},
            "https://r.io/group/deep/":{"identitytoken":"t"},
            "r.io/grou":{"registrytoken":"never"}}}"#;
        let credential = |path| look(json, "r.io", path).unwrap().credential;
        assert_eq!(credential("other"), login("all", "1"));
        assert_eq!(credential("group/x"), login("group", "2"));
        let token = "t".to_owned();
        assert_eq!(credential("group/deep"), Credential::Identity { token });
    }

    #[test]
    fn an_empty_entry_and_a_missing_helper_are_nothing() {
        let json = r#"{"auths":{"r.io":{}},"credsStore":"not-installed-anywhere"}"#;
        assert_eq!(look(json, "r.io", "x"), None);
    }

    #[test]
    fn helpers_answer_or_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("helper");
        let ask = |script: &str| {
            fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
            let program = helper.to_str().unwrap();
            loop {
                // A process that another test is starting may still have the script open.
                match block_on(super::ask(program, "r.io", &|_| ())) {
                    Err(error) if error.to_string().contains("Text file busy") => {}
                    answer => return answer,
                }
            }
        };
        let answer = r#"read host; test "$1 $host" = "get r.io" && echo '{"ServerURL":"r.io","Username":"NAME","Secret":"secret"}'"#;
        let found = ask(&answer.replace("NAME", "user")).unwrap();
        assert_eq!(found, Some(login("user", "secret")));
        let found = ask(&answer.replace("NAME", "<token>")).unwrap();
        assert_eq!(found, Some(login("<token>", "secret")));
        let unknown = "echo 'credentials not found in native keychain'; exit 1";
        assert_eq!(ask(unknown).unwrap(), None);
        let error = ask("echo locked; echo 'no display' >&2; exit 1").unwrap_err();
        assert!(error.to_string().contains("locked\nno display"), "{error}");
        assert!(ask("echo nonsense").is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        assert!(!format!("{:?}", login("user", "secret")).contains("secret"));
        assert_eq!(
            login("<token>", "t"),
            Credential::Identity {
                token: "t".to_owned()
            }
        );
    }
}
