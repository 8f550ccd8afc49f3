//! Variables, and words expanded with them.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::rc::Rc;

use crate::dockerfile::Error;
use crate::dockerfile::ExpandError;
use crate::dockerfile::Expansion;
use crate::dockerfile::Lexing;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::expand;
use crate::dockerfile::expand::VALUES_MAX;
use crate::dockerfile::expand::expand_within;
use crate::dockerfile::expand::expandable;

/// How many bytes of values all expansions of one Dockerfile may add.
const ALL_VALUES_MAX: usize = 256 << 20;

/// Variables in the order in which they were last set, which is the order a process gets them in.
///
/// A copy shares everything with the original until either is changed, and goes on sharing what is
/// left of [`ALL_VALUES_MAX`].
#[derive(Debug, Clone)]
pub(super) struct Environment {
    variables: Rc<Variables>,
    left: Rc<Cell<usize>>,
}

#[derive(Debug, Clone, Default)]
struct Variables {
    /// By name: when it was set, and its value.
    values: HashMap<Rc<str>, (u64, Rc<str>)>,
    /// The names by when they were set.
    order: BTreeMap<u64, Rc<str>>,
    next: u64,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            variables: Rc::default(),
            left: Rc::new(Cell::new(ALL_VALUES_MAX)),
        }
    }
}

impl Environment {
    /// Makes one without variables that shares what is left of the limit.
    pub(super) fn emptied(&self) -> Self {
        Self {
            variables: Rc::default(),
            left: Rc::clone(&self.left),
        }
    }

    /// Gives the value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.values.get(name)?;
        Some(value)
    }

    /// Sets `name`; it becomes the last.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let variables = Rc::make_mut(&mut self.variables);
        let now = variables.next;
        variables.next += 1;
        let name: Rc<str> = name.into();
        let old = variables
            .values
            .insert(Rc::clone(&name), (now, value.into()));
        if let Some((then, _)) = old {
            variables.order.remove(&then);
        }
        variables.order.insert(now, name);
    }

    /// Takes `name` back.
    pub(super) fn remove(&mut self, name: &str) {
        let variables = Rc::make_mut(&mut self.variables);
        if let Some((then, _)) = variables.values.remove(name) {
            variables.order.remove(&then);
        }
    }

    /// Expands `word`; an error points at it.
    pub(super) fn expand(&self, word: &Word, lexing: Lexing) -> Result<Expansion, Error> {
        self.expand_text(&word.text, lexing).map_err(|cause| {
            let text = word.text.clone();
            Error::new(word.span, Problem::Expand { text, cause })
        })
    }

    /// Expands a text.
    pub(super) fn expand_text(&self, text: &str, lexing: Lexing) -> Result<Expansion, ExpandError> {
        let lookup = |name: &str| self.get(name);
        let most = self.left.get();
        let expanded = expand_within(text, lexing, &lookup, most.min(VALUES_MAX));
        let (expansion, used) = expanded.map_err(|error| match error {
            ExpandError::TooLong { .. } if most < VALUES_MAX => ExpandError::TooMuch {
                most: ALL_VALUES_MAX,
            },
            error => error,
        })?;
        self.left.set(most - used);
        Ok(expansion)
    }

    /// Finds where in a text that cannot be expanded the substitution begins that is to blame.
    pub(super) fn expandable(&self, text: &str, lexing: Lexing) -> usize {
        let lookup = |name: &str| self.get(name);
        expandable(text, lexing, &lookup, self.left.get().min(VALUES_MAX))
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
            value
        };
        // What is wrong with the text is told elsewhere.
        let _ = expand(text, lexing, &lookup);
        unset.into_inner()
    }

    /// Gives all names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.order.values().map(AsRef::as_ref)
    }

    /// Gives all names with their values, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names()
            .filter_map(|name| Some((name, self.get(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::ALL_VALUES_MAX;
    use super::Environment;
    use crate::dockerfile::ExpandError;
    use crate::dockerfile::Lexing;
    use crate::dockerfile::expand::VALUES_MAX;

    #[test]
    fn what_is_set_again_moves_to_the_end() {
        let mut environment = Environment::default();
        for (name, value) in [("A", "1"), ("B", "2"), ("A", "3")] {
            environment.set(name, value);
        }
        assert_eq!(environment.get("A"), Some("3"));
        assert_eq!(environment.get("C"), None);
        let pairs: Vec<_> = environment.pairs().collect();
        assert_eq!(pairs, [("B", "2"), ("A", "3")]);
    }

    #[test]
    fn a_copy_is_changed_alone() {
        let mut environment = Environment::default();
        environment.set("A", "1");
        let mut copy = environment.clone();
        copy.set("A", "2");
        copy.remove("B");
        assert_eq!(environment.get("A"), Some("1"));
        assert_eq!(copy.get("A"), Some("2"));
    }

    #[test]
    fn all_values_together_have_a_limit() {
        let mut environment = Environment::default();
        environment.set("A", &"x".repeat(VALUES_MAX));
        let other = environment.clone();
        let most = ALL_VALUES_MAX / VALUES_MAX;
        for _ in 0..most {
            environment.expand_text("$A", Lexing::default()).unwrap();
        }
        let error = other.expand_text("$A", Lexing::default()).unwrap_err();
        assert!(matches!(error, ExpandError::TooMuch { .. }), "{error}");
    }
}
