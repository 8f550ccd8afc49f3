//! The plan of all platforms: one graph, with a target for the image of each.

use crate::build::Error;
use crate::build::Request;
use crate::build::said::Said;
use crate::build::source::Text;
use crate::dockerfile;
use crate::dockerfile::Bases;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Options;
use crate::graph;
use crate::graph::Graph;
use crate::graph::ImageOp;
use crate::graph::Op;
use crate::graph::VertexId;
use crate::oci::History;
use crate::oci::ImageConfig;
use crate::oci::Platform;

/// What is to be done for all platforms.
#[derive(Debug)]
pub(super) struct Plan {
    /// The ops that the targets need; what several need is there once.
    pub(super) graph: Graph,
    /// The images, in the order in which their platforms were asked for.
    pub(super) images: Vec<ImagePlan>,
    /// The time that stands for all times, in seconds since 1970: `SOURCE_DATE_EPOCH`.
    pub(super) epoch: Option<i64>,
}

/// What is to become of one platform.
#[derive(Debug)]
pub(super) struct ImagePlan {
    /// For which platform the image is.
    pub(super) platform: Platform,
    /// The vertex whose root filesystem is the image's.
    pub(super) target: VertexId,
    /// The image's config, as [`graph::Plan`] has it.
    pub(super) config: ImageConfig,
    /// What the instructions add to the history.
    pub(super) history: Vec<History>,
}

impl Plan {
    /// Gives the vertices whose results are wanted.
    pub(super) fn targets(&self) -> Vec<VertexId> {
        self.images.iter().map(|image| image.target).collect()
    }

    /// Gives the image that `image` begins with, if it does not begin with nothing.
    pub(super) fn base(&self, image: &ImagePlan) -> Option<&ImageOp> {
        let lowest = self.graph.chain(image.target)[0];
        match &self.graph.vertex(lowest).op {
            Op::Image(base) => Some(base),
            _ => None,
        }
    }

    /// Gives the images that anything begins with.
    pub(super) fn bases(&self) -> impl Iterator<Item = &ImageOp> {
        self.images.iter().filter_map(|image| self.base(image))
    }

    /// Takes over what is to be done for one platform.
    fn add(&mut self, platform: &Platform, plan: graph::Plan) {
        let target = match self.images.is_empty() {
            true => {
                self.graph = plan.graph;
                plan.target
            }
            false => self.graph.merge(&plan.graph)[plan.target.index()],
        };
        self.images.push(ImagePlan {
            platform: platform.clone(),
            target,
            config: plan.config,
            history: plan.history,
        });
    }
}

/// Lowers the Dockerfile for each platform. What is to be said of it for several is said once, and
/// what is the time for the first is the time for all.
pub(super) fn lower(
    request: &Request,
    (dockerfile, text): (&Dockerfile, &Text),
    bases: &Bases,
    platforms: &[Options],
) -> Result<Plan, Error> {
    let mut plan = Plan {
        graph: Graph::new(),
        images: Vec::new(),
        epoch: None,
    };
    let mut said = Said::default();
    for options in platforms {
        let lowering = dockerfile::lower(dockerfile, bases, options);
        for warning in said.add(lowering.warnings) {
            request.sink.warn(text.warning(&warning));
        }
        let lowered = lowering.outcome.map_err(|source| text.error(source))?;
        if plan.images.is_empty() {
            plan.epoch = lowered.epoch;
        }
        plan.add(options.target_platform(), lowered.plan);
    }
    Ok(plan)
}
