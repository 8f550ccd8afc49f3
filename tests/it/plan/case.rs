//! What a case asks for besides its Dockerfile: `options.toml`, if it has one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rbuild::dockerfile::Base;
use rbuild::dockerfile::BaseSource;
use rbuild::dockerfile::NamedContext;
use rbuild::dockerfile::Options;
use rbuild::dockerfile::Wanted;
use rbuild::oci::Descriptor;
use rbuild::oci::DiffId;
use rbuild::oci::Digest;
use rbuild::oci::ImageConfig;
use rbuild::oci::Layer;
use rbuild::oci::media_type;

/// The options of a case.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Case {
    target: Option<String>,
    platform: Option<String>,
    build_args: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    /// `docker-image://…`, `dir` or a URL, by name.
    contexts: BTreeMap<String, String>,
    no_cache_filter: Vec<String>,
    is_insecure_allowed: bool,
    ignore: Vec<String>,
    /// Image configs by the name that the Dockerfile has; others hold a `PATH` alone.
    bases: BTreeMap<String, toml::Value>,
}

impl Case {
    /// Reads the options of the case in `folder`.
    pub(super) fn read(folder: &Path) -> Self {
        match fs::read_to_string(folder.join("options.toml")) {
            Ok(text) => toml::from_str(&text).unwrap(),
            Err(_) => Self::default(),
        }
    }

    /// Asks for a stage and nothing else.
    pub(super) fn for_target(target: &str) -> Self {
        Self {
            target: Some(target.to_owned()),
            ..Self::default()
        }
    }

    /// Gives the options as `lower` takes them.
    pub(super) fn options(&self) -> Options {
        let mut options = Options::plain("linux/amd64".parse().unwrap());
        options.target.clone_from(&self.target);
        options.platform = self.platform.as_ref().map(|text| text.parse().unwrap());
        options.build_args.clone_from(&self.build_args);
        options.labels.clone_from(&self.labels);
        options.no_cache_filter.clone_from(&self.no_cache_filter);
        options.is_insecure_allowed = self.is_insecure_allowed;
        options.ignore.clone_from(&self.ignore);
        for (name, value) in &self.contexts {
            let context = match value.strip_prefix("docker-image://") {
                Some("scratch") => NamedContext::Scratch,
                Some(image) => NamedContext::Image(image.parse().unwrap()),
                None if value == "dir" => NamedContext::Directory {
                    ignore: vec!["*.log".to_owned()],
                },
                None => NamedContext::Url(value.clone()),
            };
            options.named_contexts.insert(name.clone(), context);
        }
        options
    }

    /// Gives an image as if a registry had it.
    pub(super) fn base(&self, wanted: &Wanted) -> Base {
        let config = match self.bases.get(&wanted.name) {
            Some(value) => serde_json::to_value(value).unwrap(),
            None => serde_json::json!({ "config": { "Env": ["PATH=/bin"] } }),
        };
        let mut config = ImageConfig::parse(config.to_string().as_bytes()).unwrap();
        config.os.clone_from(&wanted.platform.os);
        config
            .architecture
            .clone_from(&wanted.platform.architecture);
        config.variant.clone_from(&wanted.platform.variant);
        let BaseSource::Reference(reference) = &wanted.source else {
            panic!("no case has a layout");
        };
        let content = format!("{reference} for {}", wanted.platform);
        let layer = Layer {
            diff_id: DiffId(Digest::of(content.as_bytes())),
            blob: Descriptor::of(media_type::LAYER_GZIP, content.as_bytes()),
        };
        Base {
            name: reference.to_string(),
            source: Some(reference.clone()),
            layers: vec![layer],
            config,
        }
    }
}
