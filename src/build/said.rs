//! What is said of a Dockerfile once, though it is read once for each platform.

use std::collections::HashSet;

use crate::dockerfile::Warning;

/// The warnings of the platforms that were looked at.
#[derive(Debug, Default)]
pub(super) struct Said(HashSet<Warning>);

impl Said {
    /// Gives what no platform before was warned of. What one platform is warned of twice is two
    /// warnings.
    pub(super) fn add(&mut self, warnings: Vec<Warning>) -> Vec<Warning> {
        let mut new = warnings;
        new.retain(|warning| !self.0.contains(warning));
        self.0.extend(new.iter().cloned());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::Said;
    use crate::dockerfile::Span;
    use crate::dockerfile::Warning;

    #[test]
    fn only_another_platform_says_the_same_again() {
        let warning = |message: &str| Warning {
            rule: None,
            message: message.to_owned(),
            span: Span::default(),
        };
        let mut said = Said::default();
        let first = vec![warning("a"), warning("a")];
        assert_eq!(said.add(first.clone()), first);
        assert_eq!(said.add(vec![warning("a"), warning("b")]), [warning("b")]);
    }
}
