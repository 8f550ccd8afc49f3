//! `rbuild doctor`: what this machine allows, and what would allow more.

use std::path::Path;

use serde_json::json;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::rootless;
use super::table::Format;
use super::table::FormatFlag;
use super::table::table;
use crate::manage;
use crate::progress::in_one_line;
use crate::sandbox;
use crate::sandbox::Choice;
use crate::sandbox::Finding;
use crate::sandbox::Ladder;
use crate::sandbox::Level;

/// What `rbuild doctor` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild doctor
  rbuild doctor --format json | jq -r .isolation
  rbuild doctor --isolation=chroot       is that possible here?")]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    format: FormatFlag,
}

/// Tells how commands are kept apart from this machine, and why; also if the process could not
/// become root of a user namespace, which is what has begun.
pub(super) fn run(
    arguments: &DoctorArguments,
    home: &Home,
    environment: &Environment,
    begun: Result<(), sandbox::Error>,
) -> Result<(), Error> {
    let root = home.root(environment);
    let mut refused = begun.err();
    if refused.is_none() && rootless::may_be_needed(home, environment)? {
        // What a user may do shows only there. Where there is no way there, the rest is told.
        refused = Some(rootless::try_to_enter(home, environment));
    }
    let wishes = home.wishes(environment)?;
    let mut findings = sandbox::examine(&root, wishes.isolation, refused.as_ref());
    let ladder = Ladder::new(wishes, &root);
    let choice = match refused {
        Some(refused) => Err(refused),
        None => ladder.choose(),
    };
    if let Ok(choice) = &choice
        && environment.is_root
        && !findings.iter().any(Finding::forbids_all)
    {
        findings.push(of_snapshots(&root, choice.mounts));
    }
    match arguments.format.format {
        Format::Json => {
            let answer = as_json(choice.as_ref().ok().copied(), &findings);
            print::line(&answer.to_string())?;
        }
        Format::Table => print::text(&as_text(choice.as_ref().ok().copied(), &findings))?,
    }
    match findings.into_iter().find(Finding::forbids_all) {
        Some(found) => Err(Error::NoStore { why: found.found }),
        None => choice.map(drop).map_err(Error::Doctor),
    }
}

/// Looks whether the files of earlier builds are of any use to this user.
fn of_snapshots(root: &Path, has_mounts: bool) -> Finding {
    let checked = manage::check_snapshots(root, has_mounts).map_err(Error::from);
    let unusable = checked.err().map(|error| {
        let remedy = error.hint().unwrap_or_default();
        (in_one_line(&error), remedy)
    });
    Finding::of_snapshots(unusable)
}

fn isolation(choice: &Choice) -> &'static str {
    match choice.level {
        Level::Namespace => "namespace",
        Level::Rootless => "rootless",
        Level::Chroot => "chroot",
    }
}

fn snapshotter(choice: &Choice) -> &'static str {
    match choice.mounts {
        true => "overlay",
        false => "copy",
    }
}

fn as_json(choice: Option<&Choice>, findings: &[Finding]) -> serde_json::Value {
    let findings = findings.iter().map(|finding| {
        json!({
            "name": finding.name,
            "ok": finding.is_good,
            "found": finding.found,
            "costs": finding.costs,
            "remedy": finding.remedy,
        })
    });
    json!({
        "isolation": choice.map(isolation),
        "snapshotter": choice.map(snapshotter),
        "because": choice.and_then(|choice| choice.because.as_deref()),
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn as_text(choice: Option<&Choice>, findings: &[Finding]) -> String {
    let mut text = String::new();
    if let Some(choice) = choice {
        let (isolation, snapshotter) = (isolation(choice), snapshotter(choice));
        text.push_str(&format!(
            "isolation    {isolation}\nsnapshotter  {snapshotter}\n"
        ));
        if let Some(because) = &choice.because {
            text.push_str(&format!("because      {because}\n"));
        }
        text.push('\n');
    }
    let rows: Vec<[String; 3]> = findings
        .iter()
        .map(|finding| {
            let sign = if finding.is_good { "yes" } else { "no" };
            [
                finding.name.to_owned(),
                sign.to_owned(),
                finding.found.clone(),
            ]
        })
        .collect();
    text.push_str(&table(["WHAT", "OK", "FOUND"], &rows));
    for finding in findings.iter().filter(|finding| !finding.is_good) {
        text.push_str(&format!(
            "\n{}: {}\n  to gain it: {}\n",
            finding.name, finding.costs, finding.remedy
        ));
    }
    text
}
