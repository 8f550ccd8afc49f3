//! Answers for people.

use std::fmt::Write;

use anstyle::AnsiColor;
use anstyle::Style;

use crate::cli::printable::printable;
use crate::cli::report;
use crate::cli::report::Excerpts;
use crate::cli::table::table;
use crate::dockerfile::Checked;
use crate::dockerfile::Outline;
use crate::dockerfile::Request;
use crate::dockerfile::Target;
use crate::dockerfile::Warning;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// What the checks found, in the order of the lines. What ended them is told as any error is.
pub(super) fn checked(checked: &Checked, file: &str, text: &str) -> String {
    let excerpts = Excerpts::new(file, text);
    let mut warnings: Vec<&Warning> = checked.warnings.iter().collect();
    warnings.sort_by_key(|warning| warning.span.first_line);
    let mut out = String::new();
    for warning in &warnings {
        let Some(rule) = warning.rule else { continue };
        let (name, message) = (rule.name(), printable(&warning.message));
        let _ = writeln!(out, "{WARNING}warning:{WARNING:#} {name}: {message}");
        let span = warning.span;
        excerpts.write(&(span.start..span.end), &mut out);
        report::hint(rule.hint(), &mut out);
        if let Some(url) = rule.url() {
            let _ = writeln!(out, "      {url}");
        }
        out.push('\n');
    }
    let _ = match (warnings.len(), &checked.error) {
        // What the checks did not come to may well be worth a warning.
        (0, Some(_)) => Ok(()),
        (0, None) => writeln!(out, "no warnings found"),
        (1, _) => writeln!(out, "1 warning found"),
        (count, _) => writeln!(out, "{count} warnings found"),
    };
    out
}

/// What a target takes.
pub(super) fn outline(outline: &Outline) -> String {
    let mut parts = Vec::new();
    if !outline.name.is_empty() || outline.description.is_some() {
        let name = match outline.name.as_str() {
            "" => "(default)",
            name => name,
        };
        let mut part = format!("TARGET:        {name}\n");
        if let Some(description) = &outline.description {
            let _ = writeln!(part, "DESCRIPTION:   {}", printable(description));
        }
        parts.push(part);
    }
    if !outline.args.is_empty() {
        let rows = outline.args.iter().map(|arg| {
            let description = arg.description.clone().unwrap_or_default();
            [arg.name.clone(), arg.value.clone(), description]
        });
        let rows: Vec<_> = rows.collect();
        parts.push(table(["BUILD ARG", "VALUE", "DESCRIPTION"], &rows));
    }
    for (heading, requests) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        let row = |request: &Request| {
            let required = if request.required { "true" } else { "" };
            [request.name.clone(), required.to_owned()]
        };
        let rows: Vec<_> = requests.iter().map(row).collect();
        if !rows.is_empty() {
            parts.push(table([heading, "REQUIRED"], &rows));
        }
    }
    parts.join("\n")
}

/// The targets there are.
pub(super) fn targets(targets: &[Target]) -> String {
    let row = |target: &Target| {
        let name = match (&target.name, target.is_default) {
            (Some(name), true) => format!("{name} (default)"),
            (Some(name), false) => name.clone(),
            (None, true) => "(default)".to_owned(),
            (None, false) => String::new(),
        };
        let description = target.description.clone().unwrap_or_default();
        [name, target.base.clone(), description]
    };
    let named = |target: &&Target| target.name.is_some() || target.is_default;
    let rows: Vec<_> = targets.iter().filter(named).map(row).collect();
    table(["TARGET", "BASE", "DESCRIPTION"], &rows)
}

#[cfg(test)]
mod tests {
    use super::checked;
    use super::outline;
    use super::targets;
    use crate::dockerfile;
    use crate::dockerfile::Options;
    use crate::dockerfile::Outline;
    use crate::dockerfile::Request;
    use crate::dockerfile::Span;
    use crate::dockerfile::Target;
    use crate::oci::Platform;

    #[test]
    fn that_there_are_no_warnings_is_not_said_of_what_was_not_checked() {
        let told = |text: &str| {
            let options = Options::plain(Platform::new("linux", "amd64", None));
            let found = dockerfile::check(text, &options, &|_| None);
            checked(&found, "Dockerfile", text)
        };
        assert_eq!(told("FROM bb\n"), "no warnings found\n");
        assert_eq!(told("FROM bb\nRUNN x\n"), "");
        assert!(told("FROM bb as b\nRUNN x\n").ends_with("1 warning found\n"));
    }

    #[test]
    fn an_outline_has_only_the_tables_it_needs() {
        let secret = |name: &str, required| Request {
            name: name.to_owned(),
            required,
            span: Span::default(),
        };
        let found = Outline {
            name: "final".to_owned(),
            secrets: vec![secret("token", true), secret("other", false)],
            ..Outline::default()
        };
        let expected = "TARGET:        final\n\nSECRET   REQUIRED\ntoken    true\nother\n";
        assert_eq!(outline(&found), expected);
        assert_eq!(outline(&Outline::default()), "");
    }

    #[test]
    fn a_stage_without_a_name_is_a_target_only_as_the_default() {
        let target = |name: Option<&str>, is_default| Target {
            name: name.map(str::to_owned),
            description: None,
            is_default,
            base: "scratch".to_owned(),
            platform: None,
            span: Span::default(),
        };
        let found = [
            target(None, false),
            target(Some("a"), false),
            target(None, true),
        ];
        let expected =
            "TARGET      BASE      DESCRIPTION\na           scratch\n(default)   scratch\n";
        assert_eq!(targets(&found), expected);
    }
}
