//! Which rules are on: `skip=…;experimental=…;error=true`.

use crate::dockerfile::Problem;
use crate::dockerfile::check::Rule;

/// Which rules are on, and whether a violation ends the build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::dockerfile) struct Settings {
    skipped: Names,
    experimental: Names,
    /// Whether a violation is an error.
    pub(super) fails: bool,
}

/// Some rules, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    All,
    Some(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Names {
    fn parse(text: &str) -> Self {
        match text {
            "all" => Self::All,
            text => Self::Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }

    fn has(&self, rule: Rule) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.iter().any(|name| name == rule.name()),
        }
    }
}

impl Settings {
    /// Reads the value of `# check=` and its like. Names of rules that there are not are let
    /// through: they may be another version's.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut settings = Self::default();
        let text = text.trim();
        if text.is_empty() {
            return Ok(settings);
        }
        for option in text.splitn(3, ';') {
            let wrong = || Problem::CheckOption {
                found: option.trim().to_owned(),
            };
            let (key, value) = option.split_once('=').ok_or_else(wrong)?;
            let value = value.trim();
            match key.trim() {
                "skip" => settings.skipped = Names::parse(value),
                "experimental" => settings.experimental = Names::parse(value),
                "error" => settings.fails = truth(value).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        Ok(settings)
    }

    /// Says whether a rule is on.
    pub(super) fn is_on(&self, rule: Rule) -> bool {
        if rule.is_experimental() {
            self.experimental.has(rule)
        } else {
            !self.skipped.has(rule)
        }
    }

    /// Says whether a rule is on for an instruction with these comments above it: the first
    /// `check=` among them adds to what is said for the whole file.
    pub(super) fn is_on_below(&self, rule: Rule, comments: &[String]) -> bool {
        let mut own = comments.iter().filter_map(|comment| directive(comment));
        let own = own.next().map(Self::parse).and_then(Result::ok);
        match own {
            Some(own) if rule.is_experimental() => self.is_on(rule) || own.is_on(rule),
            Some(own) => self.is_on(rule) && own.is_on(rule),
            None => self.is_on(rule),
        }
    }
}

/// Gives the value of a comment of the form `check=value`; what follows a blank is a remark.
fn directive(comment: &str) -> Option<&str> {
    let (key, value) = comment.split_once('=')?;
    let value = value.trim();
    let is_check = key.trim_end().eq_ignore_ascii_case("check") && !value.is_empty();
    is_check.then(|| first_word(value))
}

/// The part of a directive's value that counts.
pub(super) fn first_word(value: &str) -> &str {
    value.split(' ').next().unwrap_or_default()
}

/// What Go's `strconv.ParseBool` takes.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::dockerfile::check::Rule;

    const STYLE: Rule = Rule::FromAsCasing;
    const NEW: Rule = Rule::InvalidDefinitionDescription;

    #[test]
    fn rules_are_named_or_all() {
        for (text, style, new, fails) in [
            ("", true, false, false),
            ("skip=all", false, false, false),
            ("skip=A, FromAsCasing ;error=1", false, false, true),
            ("experimental=all", true, true, false),
            (
                "error=True;experimental=InvalidDefinitionDescription",
                true,
                true,
                true,
            ),
            ("skip=fromascasing", true, false, false),
        ] {
            let settings = Settings::parse(text).unwrap();
            let found = (settings.is_on(STYLE), settings.is_on(NEW), settings.fails);
            assert_eq!(found, (style, new, fails), "{text}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for text in ["skip", "a=b", "error=yes", "skip=a;", "skip=a;error=1;a;b"] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_comment_adds_to_what_holds_for_the_file() {
        let file = Settings::parse("skip=UndefinedVar").unwrap();
        let comments = |text: &str| vec!["about this".to_owned(), text.to_owned()];
        for (comment, style, new) in [
            ("check=skip=all // because", false, false),
            ("Check = skip=FromAsCasing", false, false),
            ("check=experimental=all", true, true),
            ("check=nonsense", true, false),
            ("cheque=skip=all", true, false),
        ] {
            let comments = comments(comment);
            assert_eq!(file.is_on_below(STYLE, &comments), style, "{comment}");
            assert_eq!(file.is_on_below(NEW, &comments), new, "{comment}");
            assert!(!file.is_on_below(Rule::UndefinedVar, &comments));
        }
    }
}
