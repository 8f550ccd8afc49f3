//! Descriptions in comments.

/// What a comment block says about a name: the rest of the first line that begins with it.
pub(super) fn about(comments: &[String], name: &str) -> Option<String> {
    let rest = |line: &String| {
        line.strip_prefix(name)?
            .strip_prefix(' ')
            .map(str::to_owned)
    };
    comments.iter().find_map(rest)
}
