//! `rbuild inspect` and `rbuild history`.

use serde_json::Value;
use serde_json::json;

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::progress;
use super::table::Format;
use super::table::FormatFlag;
use super::table::table;
use super::when;
use crate::manage;
use crate::manage::Found;
use crate::manage::Which;
use crate::oci::History;
use crate::oci::Platform;

/// How much of an instruction is shown in a table.
const CREATED_BY_COLUMNS: usize = 60;

/// What `rbuild inspect` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild inspect app:v1 | jq '.[0].Config.Env'
  rbuild inspect app:v1 | jq -r '.[0].Digest'")]
pub(super) struct InspectArguments {
    /// The images: names, digests, or beginnings of ids.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// The platform, of an image for several.
    #[arg(long)]
    pub platform: Option<Platform>,
}

/// Prints what there is to know about images, as JSON in docker's shape.
pub(super) fn inspect(
    arguments: &InspectArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let root = home.root(environment);
    let host = Platform::host();
    let which = which(arguments.platform.as_ref(), &host);
    let found = arguments
        .images
        .iter()
        .map(|image| Ok(shape(&manage::find(&root, image, which)?)))
        .collect::<Result<Vec<Value>, Error>>()?;
    print::line(&serde_json::to_string_pretty(&found).expect("JSON values have string keys"))
}

/// Says which image of several is meant: that for the platform asked for, else this machine's or
/// what there is.
fn which<'a>(asked: Option<&'a Platform>, host: &'a Platform) -> Which<'a> {
    match asked {
        Some(asked) => Which::Only(asked),
        None => Which::Preferably(host),
    }
}

fn shape(found: &Found) -> Value {
    let config = &found.image.config;
    let names: Vec<String> = found.names.iter().map(|name| name.familiar()).collect();
    let digests = found.names.iter().map(|name| {
        let digest = found.root.digest;
        format!("{}@{digest}", name.repository())
    });
    let listed = found.listed.iter().filter(|one| one.image.is_some());
    let listed = listed.filter_map(|one| one.entry.platform.as_ref());
    let listed: Vec<String> = listed.map(Platform::to_string).collect();
    json!({
        "Id": found.image.manifest.config.digest.to_string(),
        "RepoTags": names,
        "RepoDigests": digests.collect::<Vec<_>>(),
        "Digest": found.image.descriptor.digest.to_string(),
        "MediaType": found.image.descriptor.media_type,
        "Platforms": listed,
        "Created": config.created,
        "Author": config.author.clone().unwrap_or_default(),
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": manage::size_bytes(&found.image),
        "Config": config.config,
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Layers": found.image.manifest.layers,
        "History": config.history,
    })
}

/// What `rbuild history` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild history app:v1             which instruction made which layer, the last first
  rbuild history --no-trunc app:v1  with the whole text of each")]
pub(super) struct HistoryArguments {
    /// The image: a name, a digest, or the beginning of an id.
    pub image: String,
    #[command(flatten)]
    format: FormatFlag,
    /// The platform, of an image for several.
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Print instructions in full.
    #[arg(long)]
    pub no_trunc: bool,
}

/// One line of the list: an entry of the history with the size of its layer.
struct Line<'a> {
    entry: &'a History,
    layer: Option<&'a crate::oci::Descriptor>,
}

/// Lists how an image came to be.
pub(super) fn history(
    arguments: &HistoryArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let root = home.root(environment);
    let host = Platform::host();
    let which = which(arguments.platform.as_ref(), &host);
    let found = manage::find(&root, &arguments.image, which)?;
    let lines = lines(&found);
    match arguments.format.format {
        Format::Json => lines
            .iter()
            .try_for_each(|line| print::line(&line.json().to_string())),
        Format::Table => {
            let row = |line: &Line<'_>| line.row(arguments.no_trunc, environment.now_ns);
            let rows: Vec<_> = lines.iter().map(row).collect();
            print::text(&table(["CREATED", "CREATED BY", "SIZE", "COMMENT"], &rows))
        }
    }
}

/// Pairs the history with the layers, the last first.
fn lines(found: &Found) -> Vec<Line<'_>> {
    let mut layers = found.image.manifest.layers.iter();
    let mut lines: Vec<Line<'_>> = found
        .image
        .config
        .history
        .iter()
        .map(|entry| Line {
            entry,
            layer: if entry.empty_layer {
                None
            } else {
                layers.next()
            },
        })
        .collect();
    lines.reverse();
    lines
}

impl Line<'_> {
    fn row(&self, in_full: bool, now_ns: i128) -> [String; 4] {
        let created = self.entry.created.as_deref().unwrap_or_default();
        let by = one_line(self.entry.created_by.as_deref().unwrap_or_default());
        [
            when::ago(created, now_ns),
            if in_full { by } else { shortened(&by) },
            progress::bytes(self.layer.map_or(0, |layer| layer.size)),
            self.entry.comment.clone().unwrap_or_default(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "created": self.entry.created,
            "created_by": self.entry.created_by,
            "comment": self.entry.comment,
            "empty_layer": self.entry.empty_layer,
            "digest": self.layer.map(|layer| layer.digest.to_string()),
            "size_bytes": self.layer.map_or(0, |layer| layer.size),
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= CREATED_BY_COLUMNS {
        return text.to_owned();
    }
    let short: String = text.chars().take(CREATED_BY_COLUMNS - 1).collect();
    format!("{short}…")
}
