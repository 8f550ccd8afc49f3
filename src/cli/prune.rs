//! `rbuild prune` and `rbuild du`.

use serde_json::json;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::progress;
use super::table::Format;
use super::table::FormatFlag;
use super::table::table;
use crate::manage;
use crate::manage::Scope;

/// What `rbuild prune` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild prune         blobs of forgotten images, and what killed builds left
  rbuild prune --all   the build cache and the cache mounts too; images stay")]
pub(super) struct PruneArguments {
    /// The build cache and the cache mounts too: the next build runs everything.
    #[arg(short, long)]
    all: bool,
}

/// Removes what no image needs.
pub(super) fn prune(
    arguments: &PruneArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let scope = if arguments.all {
        Scope::Cache
    } else {
        Scope::Unused
    };
    let pruned = manage::prune(&home.root(environment), scope)?;
    print::line(&format!(
        "removed {} files, {}",
        pruned.files,
        progress::bytes(pruned.size_bytes)
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
