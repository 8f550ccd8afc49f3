//! The images: config, history and manifest, as BuildKit writes them.

use jiff::Timestamp;

use crate::build::Error;
use crate::build::Request;
use crate::build::local::Local;
use crate::build::plan::BuildPlan;
use crate::build::plan::ImagePlan;
use crate::oci::History;
use crate::oci::Image;
use crate::oci::ImageSet;
use crate::snapshot::SnapshotId;
use crate::solver::ChangeSet;
use crate::solver::Solved;

/// Makes the images of a solved plan, and their index if one is asked for: same inputs, same bytes.
/// Nothing is stored.
pub(super) fn assemble(
    request: &Request,
    local: &Local,
    (plan, solved): (&BuildPlan, &[Solved]),
) -> Result<ImageSet, Error> {
    let pairs = plan.images.iter().zip(solved);
    let images = pairs.map(|(image, solved)| {
        let made = assemble_one(request, local, (image, plan.epoch), solved)?;
        Ok((image.platform.clone(), made))
    });
    let mut images = images.collect::<Result<Vec<_>, Error>>()?;
    match (request.has_index, images.pop()) {
        (false, Some((platform, image))) if images.is_empty() => {
            Ok(ImageSet::of_one(platform, image))
        }
        (_, last) => {
            images.extend(last);
            Ok(ImageSet::with_index(images))
        }
    }
}

fn assemble_one(
    request: &Request,
    local: &Local,
    (plan, epoch): (&ImagePlan, Option<i64>),
    solved: &Solved,
) -> Result<Image, Error> {
    let mut config = plan.config.clone();
    let mut made = match epoch {
        Some(_) => Vec::new(),
        None => layer_times(request, local, solved)?,
    }
    .into_iter();
    for entry in &plan.history {
        let mut entry = entry.clone();
        entry.created = match epoch {
            Some(epoch) => Some(seconds(epoch)),
            None if entry.empty_layer => None,
            None => made.next(),
        };
        config.history.push(entry);
    }
    fill_times(&mut config.history);
    let last = config
        .history
        .iter()
        .rev()
        .find_map(|entry| entry.created.clone());
    config.created = last.or_else(|| Some(nanoseconds(request.now_ns)));
    Ok(Image::assemble(config, solved.layers.clone()))
}

/// Gives when each change set of the build was made. It is part of the image, so a build that finds
/// everything in the cache makes the same image again.
fn layer_times(request: &Request, local: &Local, solved: &Solved) -> Result<Vec<String>, Error> {
    let made = solved
        .output
        .chain()
        .iter()
        .filter_map(|change_set| match change_set {
            ChangeSet::Made(id) => Some(id),
            ChangeSet::Layer(_) => None,
        });
    let time = |id: &SnapshotId| match local.snapshots.created(id) {
        Ok(created) => Ok(stamp(created.seconds, created.nanoseconds)),
        Err(crate::snapshot::Error::Missing { .. }) => Ok(nanoseconds(request.now_ns)),
        Err(source) => Err(Error::Snapshots { source }),
    };
    made.map(time).collect()
}

/// Gives entries without a time that of the layer before them; those before the first new layer
/// get the time of that one, not of the base.
fn fill_times(history: &mut [History]) {
    let mut created = None;
    let mut is_missing = false;
    for entry in history.iter() {
        match &entry.created {
            Some(time) => {
                created = Some(time.clone());
                if is_missing {
                    break;
                }
            }
            None => is_missing = true,
        }
    }
    is_missing = false;
    for entry in history {
        match &entry.created {
            Some(time) if is_missing => created = Some(time.clone()),
            Some(_) => {}
            None => {
                is_missing = true;
                entry.created.clone_from(&created);
            }
        }
    }
}

fn seconds(epoch: i64) -> String {
    stamp(epoch, 0)
}

fn nanoseconds(now: i128) -> String {
    Timestamp::from_nanosecond(now)
        .unwrap_or_default()
        .to_string()
}

/// RFC 3339. Times that no calendar has are taken for 1970.
fn stamp(seconds: i64, nanoseconds: u32) -> String {
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or_default();
    Timestamp::new(seconds, nanoseconds)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::fill_times;
    use super::stamp;
    use crate::oci::History;

    fn filled(times: &[Option<&str>]) -> Vec<Option<String>> {
        let entry = |time: &Option<&str>| History {
            created: time.map(str::to_owned),
            ..History::default()
        };
        let mut history: Vec<History> = times.iter().map(entry).collect();
        fill_times(&mut history);
        history.into_iter().map(|entry| entry.created).collect()
    }

    #[test]
    fn metadata_takes_the_time_of_its_layer() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            filled(&[Some("base"), None, Some("new"), None]),
            [some("base"), some("new"), some("new"), some("new")]
        );
        assert_eq!(
            filled(&[Some("base"), None, None]),
            [some("base"), some("base"), some("base")]
        );
        assert_eq!(filled(&[None, None]), [None, None]);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(stamp(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(stamp(1_700_000_000, 5_000_000), "2023-11-14T22:13:20.005Z");
        assert_eq!(stamp(i64::MAX, 0), "1970-01-01T00:00:00Z");
    }
}
