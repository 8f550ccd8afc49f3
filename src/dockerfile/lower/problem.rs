//! What can be wrong with a Dockerfile's meaning.

use crate::oci;

/// What is wrong with what a Dockerfile that parses says.
#[derive(Debug, thiserror::Error)]
pub enum PlanProblem {
    /// The file has `ARG`s at most.
    #[error("the Dockerfile has no FROM")]
    NoStage,
    /// The name behind `FROM` is empty once variables are replaced.
    #[error("the image `{text}` is empty once its variables are replaced")]
    BlankBase {
        /// What was written.
        text: String,
    },
    /// What stands behind `FROM` or `--from=` is neither a stage nor an image.
    #[error("`{name}` is neither a stage nor the name of an image")]
    BaseName {
        /// The name, variables replaced.
        name: String,
        /// The stage that looks most like it.
        nearest: Option<String>,
        /// Why it cannot name an image.
        #[source]
        cause: oci::Error,
    },
    /// A stage's name cannot be that of a named context, which it must be able to give way to.
    #[error("`{name}` cannot be the name of a stage")]
    StageName {
        /// The name.
        name: String,
        /// Why.
        #[source]
        cause: oci::Error,
    },
    /// A platform that is empty once variables are replaced.
    #[error("the platform `{text}` is empty once its variables are replaced")]
    BlankPlatform {
        /// What was written.
        text: String,
    },
    /// A platform that is none.
    #[error("`{text}` is not a platform")]
    Platform {
        /// What was written.
        text: String,
        /// Why.
        #[source]
        cause: oci::Error,
    },
    /// The target names no stage.
    #[error("there is no stage `{name}` to build")]
    Target {
        /// What was asked for.
        name: String,
        /// The stage that looks most like it.
        nearest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// `--from=` counts beyond the stages.
    #[error("there is no stage number {number}")]
    StageNumber {
        /// The number.
        number: i64,
        /// How many stages there are.
        count: usize,
    },
    /// `COPY --from=` with something to expand.
    #[error("`--from={text}` is not expanded")]
    FromVariable {
        /// What was written.
        text: String,
    },
    /// Stages need each other.
    #[error("{}", circle(.stages))]
    Circle {
        /// The stages on the way, the first also at the end.
        stages: Vec<String>,
    },
    /// A stage is used before it is defined.
    #[error("the stage `{from}` is defined only after it is used here")]
    LaterStage {
        /// The stage that is used.
        from: String,
    },
    /// An image has not been resolved before lowering.
    #[error("the image `{name}` has not been resolved")]
    NotResolved {
        /// Its name.
        name: String,
    },
    /// `EXPOSE` of something that is no port.
    #[error("`{text}` is not a port: {reason}")]
    Port {
        /// What was written.
        text: String,
        /// Why.
        reason: String,
    },
    /// `STOPSIGNAL` of something that is no signal.
    #[error("`{text}` is not a signal")]
    Signal {
        /// What was written.
        text: String,
    },
    /// A path of `VOLUME` that is empty once variables are replaced.
    #[error("a path of VOLUME is empty")]
    BlankVolume,
    /// `--chmod` of something that is no mode.
    #[error("`{text}` is not a mode")]
    Mode {
        /// What was written.
        text: String,
    },
    /// An owner by name where there is no `/etc/passwd` that could have it.
    #[error("the owner `{text}` cannot be looked up: {reason}")]
    OwnerName {
        /// What was written, variables replaced.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// A path or `--exclude` that is no pattern.
    #[error("syntax error in pattern `{text}`")]
    Pattern {
        /// What was written, variables replaced.
        text: String,
    },
    /// A here-document whose delimiter, which is its file's name, leads elsewhere.
    #[error("`{name}` cannot be the name of a file")]
    InlineName {
        /// What was written.
        name: String,
    },
    /// Commands and stages repeat so much of what stands before them that no memory could hold it.
    #[error(
        "the environments, stages, paths and ports that this makes are larger than {most} bytes in all"
    )]
    TooLarge {
        /// The limit.
        most: usize,
    },
    /// `COPY` of something that only `ADD` can fetch.
    #[error("COPY cannot fetch `{url}`")]
    CopyUrl {
        /// What was written.
        url: String,
    },
    /// A git URL that cannot be understood.
    #[error("`{url}` cannot be fetched with git: {reason}")]
    GitUrl {
        /// What was written.
        url: String,
        /// Why.
        reason: String,
    },
    /// `--checksum` where it cannot be checked.
    #[error("--checksum needs exactly one source, and that must be a URL")]
    ChecksumSource,
    /// `--checksum` of something that is no checksum.
    #[error("`{text}` is not a checksum")]
    Checksum {
        /// What was written.
        text: String,
        /// Why.
        #[source]
        cause: oci::Error,
    },
    /// A mount over the whole root filesystem.
    #[error("a mount needs a target below `/`")]
    MountTarget,
    /// A mount of an ssh agent with a source.
    #[error("a mount of type ssh has no option `source`")]
    SshSource,
    /// A device that the command cannot do without.
    #[error("the device `{name}` is not available")]
    Device {
        /// Its CDI name.
        name: String,
    },
    /// A command wants all rights, and nobody allowed it.
    #[error("RUN --security=insecure is not allowed")]
    Insecure,
    /// A command wants the host's network, and nobody allowed it.
    #[error("RUN --network=host is not allowed")]
    HostNetwork,
    /// `SOURCE_DATE_EPOCH` is no number of seconds.
    #[error("SOURCE_DATE_EPOCH cannot be `{text}`")]
    Epoch {
        /// Its value.
        text: String,
    },
    /// The stage that `SOURCE_DATE_EPOCH` names is no mere source.
    #[error("the stage cannot give SOURCE_DATE_EPOCH: {reason}")]
    EpochStage {
        /// Why not.
        reason: &'static str,
    },
}

impl PlanProblem {
    /// What the user can do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BlankBase { .. } | Self::BlankPlatform { .. } => {
                Some("FROM sees only ARGs above the first FROM; give one a default or use --build-arg".to_owned())
            }
            Self::BaseName { nearest, .. } => {
                nearest.as_ref().map(|name| format!("did you mean the stage `{name}`?"))
            }
            Self::Target { nearest: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::Target { known, .. } if known.is_empty() => {
                Some("no stage has a name; count them from 0 or name one with `FROM … AS name`".to_owned())
            }
            Self::Target { known, .. } => Some(format!("there is {}", known.join(", "))),
            Self::StageNumber { count, .. } => Some(format!("stages are counted from 0 to {}", count - 1)),
            Self::FromVariable { .. } => Some(
                "write `FROM …$variable… AS name` with an ARG above the first FROM, then `--from=name`".to_owned(),
            ),
            Self::LaterStage { .. } => Some("move the stage up".to_owned()),
            Self::Port { .. } => Some("write `8080`, `8000-8010` or `53/udp`".to_owned()),
            Self::Signal { .. } => Some("write a name such as `SIGTERM` or a number".to_owned()),
            Self::Mode { .. } => Some("write it in octal up to 7777, or like `u=rwX,go=rX`".to_owned()),
            Self::OwnerName { .. } => Some("write numbers, like `1000:1000`".to_owned()),
            Self::Pattern { .. } => {
                Some("a `[` needs its `]`; write `[[]` for the character itself".to_owned())
            }
            Self::InlineName { .. } => {
                Some("name it without `/`; the destination says where it goes".to_owned())
            }
            Self::CopyUrl { .. } => Some("use ADD".to_owned()),
            Self::EpochStage { .. } => {
                Some("write FROM scratch and a single ADD of a URL or git repository".to_owned())
            }
            Self::Insecure => Some("it has the rights of root on this machine; allow it with --allow security.insecure".to_owned()),
            Self::HostNetwork => Some("it reaches all that listens on this machine; allow it with --allow network.host".to_owned()),
            Self::Epoch { .. } => Some("write the seconds since 1970".to_owned()),
            _ => None,
        }
    }
}

fn circle(stages: &[String]) -> String {
    match stages {
        [stage] | [stage, _] => format!("the stage `{stage}` needs itself"),
        _ => format!("the stages need each other: {}", stages.join(" needs ")),
    }
}
