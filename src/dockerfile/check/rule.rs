//! The rules by name, with what BuildKit's documentation says of each and how to satisfy it.

/// Something that a Dockerfile should not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each says what it is about in `description`")]
pub enum Rule {
    ConsistentInstructionCasing,
    CopyIgnoredFile,
    DuplicateStageName,
    ExposeInvalidFormat,
    ExposeProtoCasing,
    FromAsCasing,
    FromPlatformFlagConstDisallowed,
    InvalidBaseImagePlatform,
    InvalidDefaultArgInFrom,
    InvalidDefinitionDescription,
    JsonArgsRecommended,
    LegacyKeyValueFormat,
    MaintainerDeprecated,
    MultipleInstructionsDisallowed,
    NoEmptyContinuation,
    RedundantTargetPlatform,
    ReservedStageName,
    SecretsUsedInArgOrEnv,
    StageNameCasing,
    UndefinedArgInFrom,
    UndefinedVar,
    WorkdirRelativePath,
}

/// Where BuildKit's rules are explained.
const PAGES: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// What is known of a rule.
struct Facts {
    rule: Rule,
    name: &'static str,
    /// What the rule's page is called; not every rule has one.
    page: Option<&'static str>,
    description: &'static str,
    hint: &'static str,
}

const FACTS: [Facts; 22] = [
    Facts {
        rule: Rule::ConsistentInstructionCasing,
        name: "ConsistentInstructionCasing",
        page: Some("consistent-instruction-casing"),
        description: "All commands within the Dockerfile should use the same casing (either upper \
                      or lower)",
        hint: "write all keywords in upper case, or all in lower case",
    },
    Facts {
        rule: Rule::CopyIgnoredFile,
        name: "CopyIgnoredFile",
        page: Some("copy-ignored-file"),
        description: "Attempting to Copy file that is excluded by .dockerignore",
        hint: "take the file out of .dockerignore, or do not copy it",
    },
    Facts {
        rule: Rule::DuplicateStageName,
        name: "DuplicateStageName",
        page: Some("duplicate-stage-name"),
        description: "Stage names should be unique",
        hint: "give one of the stages another name; instructions below mean the last one",
    },
    Facts {
        rule: Rule::ExposeInvalidFormat,
        name: "ExposeInvalidFormat",
        page: Some("expose-invalid-format"),
        description: "IP address and host-port mapping should not be used in EXPOSE instruction. \
                      This will become an error in a future release",
        hint: "name the container's port alone; -p maps it when the image is run",
    },
    Facts {
        rule: Rule::ExposeProtoCasing,
        name: "ExposeProtoCasing",
        page: Some("expose-proto-casing"),
        description: "Protocol in EXPOSE instruction should be lowercase",
        hint: "write tcp, udp or sctp in lower case",
    },
    Facts {
        rule: Rule::FromAsCasing,
        name: "FromAsCasing",
        page: Some("from-as-casing"),
        description: "The 'as' keyword should match the case of the 'from' keyword",
        hint: "write FROM … AS, or from … as",
    },
    Facts {
        rule: Rule::FromPlatformFlagConstDisallowed,
        name: "FromPlatformFlagConstDisallowed",
        page: Some("from-platform-flag-const-disallowed"),
        description: "FROM --platform flag should not use a constant value",
        hint: "use $BUILDPLATFORM or leave the flag out; or say in the stage's name which platform \
               it is for",
    },
    Facts {
        rule: Rule::InvalidBaseImagePlatform,
        name: "InvalidBaseImagePlatform",
        page: None,
        description: "Base image platform does not match expected target platform",
        hint: "pull the image for the platform that is built, or build with --platform",
    },
    Facts {
        rule: Rule::InvalidDefaultArgInFrom,
        name: "InvalidDefaultArgInFrom",
        page: Some("invalid-default-arg-in-from"),
        description: "Default value for global ARG results in an empty or invalid base image name",
        hint: "give the ARG a default that names an image",
    },
    Facts {
        rule: Rule::InvalidDefinitionDescription,
        name: "InvalidDefinitionDescription",
        page: Some("invalid-definition-description"),
        description: "Comment for build stage or argument should follow the format: `# <arg/stage \
                      name> <description>`. If this is not intended to be a description comment, \
                      add an empty line or comment between the instruction and the comment.",
        hint: "begin the comment with the name, or put a line with just `#` below it",
    },
    Facts {
        rule: Rule::JsonArgsRecommended,
        name: "JSONArgsRecommended",
        page: Some("json-args-recommended"),
        description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior \
                      related to OS signals",
        hint: "write a JSON array of strings; or name the shell that is wanted with SHELL",
    },
    Facts {
        rule: Rule::LegacyKeyValueFormat,
        name: "LegacyKeyValueFormat",
        page: Some("legacy-key-value-format"),
        description: "Legacy key/value format with whitespace separator should not be used",
        hint: "put `=` between key and value, and quotes around a value with blanks",
    },
    Facts {
        rule: Rule::MaintainerDeprecated,
        name: "MaintainerDeprecated",
        page: Some("maintainer-deprecated"),
        description: "The MAINTAINER instruction is deprecated, use a label instead to define an \
                      image author",
        hint: "write LABEL org.opencontainers.image.authors=…",
    },
    Facts {
        rule: Rule::MultipleInstructionsDisallowed,
        name: "MultipleInstructionsDisallowed",
        page: Some("multiple-instructions-disallowed"),
        description: "Multiple instructions of the same type should not be used in the same stage",
        hint: "remove this one: the later one replaces it",
    },
    Facts {
        rule: Rule::NoEmptyContinuation,
        name: "NoEmptyContinuation",
        page: Some("no-empty-continuation"),
        description: "Empty continuation lines will become errors in a future release",
        hint: "remove the blank lines inside the instruction, or put `#` on them",
    },
    Facts {
        rule: Rule::RedundantTargetPlatform,
        name: "RedundantTargetPlatform",
        page: Some("redundant-target-platform"),
        description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this \
                      is the default behavior",
        hint: "leave --platform out",
    },
    Facts {
        rule: Rule::ReservedStageName,
        name: "ReservedStageName",
        page: Some("reserved-stage-name"),
        description: "Reserved words should not be used as stage names",
        hint: "give the stage another name",
    },
    Facts {
        rule: Rule::SecretsUsedInArgOrEnv,
        name: "SecretsUsedInArgOrEnv",
        page: Some("secrets-used-in-arg-or-env"),
        description: "Sensitive data should not be used in the ARG or ENV commands",
        hint: "use RUN --mount=type=secret: an ARG or ENV can be read from the image",
    },
    Facts {
        rule: Rule::StageNameCasing,
        name: "StageNameCasing",
        page: Some("stage-name-casing"),
        description: "Stage names should be lowercase",
        hint: "write the name in lower case",
    },
    Facts {
        rule: Rule::UndefinedArgInFrom,
        name: "UndefinedArgInFrom",
        page: Some("undefined-arg-in-from"),
        description: "FROM command must use declared ARGs",
        hint: "declare it with an ARG before the first FROM",
    },
    Facts {
        rule: Rule::UndefinedVar,
        name: "UndefinedVar",
        page: Some("undefined-var"),
        description: "Variables should be defined before their use",
        hint: "declare it with an ARG or ENV above; a `$` to be kept is written `\\$`",
    },
    Facts {
        rule: Rule::WorkdirRelativePath,
        name: "WorkdirRelativePath",
        page: Some("workdir-relative-path"),
        description: "Relative workdir without an absolute workdir declared within the build can \
                      have unexpected results if the base image changes",
        hint: "write an absolute path",
    },
];

impl Rule {
    /// The rule's name, as `# check=skip=` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What it is about, in BuildKit's words.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.facts().description
    }

    /// The page that explains it, if there is one.
    #[must_use]
    pub fn url(self) -> Option<String> {
        self.facts().page.map(|page| format!("{PAGES}{page}/"))
    }

    /// What to do about a violation.
    #[must_use]
    pub fn hint(self) -> &'static str {
        self.facts().hint
    }

    /// Whether it must be asked for with `experimental=`.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        self == Self::InvalidDefinitionDescription
    }

    fn facts(self) -> &'static Facts {
        let facts = &FACTS[self as usize];
        debug_assert_eq!(facts.rule, self, "the table is in the order of the enum");
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::FACTS;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, facts) in FACTS.iter().enumerate() {
            assert_eq!(facts.rule as usize, index);
            let name = format!("{:?}", facts.rule);
            assert!(name.eq_ignore_ascii_case(facts.name), "{name}");
            let page = facts.page.unwrap_or_default().replace('-', "");
            assert!(page.is_empty() || page.eq_ignore_ascii_case(facts.name));
        }
    }
}
