//! Secrets by which rbuild itself fetches things, named as BuildKit names them, and keeping those in
//! URLs to itself.

use std::collections::BTreeMap;

/// Gives the `Authorization` header for a URL: that of `HTTP_AUTH_HEADER_<host>`, or a bearer token
/// of `HTTP_AUTH_TOKEN_<host>`, each also without a host, for all.
#[must_use]
pub fn http_authorization(secrets: &BTreeMap<String, Vec<u8>>, url: &str) -> Option<String> {
    authorization(
        secrets,
        url,
        ["HTTP_AUTH_HEADER", "HTTP_AUTH_TOKEN"],
        ("_", "Bearer "),
    )
}

/// Gives the `Authorization` header for a git repository on the web: that of
/// `GIT_AUTH_HEADER.<host>`, or a token of `GIT_AUTH_TOKEN.<host>`, each also without a host.
pub(super) fn git_authorization(secrets: &BTreeMap<String, Vec<u8>>, url: &str) -> Option<String> {
    use base64::Engine as _;
    let names = ["GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"];
    let header = authorization(secrets, url, names, (".", "\0"))?;
    Some(match header.strip_prefix('\0') {
        // What GitHub, GitLab and others take for a token.
        Some(token) => {
            let pair = format!("x-access-token:{token}");
            format!(
                "basic {}",
                base64::engine::general_purpose::STANDARD.encode(pair)
            )
        }
        None => header,
    })
}

fn authorization(
    secrets: &BTreeMap<String, Vec<u8>>,
    url: &str,
    [header, token]: [&str; 2],
    (separator, prefix): (&str, &str),
) -> Option<String> {
    let host = host(url)?;
    let find = |name: &str| {
        let value = secrets
            .get(&format!("{name}{separator}{host}"))
            .or_else(|| secrets.get(name));
        value
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::trim)
    };
    let bearer = || find(token).map(|token| format!("{prefix}{token}"));
    find(header).map(str::to_owned).or_else(bearer)
}

/// Parts a URL of the web from the user and password in it; gives also the `Authorization` header
/// that says the same. Programs show their arguments to everybody.
pub(super) fn parted(url: &str) -> (String, Option<String>) {
    use base64::Engine as _;
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let at = rest[..end].rfind('@')?;
        matches!(scheme, "http" | "https").then_some((scheme, &rest[..at], &rest[at + 1..]))
    });
    let Some((scheme, credentials, rest)) = parts else {
        return (url.to_owned(), None);
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let pair = [decoded(user), b":".to_vec(), decoded(password)].concat();
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    (
        format!("{scheme}://{rest}"),
        Some(format!("Basic {encoded}")),
    )
}

/// Resolves the `%40` of a URL.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// The host of `scheme://[user@]host[:port]/path`.
fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    Some(host).filter(|host| !host.is_empty())
}

/// Gives a URL as messages name it: without user and password, and without its query and fragment,
/// which may sign it.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::git_authorization;
    use super::http_authorization;
    use super::parted;
    use super::without_secrets;

    #[test]
    fn messages_tell_no_password() {
        for (url, told) in [
            ("https://u:p@host/x.git", "https://host/x.git"),
            ("https://u:p@ss@host", "https://host"),
            ("https://host/a@b.git", "https://host/a@b.git"),
            ("https://host:8080/a.tar?sig=s#f", "https://host:8080/a.tar"),
            ("git@host:x.git", "git@host:x.git"),
        ] {
            assert_eq!(without_secrets(url), told);
        }
    }

    #[test]
    fn a_url_is_parted_from_its_password() {
        let (url, header) = parted("https://me:p%40ss@h:1/x.git");
        assert_eq!(url, "https://h:1/x.git");
        assert_eq!(header.as_deref(), Some("Basic bWU6cEBzcw=="));
        for url in ["https://h/a@b", "ssh://git@h/x", "git@h:x"] {
            assert_eq!(parted(url), (url.to_owned(), None));
        }
    }

    fn secrets(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn each_host_gets_its_own() {
        let known = secrets(&[
            ("HTTP_AUTH_TOKEN_example.com", "t1\n"),
            ("HTTP_AUTH_HEADER_other.com:8080", "Basic xyz"),
        ]);
        let ask = |url| http_authorization(&known, url);
        assert_eq!(
            ask("https://example.com/file").as_deref(),
            Some("Bearer t1")
        );
        assert_eq!(
            ask("http://u@other.com:8080/file").as_deref(),
            Some("Basic xyz")
        );
        assert_eq!(ask("https://example.com.evil.com/file"), None);
        assert_eq!(ask("nonsense"), None);
    }

    #[test]
    fn git_takes_a_token_as_a_password() {
        let known = secrets(&[("GIT_AUTH_TOKEN", "t")]);
        let header = git_authorization(&known, "https://example.com/x.git");
        assert_eq!(header.as_deref(), Some("basic eC1hY2Nlc3MtdG9rZW46dA=="));
        let known = secrets(&[("GIT_AUTH_HEADER.example.com", "basic abc")]);
        let header = git_authorization(&known, "https://example.com/x.git");
        assert_eq!(header.as_deref(), Some("basic abc"));
    }
}
