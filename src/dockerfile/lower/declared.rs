//! The `ARG`s that a stage has declared.

use std::collections::HashMap;

/// `ARG`s in order, each once, with the values they were given last.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    names: Vec<String>,
    values: HashMap<String, Option<String>>,
}

impl Declared {
    /// Adds an `ARG`, or gives it another value.
    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.names.push(name.to_owned());
        }
    }

    /// Says whether there is an `ARG` of the name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Gives the names with their values, in order.
    pub(super) fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.names.iter().map(|name| {
            let value = self.values[name].as_deref();
            (name.as_str(), value.unwrap_or_default())
        })
    }
}
