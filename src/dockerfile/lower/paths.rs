//! Paths inside an image, as text.

use crate::graph::clean_path;

/// Gives `path` as seen from `directory`. A path that is absolute already stays as written.
pub(super) fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    clean_path(&format!("/{directory}/{path}"))
}

/// Gives the destination of a copy: absolute and clean, with a `/` at its end if it must be a
/// directory.
pub(super) fn destination(directory: &str, path: &str) -> String {
    let mut joined = clean_path(&join(directory, path));
    let is_directory = matches!(path, "" | ".") || path.ends_with('/') || path.ends_with("/.");
    if is_directory && !joined.ends_with('/') {
        joined.push('/');
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::destination;
    use super::join;

    #[test]
    fn absolute_paths_stay_as_written() {
        assert_eq!(join("/a", "/tmp/"), "/tmp/");
        assert_eq!(join("/a", "b/../c/"), "/a/c");
        assert_eq!(join("/a", ""), "/a");
        assert_eq!(join("a", "../../.."), "/");
    }

    #[test]
    fn destinations_keep_their_slash() {
        for (path, expected) in [
            ("", "/w/"),
            (".", "/w/"),
            ("./", "/w/"),
            ("x", "/w/x"),
            ("x/", "/w/x/"),
            ("x/.", "/w/x/"),
            ("/", "/"),
            ("/x//y/", "/x/y/"),
            ("..", "/"),
        ] {
            assert_eq!(destination("/w", path), expected, "{path:?}");
        }
    }
}
