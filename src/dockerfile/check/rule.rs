//! The rules, in BuildKit's order and words, with how to satisfy each.

use super::table::rules;
use crate::dockerfile::lower::quote;

/// Where BuildKit's rules are explained.
const PAGES: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// What is known of a rule.
struct Facts {
    name: &'static str,
    /// What the rule's page is called; not every rule has one.
    page: Option<&'static str>,
    about: &'static str,
    hint: &'static str,
}

rules! {
    ConsistentInstructionCasing(keyword: &'a str, casing: &'a str) {
        page: Some("consistent-instruction-casing"),
        about: "All commands within the Dockerfile should use the same casing (either upper or \
                lower)",
        hint: "write all keywords in upper case, or all in lower case",
        finding: ("Command '{keyword}' should match the case of the command majority ({casing})"),
    }
    CopyIgnoredFile(verb: &'a str, file: &'a str) {
        page: Some("copy-ignored-file"),
        about: "Attempting to Copy file that is excluded by .dockerignore",
        hint: "take the file out of .dockerignore, or do not copy it",
        finding: ("Attempting to {verb} file {} that is excluded by .dockerignore", quote(file)),
    }
    DuplicateStageName(name: &'a str) {
        page: Some("duplicate-stage-name"),
        about: "Stage names should be unique",
        hint: "give one of the stages another name; instructions below mean the last one",
        finding: ("Duplicate stage name {}, stage names should be unique", quote(name)),
    }
    ExposeInvalidFormat(port: &'a str) {
        page: Some("expose-invalid-format"),
        about: "IP address and host-port mapping should not be used in EXPOSE instruction. This \
                will become an error in a future release",
        hint: "name the container's port alone; -p maps it when the image is run",
        finding: ("EXPOSE instruction should not define an IP address or host-port mapping, found \
                   '{port}'"),
    }
    ExposeProtoCasing(port: &'a str) {
        page: Some("expose-proto-casing"),
        about: "Protocol in EXPOSE instruction should be lowercase",
        hint: "write tcp, udp or sctp in lower case",
        finding: ("Defined protocol '{port}' in EXPOSE instruction should be lowercase"),
    }
    FromAsCasing(from: &'a str, separator: &'a str) {
        page: Some("from-as-casing"),
        about: "The 'as' keyword should match the case of the 'from' keyword",
        hint: "write FROM … AS, or from … as",
        finding: ("'{separator}' and '{from}' keywords' casing do not match"),
    }
    FromPlatformFlagConstDisallowed(platform: &'a str) {
        page: Some("from-platform-flag-const-disallowed"),
        about: "FROM --platform flag should not use a constant value",
        hint: "use $BUILDPLATFORM or leave the flag out; or say in the stage's name which platform \
               it is for",
        finding: ("FROM --platform flag should not use constant value {}", quote(platform)),
    }
    InvalidBaseImagePlatform(image: &'a str, found: &'a str, wanted: &'a str) {
        page: None,
        about: "Base image platform does not match expected target platform",
        hint: "pull the image for the platform that is built, or build with --platform",
        finding: (
            "Base image {image} was pulled with platform {}, expected {} for current build",
            quote(found), quote(wanted),
        ),
    }
    InvalidDefaultArgInFrom(base: &'a str) {
        page: Some("invalid-default-arg-in-from"),
        about: "Default value for global ARG results in an empty or invalid base image name",
        hint: "give the ARG a default that names an image",
        finding: ("Default value for ARG {base} results in empty or invalid base image name"),
    }
    InvalidDefinitionDescription(instruction: &'a str, name: &'a str) {
        page: Some("invalid-definition-description"),
        about: "Comment for build stage or argument should follow the format: `# <arg/stage name> \
                <description>`. If this is not intended to be a description comment, add an empty \
                line or comment between the instruction and the comment.",
        hint: "begin the comment with the name, or put a line with just `#` below it",
        finding: ("Comment for {instruction} should follow the format: `# {name} <description>`"),
    }
    JSONArgsRecommended(keyword: &'a str) {
        page: Some("json-args-recommended"),
        about: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior \
                related to OS signals",
        hint: "write a JSON array of strings; or name the shell that is wanted with SHELL",
        finding: ("JSON arguments recommended for {keyword} to prevent unintended behavior related \
                   to OS signals"),
    }
    LegacyKeyValueFormat(keyword: &'a str) {
        page: Some("legacy-key-value-format"),
        about: "Legacy key/value format with whitespace separator should not be used",
        hint: "put `=` between key and value, and quotes around a value with blanks",
        finding: ("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key \
                   value\" format"),
    }
    MaintainerDeprecated {
        page: Some("maintainer-deprecated"),
        about: "The MAINTAINER instruction is deprecated, use a label instead to define an image \
                author",
        hint: "write LABEL org.opencontainers.image.authors=…",
        finding: ("Maintainer instruction is deprecated in favor of using label"),
    }
    MultipleInstructionsDisallowed(keyword: &'a str) {
        page: Some("multiple-instructions-disallowed"),
        about: "Multiple instructions of the same type should not be used in the same stage",
        hint: "remove this one: the later one replaces it",
        finding: ("Multiple {keyword} instructions should not be used in the same stage because \
                   only the last one will be used"),
    }
    NoEmptyContinuation {
        page: Some("no-empty-continuation"),
        about: "Empty continuation lines will become errors in a future release",
        hint: "remove the blank lines inside the instruction, or put `#` on them",
        finding: ("Empty continuation line"),
    }
    RedundantTargetPlatform(platform: &'a str) {
        page: Some("redundant-target-platform"),
        about: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the \
                default behavior",
        hint: "leave --platform out",
        finding: ("Setting platform to predefined {platform} in FROM is redundant as this is the \
                   default behavior"),
    }
    ReservedStageName(name: &'a str) {
        page: Some("reserved-stage-name"),
        about: "Reserved words should not be used as stage names",
        hint: "give the stage another name",
        finding: ("Stage name should not use the same name as reserved stage {}", quote(name)),
    }
    SecretsUsedInArgOrEnv(instruction: &'a str, name: &'a str) {
        page: Some("secrets-used-in-arg-or-env"),
        about: "Sensitive data should not be used in the ARG or ENV commands",
        hint: "use RUN --mount=type=secret: an ARG or ENV can be read from the image",
        finding: (
            "Do not use ARG or ENV instructions for sensitive data ({instruction} {})",
            quote(name),
        ),
    }
    StageNameCasing(name: &'a str) {
        page: Some("stage-name-casing"),
        about: "Stage names should be lowercase",
        hint: "write the name in lower case",
        finding: ("Stage name '{name}' should be lowercase"),
    }
    UndefinedArgInFrom(name: &'a str, nearest: Option<&'a str>) {
        page: Some("undefined-arg-in-from"),
        about: "FROM command must use declared ARGs",
        hint: "declare it with an ARG before the first FROM",
        finding: ("FROM argument '{name}' is not declared{}", meant("", *nearest)),
    }
    UndefinedVar(name: &'a str, nearest: Option<&'a str>) {
        page: Some("undefined-var"),
        about: "Variables should be defined before their use",
        hint: "declare it with an ARG or ENV above; a `$` to be kept is written `\\$`",
        finding: ("Usage of undefined variable '${name}'{}", meant("$", *nearest)),
    }
    WorkdirRelativePath(path: &'a str) {
        page: Some("workdir-relative-path"),
        about: "Relative workdir without an absolute workdir declared within the build can have \
                unexpected results if the base image changes",
        hint: "write an absolute path",
        finding: (
            "Relative workdir {} can have unexpected results if the base image changes",
            quote(path),
        ),
    }
}

impl Rule {
    /// The rule's name, as `# check=skip=` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What it is about, in BuildKit's words.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.facts().about
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
}

/// Asks after the name that may have been meant.
fn meant(sign: &str, nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!(" (did you mean {sign}{nearest}?)")
    })
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn pages_are_called_as_their_rules() {
        for rule in Rule::ALL {
            let page = rule.facts().page.unwrap_or_default().replace('-', "");
            assert!(page.is_empty() || page.eq_ignore_ascii_case(rule.name()));
        }
    }
}
