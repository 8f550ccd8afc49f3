//! Where the files of a build come from: the context, `--file` and `--build-context`.

use std::path::PathBuf;

use crate::build::ContextSource;
use crate::build::DockerfileSource;
use crate::build::NamedContext;
use crate::oci::Digest;

const URL_SCHEMES: [&str; 5] = ["http://", "https://", "git://", "ssh://", "git@"];

/// Reads `CONTEXT`: a directory, a URL, or `-` for standard input.
pub(in crate::cli) fn context(text: &str) -> Result<ContextSource, String> {
    match text {
        "" => Err("expected a directory, a URL or -".to_owned()),
        "-" => Ok(ContextSource::Stdin),
        _ if is_url(text) => Ok(ContextSource::Url(text.to_owned())),
        _ => Ok(ContextSource::Directory(PathBuf::from(text))),
    }
}

/// Reads `--file`: a path, a URL, or `-` for standard input.
pub(in crate::cli) fn dockerfile(text: &str) -> Result<DockerfileSource, String> {
    match text {
        "" => Err("expected a path, a URL or -".to_owned()),
        "-" => Ok(DockerfileSource::Stdin),
        _ if text.starts_with("http://") || text.starts_with("https://") => {
            Ok(DockerfileSource::Url(text.to_owned()))
        }
        _ => Ok(DockerfileSource::Path(PathBuf::from(text))),
    }
}

/// Reads `--build-context NAME=VALUE`.
pub(in crate::cli) fn named(text: &str) -> Result<(String, NamedContext), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or(
            "expected NAME=DIRECTORY, NAME=URL (of a git repository or an archive), \
             NAME=docker-image://… or NAME=oci-layout://…",
        )?;
    let context = if let Some(image) = value.strip_prefix("docker-image://") {
        NamedContext::Image(image.parse().map_err(|error| format!("{error}"))?)
    } else if let Some(layout) = value.strip_prefix("oci-layout://") {
        layout_context(layout)?
    } else if value.starts_with("target:") {
        return Err("target: is a word of bake files; name the stage in COPY --from".to_owned());
    } else if is_url(value) {
        NamedContext::Url(value.to_owned())
    } else {
        NamedContext::Directory(PathBuf::from(value))
    };
    Ok((name.to_owned(), context))
}

fn is_url(text: &str) -> bool {
    URL_SCHEMES.iter().any(|scheme| text.starts_with(scheme)) || text.starts_with("github.com/")
}

/// Reads `path[:tag][@digest]`.
fn layout_context(text: &str) -> Result<NamedContext, String> {
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => {
            let digest: Digest = digest.parse().map_err(|error| format!("{error}"))?;
            (rest, Some(digest))
        }
    };
    // A colon before the last slash belongs to the path.
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
        _ => (rest, None),
    };
    if path.is_empty() || tag.as_deref() == Some("") {
        return Err("expected oci-layout://PATH[:TAG][@DIGEST]".to_owned());
    }
    Ok(NamedContext::Layout {
        path: PathBuf::from(path),
        tag,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::context;
    use super::named;
    use crate::build::ContextSource;
    use crate::build::NamedContext;

    #[test]
    fn a_url_is_told_from_a_directory() {
        assert_eq!(
            context("./https:/x"),
            Ok(ContextSource::Directory(PathBuf::from("./https:/x")))
        );
        for url in [
            "https://x/y.git#main",
            "git@github.com:x/y",
            "github.com/x/y",
        ] {
            assert_eq!(context(url), Ok(ContextSource::Url(url.to_owned())));
        }
        assert_eq!(context("-"), Ok(ContextSource::Stdin));
        assert!(context("").is_err());
    }

    #[test]
    fn a_named_context_may_be_an_image_in_a_layout() {
        let layout = |path: &str, tag: Option<&str>| NamedContext::Layout {
            path: PathBuf::from(path),
            tag: tag.map(str::to_owned),
            digest: None,
        };
        assert_eq!(
            named("a=oci-layout:///x:1/y").unwrap().1,
            layout("/x:1/y", None)
        );
        assert_eq!(
            named("a=oci-layout://x/y:v1").unwrap().1,
            layout("x/y", Some("v1"))
        );
        let digest = format!("a=oci-layout://x@sha256:{}", "ab".repeat(32));
        let NamedContext::Layout { digest, .. } = named(&digest).unwrap().1 else {
            panic!("not a layout");
        };
        assert!(digest.is_some());
        assert!(named("a").unwrap_err().contains("URL"));
        for text in [
            "a=",
            "=b",
            "a=oci-layout://",
            "a=oci-layout://x@y",
            "a=docker-image://A",
        ] {
            assert!(named(text).is_err(), "{text:?} was accepted");
        }
    }
}
