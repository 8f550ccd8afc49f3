//! `rbuild prune` and `rbuild du`.

use std::time::Duration;
use std::time::SystemTime;

use serde_json::json;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::progress;
use super::report;
use super::rootless;
use super::table::Format;
use super::table::FormatFlag;
use super::table::table;
use super::value;
use crate::manage;
use crate::manage::Forget;

/// What `rbuild prune` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild prune                    what neither an image nor the cache needs
  rbuild prune --unused-for 7d    and what no build has used for a week
  rbuild prune --all              and the whole cache, cache mounts too; images stay

Beside a build that runs, what it uses stays, and so do all cache mounts.")]
pub(super) struct PruneArguments {
    /// Forget the results of earlier builds, too.
    #[arg(short, long)]
    pub all: bool,
    /// Forget the results of earlier builds that were not used for so long, as in 90m, 12h or 7d.
    #[arg(long, value_name = "TIME", value_parser = value::duration, conflicts_with = "all")]
    pub unused_for: Option<Duration>,
}

/// Removes what nothing needs, and what is to be forgotten.
pub(super) fn prune(
    arguments: &PruneArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    if rootless::may_be_needed(home, environment)? {
        // Files of other users can only be removed by their root.
        return Err(rootless::enter(home, environment));
    }
    let forget = match arguments.unused_for {
        _ if arguments.all => Forget::Everything,
        Some(time) => Forget::Unused(time),
        None => Forget::Nothing,
    };
    let since_1970 = Duration::from_nanos(u64::try_from(environment.now_ns).unwrap_or(0));
    let now = SystemTime::UNIX_EPOCH + since_1970;
    let freed = manage::prune(&home.root(environment), forget, now, report::waits)?;
    print::line(&format!(
        "freed {}: {} cached results, {} snapshots, {} files",
        progress::bytes(freed.size_bytes),
        freed.records,
        freed.snapshots,
        freed.files
    ))
}

/// What `rbuild du` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild du
  rbuild du --format json | jq -s 'map(.size_bytes) | add'")]
pub(super) struct UsageArguments {
    #[command(flatten)]
    format: FormatFlag,
}

/// Tells what takes how much space.
pub(super) fn usage(
    arguments: &UsageArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    if rootless::may_be_needed(home, environment)? {
        return Err(rootless::enter(home, environment));
    }
    let usage = manage::usage(&home.root(environment))?;
    let blobs = ("blobs".to_owned(), usage.blobs.size_bytes);
    let lines = std::iter::once(blobs).chain(usage.folders);
    match arguments.format.format {
        Format::Json => {
            for (kind, size_bytes) in lines {
                let mut line = json!({ "kind": kind, "size_bytes": size_bytes });
                if kind == "blobs" {
                    line["reclaimable_bytes"] = usage.blobs.reclaimable_bytes.into();
                }
                print::line(&line.to_string())?;
            }
            Ok(())
        }
        Format::Table => {
            let rows: Vec<[String; 3]> = lines
                .map(|(kind, size)| {
                    let reclaimable = match kind.as_str() {
                        "blobs" => progress::bytes(usage.blobs.reclaimable_bytes),
                        _ => String::new(),
                    };
                    [kind, progress::bytes(size), reclaimable]
                })
                .collect();
            print::text(&table(["KIND", "SIZE", "RECLAIMABLE"], &rows))
        }
    }
}
