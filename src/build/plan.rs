//! The plan of all platforms: one graph, with a target for the image of each.

use crate::build::Error;
use crate::build::Request;
use crate::build::said::Said;
use crate::build::source::Text;
use crate::dockerfile;
use crate::dockerfile::Bases;
use crate::dockerfile::Dockerfile;
use crate::dockerfile::Lowered;
use crate::dockerfile::Options;
use crate::graph::Graph;
use crate::graph::ImageOp;
use crate::graph::Op;
use crate::graph::VertexId;
use crate::oci::History;
use crate::oci::ImageConfig;
use crate::oci::Platform;

/// What is to be done for all platforms.
#[derive(Debug)]
pub(super) struct BuildPlan {
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
    /// The image's config, as [`crate::graph::Plan`] has it.
    pub(super) config: ImageConfig,
    /// What the instructions add to the history.
    pub(super) history: Vec<History>,
}

impl BuildPlan {
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

    /// Takes over what is to be done for one platform, at the same time as for those before it.
    fn add(&mut self, platform: &Platform, lowered: Lowered) -> Result<(), Error> {
        let Lowered { plan, epoch } = lowered;
        if let Some(first) = self.images.first()
            && self.epoch != epoch
        {
            return Err(Error::EpochDiffers {
                one: first.platform.to_string(),
                other: platform.to_string(),
            });
        }
        self.epoch = epoch;
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
        Ok(())
    }
}

/// Lowers the Dockerfile for each platform. What is to be said of it for several is said once; all
/// have the same time, as the layers they share can have but one.
pub(super) fn lower(
    request: &Request,
    (dockerfile, text): (&Dockerfile, &Text),
    bases: &Bases,
    platforms: &[Options],
) -> Result<BuildPlan, Error> {
    let mut plan = BuildPlan {
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
        plan.add(options.target_platform(), lowered)?;
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::BuildPlan;
    use crate::build::Error;
    use crate::dockerfile;
    use crate::dockerfile::Bases;
    use crate::dockerfile::Options;
    use crate::graph::Graph;
    use crate::oci::Platform;

    /// Plans an image whose time is `epoch` for two platforms.
    fn plan(epoch: &str) -> Result<BuildPlan, Error> {
        let text = format!("ARG SOURCE_DATE_EPOCH={epoch}\nFROM scratch\nLABEL a=b\n");
        let dockerfile = dockerfile::parse(&text).unwrap();
        let mut plan = BuildPlan {
            graph: Graph::new(),
            images: Vec::new(),
            epoch: None,
        };
        for platform in ["linux/arm/v6", "linux/arm/v7"] {
            let platform: Platform = platform.parse().unwrap();
            let mut options = Options::plain(Platform::host());
            options.platform = Some(platform.clone());
            let lowering = dockerfile::lower(&dockerfile, &Bases::default(), &options);
            plan.add(&platform, lowering.outcome.unwrap())?;
        }
        Ok(plan)
    }

    #[test]
    fn a_time_that_differs_by_platform_is_refused() {
        assert_eq!(plan("7").unwrap().epoch, Some(7));
        let refused = plan("${TARGETVARIANT#v}").unwrap_err().to_string();
        let both = "is not the same for linux/arm/v6 and for linux/arm/v7";
        assert!(refused.contains(both), "{refused}");
    }
}
