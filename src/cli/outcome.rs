//! What a build leaves for its caller: the image's id, its digest, its names.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use super::error::Error;
use super::print;
use crate::build::Outcome;
use crate::oci::Digest;

/// What the caller wants of it.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where to write the image's id.
    pub iidfile: Option<PathBuf>,
    /// Where to write docker's metadata.
    pub metadata_file: Option<PathBuf>,
    /// How to tell it.
    pub manner: Manner,
}

/// How an outcome is told on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// The image's id on standard output.
    Id,
    /// Digest and names behind the progress.
    Summary,
    /// Not at all: standard error is for a program.
    Nothing,
}

/// Writes the files and tells the rest.
pub(super) fn tell(outcome: &Outcome, wanted: &Wanted) -> Result<(), Error> {
    if let Some(path) = &wanted.iidfile {
        replace(path, id(outcome).to_string().as_bytes())?;
    }
    if let Some(path) = &wanted.metadata_file {
        let metadata = metadata(outcome);
        let text = serde_json::to_string_pretty(&metadata).expect("JSON values have string keys");
        replace(path, text.as_bytes())?;
    }
    match wanted.manner {
        Manner::Id => print::line(&id(outcome).to_string())?,
        Manner::Summary => anstream::eprint!("{}", summary(outcome)),
        Manner::Nothing => {}
    }
    Ok(())
}

/// Removes the file of an earlier build's id.
pub(super) fn forget(iidfile: Option<&Path>) -> Result<(), Error> {
    match iidfile {
        Some(path) if path.is_file() => {
            std::fs::remove_file(path).map_err(|source| Error::WriteFile {
                path: path.to_owned(),
                source,
            })
        }
        // /dev/stdout is nothing to remove.
        _ => Ok(()),
    }
}

/// Gives what docker calls the image's id; an index has none but its digest.
fn id(outcome: &Outcome) -> Digest {
    let config = outcome.config.as_ref();
    config.unwrap_or(&outcome.image).digest
}

fn summary(outcome: &Outcome) -> String {
    let mut text = format!("image {}\n", outcome.image.digest);
    for manifest in &outcome.platforms {
        if let Some(platform) = &manifest.platform {
            text.push_str(&format!("  {platform} {}\n", manifest.digest));
        }
    }
    for name in &outcome.names {
        text.push_str(&format!("named {}\n", name.familiar()));
    }
    text
}

/// Writes what `docker buildx build --metadata-file` writes, keys sorted.
fn metadata(outcome: &Outcome) -> Value {
    let mut descriptor = json!({
        "mediaType": outcome.image.media_type,
        "digest": outcome.image.digest.to_string(),
        "size": outcome.image.size,
    });
    if !outcome.image.annotations.is_empty() {
        descriptor["annotations"] = json!(outcome.image.annotations);
    }
    if let Some(platform) = &outcome.image.platform {
        descriptor["platform"] = json!(platform);
    }
    let mut metadata = json!({
        "containerimage.descriptor": descriptor,
        "containerimage.digest": outcome.image.digest.to_string(),
    });
    if let Some(config) = &outcome.config {
        metadata["containerimage.config.digest"] = config.digest.to_string().into();
    }
    if !outcome.names.is_empty() {
        let names: Vec<String> = outcome.names.iter().map(ToString::to_string).collect();
        metadata["image.name"] = names.join(",").into();
    }
    metadata
}

/// Writes a file so that a reader finds the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::WriteFile {
        path: path.to_owned(),
        source,
    };
    // What is no file (/dev/stdout, a pipe) cannot be replaced.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(path);
        return file
            .as_mut()
            .map_err(|error| std::io::Error::from(error.kind()))
            .and_then(|file| file.write_all(bytes))
            .map_err(failed);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    std::fs::write(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::metadata;
    use super::summary;
    use crate::build::Outcome;
    use crate::oci::Descriptor;
    use crate::oci::Platform;
    use crate::oci::media_type;

    fn outcome(names: &[&str]) -> Outcome {
        Outcome {
            image: Descriptor {
                platform: Some(Platform::new("linux", "amd64", None)),
                ..Descriptor::of(media_type::MANIFEST, b"manifest")
            },
            config: Some(Descriptor::of(media_type::CONFIG, b"config")),
            platforms: Vec::new(),
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn metadata_has_dockers_keys() {
        let outcome = outcome(&["a", "b:1"]);
        let seen = metadata(&outcome);
        let digest = outcome.image.digest.to_string();
        assert_eq!(seen["containerimage.digest"], digest);
        assert_eq!(seen["containerimage.descriptor"]["digest"], digest);
        assert_eq!(seen["containerimage.descriptor"]["size"], 8);
        let platform = &seen["containerimage.descriptor"]["platform"];
        assert_eq!(platform["architecture"], "amd64");
        assert_eq!(
            seen["containerimage.config.digest"],
            outcome.config.unwrap().digest.to_string()
        );
        assert_eq!(
            seen["image.name"],
            "docker.io/library/a:latest,docker.io/library/b:1"
        );
    }

    #[test]
    fn a_nameless_image_has_no_name() {
        let outcome = outcome(&[]);
        assert!(metadata(&outcome).get("image.name").is_none());
        assert_eq!(summary(&outcome).lines().count(), 1);
    }
}
