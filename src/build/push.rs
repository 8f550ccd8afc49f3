//! To registries: layers while the build goes on, and the image when it is made.

use std::collections::BTreeMap;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::build::Error;
use crate::build::Request;
use crate::build::local::Local;
use crate::build::plan::BuildPlan;
use crate::export::Target;
use crate::oci::ImageSet;
use crate::oci::Layer;
use crate::oci::Reference;
use crate::oci::media_type;
use crate::progress::Step;
use crate::remote;
use crate::remote::Client;
use crate::remote::Destination;

/// Says whether the image is to be pushed anywhere.
pub(super) fn is_wanted(request: &Request) -> bool {
    request.outputs.contains(&Target::Registry) && !request.tags.is_empty()
}

/// Sends layers as they come, until no more can come. What goes wrong is left to the push of the
/// image, which tries again and tells; a build that fails has sent layers that no name leads to.
pub(super) async fn send_ahead(
    client: Client,
    to: Vec<Destination>,
    mut layers: UnboundedReceiver<Layer>,
    step: Step,
) {
    let mut sending = JoinSet::new();
    loop {
        tokio::select! {
            layer = layers.recv() => match layer {
                None => break,
                Some(layer) if media_type::is_foreign_layer(&layer.blob.media_type) => {}
                Some(layer) => for destination in &to {
                    let (client, step) = (client.clone(), step.clone());
                    let (blob, destination) = (layer.blob.clone(), destination.clone());
                    sending.spawn(async move {
                        remote::push_blob(&client, &blob, &destination, &step).await
                    });
                },
            },
            Some(Err(_) | Ok(Err(_))) = sending.join_next() => return,
        }
    }
    sending.join_all().await;
}

/// Gives where the image goes. The layers of bases are mounted from where they came from, if that
/// is the same registry.
pub(super) fn destinations(request: &Request, plan: &BuildPlan) -> Vec<Destination> {
    let mut sources = BTreeMap::new();
    for base in plan.bases() {
        let layers = base.layers.iter();
        sources.extend(layers.filter_map(|layer| Some((layer.blob.digest, base.source.clone()?))));
    }
    let destination = |name: &Reference| Destination {
        name: name.clone(),
        sources: sources.clone(),
    };
    request.tags.iter().map(destination).collect()
}

/// Pushes the image under each of its names.
pub(super) fn push(
    request: &Request,
    local: &Local,
    (plan, image): (&BuildPlan, &ImageSet),
    step: &Step,
) -> Result<(), Error> {
    if request.tags.is_empty() {
        return Err(Error::PushWithoutName);
    }
    for destination in destinations(request, plan) {
        let pushed = remote::push(&local.client, image.root(), &destination, step);
        let error = |source| Error::Push {
            name: destination.name.to_string(),
            source,
        };
        local.wait(pushed)?.map_err(error)?;
    }
    Ok(())
}
