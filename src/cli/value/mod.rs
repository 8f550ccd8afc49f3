//! The values of flags that are more than a word, one file a kind.
//!
//! Each parser takes what stands after the flag and says what is wrong with it in a sentence that
//! clap puts behind "invalid value … for …".

pub(super) mod call;
pub(super) mod context;
mod duration;
pub(super) mod fields;
mod host;
pub(super) mod ladder;
pub(super) mod limit;
pub(super) mod output;
pub(super) mod run;
pub(super) mod secret;
mod size;

use crate::build::PullPolicy;
use crate::graph::Network;

pub(super) use self::duration::duration;
pub(super) use self::host::extra_host;
pub(super) use self::size::bytes;

/// Reads `NAME` or `NAME=VALUE`; without a value it is taken from the environment later.
pub(super) fn assignment(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("expected NAME=VALUE or NAME".to_owned());
    }
    Ok((name.to_owned(), value))
}

/// Reads `KEY=VALUE`; a lone `KEY` has an empty value, as docker has it.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = assignment(text)?;
    Ok((key, value.unwrap_or_default()))
}

/// Reads `--network`.
pub(super) fn network(text: &str) -> Result<Network, String> {
    match text {
        "default" => Ok(Network::Default),
        "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        _ => Err("expected default, host or none".to_owned()),
    }
}

/// What `--allow` grants; the names are docker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Permission {
    #[value(name = "security.insecure")]
    Insecure,
    #[value(name = "network.host")]
    HostNetwork,
}

/// Reads the word behind `--pull=`; true and false are docker's always and missing.
pub(super) fn pull_policy(text: &str) -> Result<PullPolicy, String> {
    match text {
        "missing" | "false" => Ok(PullPolicy::Missing),
        "always" | "true" => Ok(PullPolicy::Always),
        "never" => Ok(PullPolicy::Never),
        _ => Err("expected missing, always or never".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::assignment;
    use super::label;

    #[test]
    fn an_assignment_may_lack_its_value() {
        assert_eq!(assignment("A"), Ok(("A".to_owned(), None)));
        assert_eq!(
            assignment("A=b=c"),
            Ok(("A".to_owned(), Some("b=c".to_owned())))
        );
        assert!(assignment("=b").is_err());
        assert_eq!(label("a"), Ok(("a".to_owned(), String::new())));
    }
}
