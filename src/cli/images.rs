//! `rbuild images`.

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
use crate::manage::Summary;
use crate::oci::Digest;
use crate::oci::Platform;
use crate::oci::Reference;

/// What `rbuild images` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild images                            all images, the newest last
  rbuild images debian                     those of one repository
  rbuild images --format json | jq -r .id  for programs")]
pub(super) struct ImagesArguments {
    /// Show only this image, or the images of this repository.
    pub name: Option<String>,
    #[command(flatten)]
    format: FormatFlag,
    /// Print ids only.
    #[arg(short, long)]
    pub quiet: bool,
    /// Print ids in full.
    #[arg(long)]
    pub no_trunc: bool,
}

/// Lists images.
pub(super) fn run(
    arguments: &ImagesArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let mut images = manage::list(&home.root(environment), &Platform::host())?;
    if let Some(wanted) = &arguments.name {
        images.retain(|image| is_wanted(image, wanted));
    }
    if arguments.quiet {
        for image in &images {
            print::line(&shown(&image.id, arguments.no_trunc))?;
        }
        return Ok(());
    }
    match arguments.format.format {
        Format::Json => images
            .iter()
            .try_for_each(|image| print::line(&json(image).to_string())),
        Format::Table => {
            let row = |image: &Summary| row(image, arguments.no_trunc, environment.now_ns);
            let rows: Vec<_> = images.iter().map(row).collect();
            let heading = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
            print::text(&table(heading, &rows))
        }
    }
}

/// A name with a tag means one image, a name without one means a repository.
fn is_wanted(image: &Summary, wanted: &str) -> bool {
    let (Some(name), Ok(wanted_name)) = (&image.name, wanted.parse::<Reference>()) else {
        return false;
    };
    let has_tag = wanted
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains([':', '@']));
    if has_tag {
        *name == wanted_name
    } else {
        name.repository() == wanted_name.repository()
    }
}

fn row(image: &Summary, in_full: bool, now_ns: i128) -> [String; 5] {
    let none = || "<none>".to_owned();
    let name = image.name.as_ref();
    let repository = name.map(repository);
    let tag = name.and_then(|name| name.tag().map(str::to_owned));
    let created = image.created.as_deref();
    [
        repository.unwrap_or_else(none),
        tag.unwrap_or_else(none),
        shown(&image.id, in_full),
        created.map_or_else(|| "N/A".to_owned(), |created| when::ago(created, now_ns)),
        progress::bytes(image.size_bytes),
    ]
}

/// The name without tag and digest, as a person writes it.
fn repository(name: &Reference) -> String {
    let text = name.familiar();
    let text = text.split('@').next().unwrap_or_default();
    match name.tag() {
        Some(tag) => text.trim_end_matches(tag).trim_end_matches(':').to_owned(),
        None => text.to_owned(),
    }
}

fn shown(id: &Digest, in_full: bool) -> String {
    if in_full {
        id.to_string()
    } else {
        id.hex()[..12].to_owned()
    }
}

fn json(image: &Summary) -> serde_json::Value {
    let name = image.name.as_ref();
    json!({
        "name": name.map(ToString::to_string),
        "repository": name.map(Reference::repository),
        "tag": name.and_then(Reference::tag),
        "id": image.id.to_string(),
        "digest": image.digest.to_string(),
        "created": image.created,
        "platform": image.platform,
        "size_bytes": image.size_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::Summary;
    use super::is_wanted;
    use super::row;
    use crate::oci::Digest;

    fn image(name: &str) -> Summary {
        Summary {
            name: Some(name.parse().unwrap()),
            digest: Digest::of(b"x"),
            id: Digest::of(b"y"),
            created: None,
            platform: None,
            size_bytes: 1500,
        }
    }

    #[test]
    fn names_are_shown_in_parts() {
        let parts = |name: &str| {
            let [repository, tag, ..] = row(&image(name), false, 0);
            (repository, tag)
        };
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(parts("debian"), pair("debian", "latest"));
        assert_eq!(parts("a/b:b"), pair("a/b", "b"));
        assert_eq!(parts("127.0.0.1:5000/x:v1"), pair("127.0.0.1:5000/x", "v1"));
    }

    #[test]
    fn a_repository_is_all_its_tags() {
        assert!(is_wanted(&image("debian:11"), "debian"));
        assert!(is_wanted(
            &image("debian:11"),
            "docker.io/library/debian:11"
        ));
        assert!(!is_wanted(&image("debian:11"), "debian:12"));
        assert!(!is_wanted(&image("debian:11"), "localhost:5000/debian"));
        assert!(!is_wanted(&image("debian:11"), "NOT A NAME"));
    }
}
