//! Flags that other builders have and rbuild has not: refused by name, with what to do instead.
//!
//! A flag that was silently ignored would leave an image that is not what was asked for.

use super::error::Error;

/// The flags, hidden from the help. Those that turn off what rbuild never does are accepted.
#[derive(Debug, clap::Args)]
pub(super) struct Reserved {
    #[arg(long, hide = true)]
    annotation: Vec<String>,
    #[arg(long, hide = true)]
    attest: Vec<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    provenance: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sbom: Option<String>,
    #[arg(long, hide = true)]
    cache_from: Vec<String>,
    #[arg(long, hide = true)]
    cache_to: Vec<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    squash: bool,
    #[arg(long, hide = true)]
    cgroup_parent: Option<String>,
}

impl Reserved {
    /// Refuses the first flag that cannot be honoured.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_asked =
            |value: &Option<String>| value.as_deref().is_some_and(|text| text != "false");
        let is_disabled = |text: &String| text.split(',').any(|field| field == "disabled=true");
        let refused: [(bool, &'static str, &'static str); 9] = [
            (
                !self.annotation.is_empty(),
                "--annotation",
                "--label puts a key and a value in the image's config",
            ),
            (
                !self.attest.iter().all(is_disabled),
                "--attest",
                "rbuild makes no attestations",
            ),
            (
                is_asked(&self.provenance),
                "--provenance",
                "rbuild makes no attestations; --provenance=false is accepted",
            ),
            (
                is_asked(&self.sbom),
                "--sbom",
                "rbuild makes no attestations; --sbom=false is accepted",
            ),
            (
                !self.cache_from.is_empty(),
                "--cache-from",
                "the cache is in the folder --root; keep that folder between builds",
            ),
            (
                !self.cache_to.is_empty(),
                "--cache-to",
                "the cache is in the folder --root; keep that folder between builds",
            ),
            (
                self.builder.is_some(),
                "--builder",
                "there are no builders to choose from; --root chooses a store",
            ),
            (
                self.squash,
                "--squash",
                "copy into an empty last stage: FROM scratch, COPY --from=0 / /",
            ),
            (
                self.cgroup_parent.is_some(),
                "--cgroup-parent",
                "start rbuild itself in the cgroup that is to hold the build",
            ),
        ];
        match refused.into_iter().find(|(is_asked, ..)| *is_asked) {
            Some((_, flag, instead)) => Err(Error::NotSupported { flag, instead }),
            None => Ok(()),
        }
    }
}
