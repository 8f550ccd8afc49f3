//! `LABEL <key>=<value> ...` and the older `LABEL <key> <value>`.

use crate::dockerfile::instruction::env::Pair;

/// `LABEL`: adds metadata to the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The labels in order.
    pub pairs: Vec<Pair>,
}
