//! `--chmod`: what mode a copied file gets.

use crate::graph::FileMode;

const READ: u32 = 0o444;
const WRITE: u32 = 0o222;
const EXECUTE: u32 = 0o111;

/// Applies `--chmod` to a file's mode, as `chmod(1)` does with umask 0.
///
/// Symbolic clauses were checked when the Dockerfile was read; a character that is none is
/// skipped.
pub(super) fn apply(mode: &FileMode, current: u32, is_dir: bool) -> u32 {
    match mode {
        FileMode::Octal(bits) => *bits & 0o7777,
        FileMode::Symbolic(clauses) => clauses
            .split(',')
            .fold(current, |mode, clause| apply_clause(clause, mode, is_dir)),
    }
}

/// One clause: `[ugoa]*([-+=][rwxXst]*|[-+=][ugo])+`.
fn apply_clause(clause: &str, mut mode: u32, is_dir: bool) -> u32 {
    let split = clause.find(['+', '-', '=']).unwrap_or(clause.len());
    let (who, mut actions) = clause.split_at(split);
    let mask = who_mask(who);
    while let Some(operator) = actions.chars().next() {
        let rest = &actions[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let bits = permission_bits(&rest[..end], mode, is_dir) & mask;
        mode = match operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            // A directory keeps set-user-id and set-group-id unless they are named, as in GNU.
            _ if is_dir => mode & !(mask & 0o1777) | bits,
            _ => mode & !mask | bits,
        };
        actions = &rest[end..];
    }
    mode
}

fn who_mask(who: &str) -> u32 {
    if who.is_empty() || who.contains('a') {
        return 0o7777;
    }
    who.chars().fold(0, |mask, c| {
        mask | match c {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            _ => 0,
        }
    })
}

fn permission_bits(letters: &str, mode: u32, is_dir: bool) -> u32 {
    letters.chars().fold(0, |bits, c| {
        bits | match c {
            'r' => READ,
            'w' => WRITE,
            'x' => EXECUTE,
            'X' if is_dir || mode & EXECUTE != 0 => EXECUTE,
            's' => 0o6000,
            't' => 0o1000,
            'u' => (mode >> 6 & 7) * 0o111,
            'g' => (mode >> 3 & 7) * 0o111,
            'o' => (mode & 7) * 0o111,
            _ => 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::apply;
    use crate::graph::FileMode;

    #[test]
    fn does_what_chmod_does() {
        for (clauses, current, is_dir, expected) in [
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("go-rwx", 0o777, false, 0o700),
            ("u+s,+t", 0o755, false, 0o5755),
            ("g=u", 0o640, false, 0o660),
            ("o=", 0o2777, true, 0o2770),
            ("u=rw,g=r,o=", 0o777, false, 0o640),
            ("a=r+w-w", 0o000, false, 0o444),
        ] {
            let mode = FileMode::Symbolic(clauses.to_owned());
            assert_eq!(
                apply(&mode, current, is_dir),
                expected,
                "{clauses} on {current:o}"
            );
        }
        assert_eq!(apply(&FileMode::Octal(0o4755), 0o600, false), 0o4755);
    }
}
