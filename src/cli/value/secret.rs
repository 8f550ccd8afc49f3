//! `--secret` and `--ssh`.

use std::path::PathBuf;

use super::fields;

/// One `--secret`, its value not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct SecretFlag {
    /// What the Dockerfile asks for it by.
    pub id: String,
    /// Where its value is.
    pub source: SecretSource,
}

/// Where a secret's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
    /// In the environment variable named like the id, or else in such a file.
    Named,
}

/// Reads `id=ID[,src=PATH|,env=NAME][,type=file|env]`.
pub(in crate::cli) fn secret(text: &str) -> Result<SecretFlag, String> {
    let (mut id, mut kind, mut path, mut variable) = (None, None, None, None);
    for (key, value) in fields::pairs(text)? {
        let slot = match key.as_str() {
            "id" => &mut id,
            "src" | "source" => &mut path,
            "env" => &mut variable,
            "type" if matches!(value.as_str(), "file" | "env") => &mut kind,
            "type" => return Err(format!("type is file or env, not {value:?}")),
            _ => return Err(fields::unknown(&key, &["id", "src", "env", "type"])),
        };
        *slot = Some(value).filter(|value| !value.is_empty());
    }
    let id = id.ok_or("id= is missing: what RUN --mount=type=secret asks for it by")?;
    let source = match (kind.as_deref(), path, variable) {
        (_, Some(_), Some(_)) => return Err("src= and env= exclude each other".to_owned()),
        (Some("file"), None, Some(_)) => return Err("type=file goes with src=".to_owned()),
        // docker lets src= name the variable of a type=env secret.
        (Some("env"), Some(name), None) | (_, None, Some(name)) => SecretSource::Variable(name),
        (Some("env"), None, None) => SecretSource::Variable(id.clone()),
        (_, Some(path), None) => SecretSource::File(PathBuf::from(path)),
        (Some(_), None, None) => SecretSource::File(PathBuf::from(&id)),
        (None, None, None) => SecretSource::Named,
    };
    Ok(SecretFlag { id, source })
}

/// One `--ssh`: its id and the agent's socket or its key files; the user's own agent if none is
/// named.
pub(in crate::cli) type SshFlag = (String, Vec<PathBuf>);

/// Reads `default` or `ID[=SOCKET|KEY[,KEY…]]`.
pub(in crate::cli) fn ssh(text: &str) -> Result<SshFlag, String> {
    let (id, path) = match text.split_once('=') {
        None => (text, None),
        Some((id, path)) => (id, Some(path).filter(|path| !path.is_empty())),
    };
    if id.is_empty() {
        return Err("expected default, ID=SOCKET or ID=KEY".to_owned());
    }
    let paths = path.into_iter().flat_map(|paths| paths.split(','));
    let paths = paths.filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok((id.to_owned(), paths.collect()))
}

#[cfg(test)]
mod tests {
    use super::SecretSource;
    use super::secret;
    use super::ssh;

    #[test]
    fn a_secret_says_where_it_is() {
        let source = |text: &str| secret(text).unwrap().source;
        let variable = |name: &str| SecretSource::Variable(name.to_owned());
        assert_eq!(source("id=a"), SecretSource::Named);
        assert_eq!(source("id=a,src=/x"), SecretSource::File("/x".into()));
        assert_eq!(source("id=a,source=x"), SecretSource::File("x".into()));
        assert_eq!(source("id=a,type=file"), SecretSource::File("a".into()));
        assert_eq!(source("id=a,env=B"), variable("B"));
        assert_eq!(source("id=a,type=env"), variable("a"));
        assert_eq!(source("type=env,id=a,src=B"), variable("B"));
    }

    #[test]
    fn a_secret_that_makes_no_sense_is_refused() {
        for text in [
            "",
            "a",
            "src=x",
            "id=a,src=x,env=y",
            "id=a,type=other",
            "id=a,file=x",
            "id=",
            "id=a,type=file,env=B",
        ] {
            assert!(secret(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn ssh_names_an_agent() {
        assert_eq!(ssh("default"), Ok(("default".to_owned(), Vec::new())));
        assert_eq!(
            ssh("git=/run/agent"),
            Ok(("git".to_owned(), vec!["/run/agent".into()]))
        );
        assert_eq!(
            ssh("a=k1,k2"),
            Ok(("a".to_owned(), vec!["k1".into(), "k2".into()]))
        );
        assert!(ssh("").is_err());
    }
}
