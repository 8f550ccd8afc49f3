//! Stages that need each other.

use crate::dockerfile::Error;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::stage::Stages;
use crate::dockerfile::stage::plan_error;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnTheWay,
    Done,
}

/// Fails if stages copy or mount from each other in a circle. All stages are looked at, needed or
/// not.
///
/// The way from a node to what it needs is kept on a stack of our own, because a Dockerfile may
/// have any number of stages.
pub(super) fn check(stages: &Stages<'_>) -> Result<(), Error> {
    let sources = |node: usize| stages.nodes[node].sources().collect::<Vec<_>>();
    let mut marks = vec![Mark::New; stages.nodes.len()];
    for start in 0..stages.nodes.len() {
        let mut way = Vec::new();
        if marks[start] == Mark::New {
            way.push((start, sources(start)));
        }
        while let Some((node, open)) = way.last_mut() {
            marks[*node] = Mark::OnTheWay;
            let Some(next) = open.pop() else {
                marks[*node] = Mark::Done;
                way.pop();
                continue;
            };
            match marks[next] {
                Mark::New => way.push((next, sources(next))),
                Mark::Done => {}
                Mark::OnTheWay => {
                    let nodes = way.iter().map(|(node, _)| *node);
                    let circle: Vec<usize> = nodes.skip_while(|node| *node != next).collect();
                    return Err(circle_error(stages, &circle));
                }
            }
        }
    }
    Ok(())
}

/// `circle` is each node once, in the order in which each needs the next.
fn circle_error(stages: &Stages<'_>, circle: &[usize]) -> Error {
    let first = circle[0];
    let last = &stages.nodes[circle[circle.len() - 1]];
    let mut steps = last.steps.iter();
    let closing = steps.find(|step| step.sources.contains(&first));
    let span = closing.map_or(last.span, |step| step.span());
    let title = |&node: &usize| stages.nodes[node].title().to_owned();
    let stages = circle.iter().chain([&first]).map(title).collect();
    plan_error(span, PlanProblem::Circle { stages })
}
