//! Files that the user named by a path of this machine.

use std::fs::File;
use std::io;
use std::iter;
use std::path;
use std::path::Path;
use std::path::PathBuf;

use super::DOCKERFILE;
use super::open_inside;
use crate::build::Error;

/// Opens the Dockerfile that is said to be at `path`, if there is one, and gives the path at which
/// it is: what is called `Dockerfile` may be called `dockerfile`. For the context in `folder`, see
/// [`open`].
///
/// # Errors
/// [`Error::OutsideContext`] if it is a link of the context that leads out, and any other if it
/// cannot be opened.
pub fn open_dockerfile(folder: &Path, path: &Path) -> Result<Option<(File, PathBuf)>, Error> {
    for path in spellings(path) {
        if let Some(file) = open(folder, &path)? {
            return Ok(Some((file, path)));
        }
    }
    Ok(None)
}

/// Gives the paths at which a Dockerfile may be.
pub(super) fn spellings(path: &Path) -> impl Iterator<Item = PathBuf> {
    let is_usual = path.file_name() == Some(DOCKERFILE.as_ref());
    let lower = is_usual.then(|| path.with_file_name(DOCKERFILE.to_lowercase()));
    iter::once(path.to_owned()).chain(lower)
}

/// Opens a file, if there is one. What is in the context is whoever's who made the context, links
/// and all; elsewhere the user's word holds.
pub(super) fn open(folder: &Path, path: &Path) -> Result<Option<File>, Error> {
    if let Some(inside) = within(folder, path) {
        return open_inside(folder, &inside);
    }
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // `x.dockerignore` where `x` is a file given by the user through /dev/fd and the like.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(source) => Err(Error::ReadDockerfile {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Gives the path in `folder` of a file whose directory lies there, whatever either is called. A
/// directory that is reached by a link lies where the link leads, as for buildx.
fn within(folder: &Path, path: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let path = path::absolute(path).ok()?;
    let directory = path.parent()?.canonicalize().ok()?;
    // Nothing is outside of `/`, and /dev/fd/3 is no file of it.
    folder.parent()?;
    let inside = directory.strip_prefix(&folder).ok()?;
    Some(inside.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::open_dockerfile;
    use crate::build::Error;
    use crate::build::Kind;

    /// A folder with the context `context`, the link `link` to it, and files that say what they are.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("context/docker")).unwrap();
        fs::write(at("context/docker/ci"), "inside").unwrap();
        fs::write(at("outside"), "outside").unwrap();
        symlink(at("outside"), at("context/docker/out")).unwrap();
        symlink("../../outside", at("context/docker/climbing")).unwrap();
        symlink(folder.path(), at("context/above")).unwrap();
        symlink("docker/ci", at("context/in")).unwrap();
        symlink(at("context/docker/ci"), at("context/absolute")).unwrap();
        symlink("context", at("link")).unwrap();
        folder
    }

    fn read(context: &Path, path: &Path) -> Result<Option<String>, Error> {
        let found = open_dockerfile(context, path)?;
        Ok(found.map(|(mut file, _)| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        }))
    }

    #[test]
    fn a_link_of_the_context_leads_nowhere_outside() {
        let folder = folder();
        let at = |path: &str| folder.path().join(path);
        for context in [at("context"), at("link"), at("link/../context")] {
            for path in [
                "context/docker/out",
                "context/docker/climbing",
                "context/docker/../docker/out",
                "link/docker/out",
                "link/../context/docker/out",
            ] {
                let read = read(&context, &at(path));
                assert!(
                    matches!(read, Err(Error::OutsideContext { .. })),
                    "{path} for {context:?}: {read:?}"
                );
            }
        }
    }

    #[test]
    fn what_stays_inside_or_begins_outside_is_read() {
        let folder = folder();
        let at = |path: &str| folder.path().join(path);
        for (path, expected) in [
            ("context/in", Some("inside")),
            ("context/absolute", Some("inside")),
            ("link/in", Some("inside")),
            ("context/docker/../in", Some("inside")),
            ("outside", Some("outside")),
            ("context/docker/../../outside", Some("outside")),
            ("context/above/outside", Some("outside")),
            ("context/nowhere", None),
            ("nowhere", None),
        ] {
            for context in [at("context"), at("link")] {
                let read = read(&context, &at(path)).unwrap();
                assert_eq!(read.as_deref(), expected, "{path} for {context:?}");
            }
        }
        let folder_itself = read(&at("context"), &at("context/docker")).unwrap_err();
        assert_eq!(folder_itself.kind(), Kind::User, "as elsewhere");
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"piped").unwrap();
        drop(writer);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let pipe = format!("/dev/fd/{fd}");
        for context in [at("context"), "/".into()] {
            assert!(
                open_dockerfile(&context, pipe.as_ref()).unwrap().is_some(),
                "{context:?}"
            );
        }
        assert_eq!(
            read(&at("context"), pipe.as_ref()).unwrap().as_deref(),
            Some("piped")
        );
    }
}
