//! What a rule says of a place, in BuildKit's words.

use std::fmt;

use crate::dockerfile::check::Rule;
use crate::dockerfile::lower::quote;

/// A violation of a rule, with what its text names.
#[derive(Debug, Clone, Copy)]
pub(in crate::dockerfile) enum Finding<'a> {
    ConsistentInstructionCasing {
        keyword: &'a str,
        casing: &'a str,
    },
    CopyIgnoredFile {
        verb: &'a str,
        file: &'a str,
    },
    DuplicateStageName {
        name: &'a str,
    },
    ExposeInvalidFormat {
        port: &'a str,
    },
    ExposeProtoCasing {
        port: &'a str,
    },
    FromAsCasing {
        from: &'a str,
        separator: &'a str,
    },
    FromPlatformFlagConstDisallowed {
        platform: &'a str,
    },
    InvalidBaseImagePlatform {
        image: &'a str,
        found: &'a str,
        wanted: &'a str,
    },
    InvalidDefaultArgInFrom {
        base: &'a str,
    },
    InvalidDefinitionDescription {
        instruction: &'a str,
        name: &'a str,
    },
    JsonArgsRecommended {
        keyword: &'a str,
    },
    LegacyKeyValueFormat {
        keyword: &'a str,
    },
    MaintainerDeprecated,
    MultipleInstructionsDisallowed {
        keyword: &'a str,
    },
    NoEmptyContinuation,
    RedundantTargetPlatform {
        platform: &'a str,
    },
    ReservedStageName {
        name: &'a str,
    },
    SecretsUsedInArgOrEnv {
        instruction: &'a str,
        name: &'a str,
    },
    StageNameCasing {
        name: &'a str,
    },
    UndefinedArgInFrom {
        name: &'a str,
        nearest: Option<&'a str>,
    },
    UndefinedVar {
        name: &'a str,
        nearest: Option<&'a str>,
    },
    WorkdirRelativePath {
        path: &'a str,
    },
}

impl Finding<'_> {
    /// Gives the rule that is violated.
    pub(super) fn rule(&self) -> Rule {
        match self {
            Self::ConsistentInstructionCasing { .. } => Rule::ConsistentInstructionCasing,
            Self::CopyIgnoredFile { .. } => Rule::CopyIgnoredFile,
            Self::DuplicateStageName { .. } => Rule::DuplicateStageName,
            Self::ExposeInvalidFormat { .. } => Rule::ExposeInvalidFormat,
            Self::ExposeProtoCasing { .. } => Rule::ExposeProtoCasing,
            Self::FromAsCasing { .. } => Rule::FromAsCasing,
            Self::FromPlatformFlagConstDisallowed { .. } => Rule::FromPlatformFlagConstDisallowed,
            Self::InvalidBaseImagePlatform { .. } => Rule::InvalidBaseImagePlatform,
            Self::InvalidDefaultArgInFrom { .. } => Rule::InvalidDefaultArgInFrom,
            Self::InvalidDefinitionDescription { .. } => Rule::InvalidDefinitionDescription,
            Self::JsonArgsRecommended { .. } => Rule::JsonArgsRecommended,
            Self::LegacyKeyValueFormat { .. } => Rule::LegacyKeyValueFormat,
            Self::MaintainerDeprecated => Rule::MaintainerDeprecated,
            Self::MultipleInstructionsDisallowed { .. } => Rule::MultipleInstructionsDisallowed,
            Self::NoEmptyContinuation => Rule::NoEmptyContinuation,
            Self::RedundantTargetPlatform { .. } => Rule::RedundantTargetPlatform,
            Self::ReservedStageName { .. } => Rule::ReservedStageName,
            Self::SecretsUsedInArgOrEnv { .. } => Rule::SecretsUsedInArgOrEnv,
            Self::StageNameCasing { .. } => Rule::StageNameCasing,
            Self::UndefinedArgInFrom { .. } => Rule::UndefinedArgInFrom,
            Self::UndefinedVar { .. } => Rule::UndefinedVar,
            Self::WorkdirRelativePath { .. } => Rule::WorkdirRelativePath,
        }
    }
}

impl fmt::Display for Finding<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm a rule")]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsistentInstructionCasing { keyword, casing } => write!(
                out,
                "Command '{keyword}' should match the case of the command majority ({casing})"
            ),
            Self::CopyIgnoredFile { verb, file } => {
                let file = quote(file);
                write!(
                    out,
                    "Attempting to {verb} file {file} that is excluded by .dockerignore"
                )
            }
            Self::DuplicateStageName { name } => {
                let name = quote(name);
                write!(
                    out,
                    "Duplicate stage name {name}, stage names should be unique"
                )
            }
            Self::ExposeInvalidFormat { port } => write!(
                out,
                "EXPOSE instruction should not define an IP address or host-port mapping, found \
                 '{port}'"
            ),
            Self::ExposeProtoCasing { port } => write!(
                out,
                "Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            ),
            Self::FromAsCasing { from, separator } => {
                write!(
                    out,
                    "'{separator}' and '{from}' keywords' casing do not match"
                )
            }
            Self::FromPlatformFlagConstDisallowed { platform } => {
                let platform = quote(platform);
                write!(
                    out,
                    "FROM --platform flag should not use constant value {platform}"
                )
            }
            Self::InvalidBaseImagePlatform {
                image,
                found,
                wanted,
            } => write!(
                out,
                "Base image {image} was pulled with platform {}, expected {} for current build",
                quote(found),
                quote(wanted)
            ),
            Self::InvalidDefaultArgInFrom { base } => write!(
                out,
                "Default value for ARG {base} results in empty or invalid base image name"
            ),
            Self::InvalidDefinitionDescription { instruction, name } => write!(
                out,
                "Comment for {instruction} should follow the format: `# {name} <description>`"
            ),
            Self::JsonArgsRecommended { keyword } => write!(
                out,
                "JSON arguments recommended for {keyword} to prevent unintended behavior related \
                 to OS signals"
            ),
            Self::LegacyKeyValueFormat { keyword } => write!(
                out,
                "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" \
                 format"
            ),
            Self::MaintainerDeprecated => {
                out.write_str("Maintainer instruction is deprecated in favor of using label")
            }
            Self::MultipleInstructionsDisallowed { keyword } => write!(
                out,
                "Multiple {keyword} instructions should not be used in the same stage because \
                 only the last one will be used"
            ),
            Self::NoEmptyContinuation => out.write_str("Empty continuation line"),
            Self::RedundantTargetPlatform { platform } => write!(
                out,
                "Setting platform to predefined {platform} in FROM is redundant as this is the \
                 default behavior"
            ),
            Self::ReservedStageName { name } => {
                let name = quote(name);
                write!(
                    out,
                    "Stage name should not use the same name as reserved stage {name}"
                )
            }
            Self::SecretsUsedInArgOrEnv { instruction, name } => write!(
                out,
                "Do not use ARG or ENV instructions for sensitive data ({instruction} {})",
                quote(name)
            ),
            Self::StageNameCasing { name } => {
                write!(out, "Stage name '{name}' should be lowercase")
            }
            Self::UndefinedArgInFrom { name, nearest } => {
                write!(out, "FROM argument '{name}' is not declared")?;
                meant(out, "", *nearest)
            }
            Self::UndefinedVar { name, nearest } => {
                write!(out, "Usage of undefined variable '${name}'")?;
                meant(out, "$", *nearest)
            }
            Self::WorkdirRelativePath { path } => {
                let path = quote(path);
                write!(
                    out,
                    "Relative workdir {path} can have unexpected results if the base image changes"
                )
            }
        }
    }
}

fn meant(out: &mut fmt::Formatter<'_>, sign: &str, nearest: Option<&str>) -> fmt::Result {
    match nearest {
        Some(nearest) => write!(out, " (did you mean {sign}{nearest}?)"),
        None => Ok(()),
    }
}
