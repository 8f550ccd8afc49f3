//! Triggers: the `ONBUILD` instructions of a stage's base, which run right after its `FROM`.

use std::borrow::Cow;

use crate::dockerfile::Bases;
use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Instruction;
use crate::dockerfile::Options;
use crate::dockerfile::parse_instruction;
use crate::dockerfile::stage::Node;
use crate::dockerfile::stage::Origin;
use crate::dockerfile::stage::Stages;
use crate::dockerfile::stage::Step;

impl<'a> Stages<'a> {
    /// Puts the triggers of needed bases before the instructions of their stages. Says whether
    /// that may have made more nodes needed.
    pub(super) fn fire_triggers(
        &mut self,
        bases: &Bases,
        options: &'a Options,
    ) -> Result<bool, Error> {
        let mut grown = false;
        for position in 0..self.nodes.len() {
            let node = &self.nodes[position];
            if node.triggered || !self.needed[position] {
                continue;
            }
            let Some(triggers) = self.triggers(node, bases) else {
                continue;
            };
            let span = node.span;
            let mut steps = Vec::new();
            for trigger in triggers {
                let parsed = parse_instruction(&trigger, Escape::Backslash);
                let statement = parsed.map_err(|error| error.in_trigger(&trigger, span))?;
                let sources = self.sources(&statement, Some(span), options);
                let sources = sources.map_err(|error| error.in_trigger(&trigger, span))?;
                grown |= !sources.is_empty();
                steps.push(Step {
                    statement: Cow::Owned(statement),
                    sources,
                    trigger: Some(span),
                });
            }
            self.needed.resize(self.nodes.len(), false);
            let node = &mut self.nodes[position];
            node.triggered = true;
            node.counted += steps.len();
            steps.append(&mut node.steps);
            node.steps = steps;
        }
        Ok(grown)
    }

    /// Gives what the base of `node` asks to be run first; none if the base is not resolved yet.
    fn triggers(&self, node: &Node<'_>, bases: &Bases) -> Option<Vec<String>> {
        match &node.origin {
            _ if node.replaced => Some(Vec::new()),
            Origin::Scratch | Origin::Context { .. } => Some(Vec::new()),
            Origin::Image { source, .. } => {
                let base = bases.get(source, &node.platform)?;
                Some(base.config.config.on_build.clone())
            }
            Origin::Stage(base) => {
                let steps = self.nodes[*base].steps.iter();
                let expressions = steps.filter_map(|step| match &step.statement.instruction {
                    Instruction::Onbuild(onbuild) => Some(onbuild.expression.text.clone()),
                    _ => None,
                });
                Some(expressions.collect())
            }
        }
    }
}
