//! Variables, and words expanded with them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::dockerfile::Error;
use crate::dockerfile::Expansion;
use crate::dockerfile::Lexing;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::expand;

/// Variables in the order in which they were last set, which is the order a process gets them in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Environment {
    pairs: Vec<(String, String)>,
}

impl Environment {
    /// Gives the value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// Sets `name`; it becomes the last.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.pairs.retain(|(key, _)| key != name);
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    /// Takes `name` back.
    pub(super) fn remove(&mut self, name: &str) {
        self.pairs.retain(|(key, _)| key != name);
    }

    /// Expands `word`; an error points at it.
    pub(super) fn expand(&self, word: &Word, lexing: Lexing) -> Result<Expansion, Error> {
        let lookup = |name: &str| self.get(name).map(str::to_owned);
        expand(&word.text, lexing, &lookup).map_err(|cause| {
            let text = word.text.clone();
            Error::new(word.span, Problem::Expand { text, cause })
        })
    }

    /// Gives the variables that a text asks for and nobody set; where it cannot be expanded, those
    /// before that place.
    pub(super) fn unset_in(&self, text: &str, lexing: Lexing) -> BTreeSet<String> {
        let unset = RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            let value = self.get(name);
            if value.is_none() {
                unset.borrow_mut().insert(name.to_owned());
            }
            value.map(str::to_owned)
        };
        // What is wrong with the text is told elsewhere.
        let _ = expand(text, lexing, &lookup);
        unset.into_inner()
    }

    /// Gives all pairs in order.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    #[test]
    fn what_is_set_again_moves_to_the_end() {
        let mut environment = Environment::default();
        for (name, value) in [("A", "1"), ("B", "2"), ("A", "3")] {
            environment.set(name, value);
        }
        assert_eq!(environment.get("A"), Some("3"));
        assert_eq!(environment.get("C"), None);
        let pairs = [("B", "2"), ("A", "3")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(environment.pairs(), pairs);
    }
}
