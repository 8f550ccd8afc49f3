//! `rbuild tag` and `rbuild rmi`.

use super::arguments::Home;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::request::new_name;
use crate::manage;
use crate::manage::Force;

/// What `rbuild tag` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild tag app:v1 ghcr.io/me/app:v1    a name to push it under
  rbuild tag 3f2a app:good               by the beginning of the id")]
pub(super) struct TagArguments {
    /// The image: a name, a digest, or the beginning of an id.
    pub image: String,
    /// The new names.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// Gives an image more names.
pub(super) fn tag(
    arguments: &TagArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let names = arguments.names.iter().map(|text| new_name(text));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    for name in names {
        manage::tag(&home.root(environment), &arguments.image, &name)?;
    }
    Ok(())
}

/// What `rbuild rmi` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild rmi app:v1               forget a name
  rbuild rmi -f 3f2a              forget all names of an image
  rbuild rmi app:v1 && rbuild prune")]
pub(super) struct RemoveArguments {
    /// The images: names, digests, or beginnings of ids.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Forget an image with several names by its id, and say nothing of images there are not.
    #[arg(short, long)]
    pub force: bool,
}

/// Forgets images; the space comes back when the store is pruned.
pub(super) fn remove(
    arguments: &RemoveArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let force = if arguments.force {
        Force::Yes
    } else {
        Force::No
    };
    for image in &arguments.images {
        match manage::remove(&home.root(environment), image, force) {
            Ok((names, digest)) => {
                for name in &names {
                    print::line(&format!("Untagged: {}", name.familiar()))?;
                }
                if names.is_empty() {
                    print::line(&format!("Unnamed: {digest}"))?;
                }
            }
            Err(manage::Error::NotFound { .. }) if arguments.force => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
