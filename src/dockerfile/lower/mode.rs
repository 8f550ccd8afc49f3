//! The modes of `--chmod`.

use crate::graph::FileMode;

/// Reads an octal mode up to 7777, or clauses like `u=rwX,go=rX`; none if it is neither.
pub(super) fn parse(text: &str) -> Option<FileMode> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let mode = u32::from_str_radix(text, 8).ok();
        return mode.filter(|mode| *mode <= 0o7777).map(FileMode::Octal);
    }
    text.split(',')
        .all(is_clause)
        .then(|| FileMode::Symbolic(text.to_owned()))
}

/// Says whether `text` is who, then one or more operators each with permissions.
fn is_clause(text: &str) -> bool {
    let actions = text.trim_start_matches(['u', 'g', 'o', 'a']);
    if !actions.starts_with(['=', '+', '-']) {
        return false;
    }
    let mut permissions = actions.split(['=', '+', '-']);
    permissions.all(|text| {
        let copies = matches!(text, "u" | "g" | "o");
        copies || text.chars().all(|c| "rwxXst".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::graph::FileMode;

    #[test]
    fn octal_and_symbolic() {
        assert_eq!(parse("0755"), Some(FileMode::Octal(0o755)));
        assert_eq!(parse("7777"), Some(FileMode::Octal(0o7777)));
        for text in ["u=rwX,go=rX", "+x", "a-w", "g=u", "u+s,g-s", "o=", "u=rw+x"] {
            assert_eq!(parse(text), Some(FileMode::Symbolic(text.to_owned())));
        }
        for text in [
            "10000", "888", "0o755", "rwx", "u", "u=q", "u=rw,", ",", "u=go", "-1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
