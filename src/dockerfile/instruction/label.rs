//! `LABEL <key>=<value> ...` and the older `LABEL <key> <value>`.

use crate::dockerfile::Error;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::env;
use crate::dockerfile::instruction::env::Pair;

/// `LABEL`: adds metadata to the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The labels in order.
    pub pairs: Vec<Pair>,
}

impl Label {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let pairs = env::pairs(arguments, "LABEL <key>=<value> ...")?;
        Ok(Self { pairs })
    }
}
