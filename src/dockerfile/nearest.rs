//! "Did you mean …?"

/// The candidate most like `found` whatever their case, at most two letters away; the first of
/// equals.
#[must_use]
pub fn nearest<'a>(found: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let lower = found.to_ascii_lowercase();
    closest(candidates, |candidate| {
        distance(&lower, &candidate.to_ascii_lowercase())
    })
}

/// The candidate most like `found`, at most two letters away; the first of equals. A letter in
/// another case is another letter.
pub(super) fn nearest_exact<'a>(found: &str, candidates: &[&'a str]) -> Option<&'a str> {
    closest(candidates, |candidate| distance(found, candidate))
}

fn closest<'a>(candidates: &[&'a str], distance: impl Fn(&str) -> usize) -> Option<&'a str> {
    let mut best = None;
    let mut shortest = 3;
    for candidate in candidates {
        let distance = distance(candidate);
        if distance < shortest {
            (best, shortest) = (Some(*candidate), distance);
        }
    }
    best
}

/// How many letters must be added, taken away or changed to make `left` into `right`; at least 3
/// when the lengths alone differ by as much.
fn distance(left: &str, right: &str) -> usize {
    if left.len().abs_diff(right.len()) >= 3 {
        return 3;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left) in left.bytes().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, right) in right.bytes().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn names_what_was_meant() {
        let keywords = ["FROM", "RUN", "ENTRYPOINT"];
        assert_eq!(nearest("RUNN", &keywords), Some("RUN"));
        assert_eq!(nearest("fntrypoint", &keywords), Some("ENTRYPOINT"));
        assert_eq!(nearest("HELLO", &keywords), None);
        assert_eq!(nearest("", &keywords), None);
    }
}
