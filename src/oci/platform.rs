//! For which machine an image is: operating system, architecture, variant.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::Arch;
use oci_spec::image::Os;
use serde::Deserialize;
use serde::Serialize;

use crate::oci::Error;

/// How far away an architecture is that a machine runs besides its own: behind all variants.
const FORERUNNER: u32 = 100;

/// An operating system and architecture (image-spec, index, "platform").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// A `GOARCH` value: `amd64`, `arm64`, …
    pub architecture: String,
    /// A `GOOS` value: `linux`.
    pub os: String,
    /// The version of the operating system; Windows images have one.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The variant of the processor: `v7` for `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Gives the platform rbuild was compiled for.
    #[must_use]
    pub fn host() -> Self {
        Self::new(
            &Os::default().to_string(),
            &Arch::default().to_string(),
            None,
        )
    }

    /// Makes a platform from `GOOS`, `GOARCH` and variant, normalised as containerd does: `arm64/v8`
    /// is `arm64`, `x86_64` is `amd64`, `arm` is `arm/v7`.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, variant) = normalise(&architecture.to_lowercase(), variant);
        Self {
            architecture,
            os: os.to_lowercase(),
            os_version: None,
            os_features: Vec::new(),
            variant,
        }
    }

    /// Says how well an image for `self` serves a machine that asks for `wanted`: none if it does
    /// not, else smaller is better.
    ///
    /// A machine runs older variants of its architecture, as containerd's `platforms.Only` has it:
    /// `arm/v7` takes `arm/v6`, `amd64/v3` takes plain `amd64`. Where there is none, it takes the
    /// architecture before: `arm64` takes `arm/v8` and older, `amd64` takes `386`.
    #[must_use]
    pub fn distance(&self, wanted: &Self) -> Option<u32> {
        let own = Self::new(&self.os, &self.architecture, self.variant.as_deref());
        if own.os != wanted.os {
            return None;
        }
        match (wanted.architecture.as_str(), own.architecture.as_str()) {
            (wanted_architecture, architecture) if wanted_architecture == architecture => {
                match (own.level(), wanted.level()) {
                    (Some(has), Some(most)) => most.checked_sub(has),
                    _ => (own.variant == wanted.variant).then_some(0),
                }
            }
            ("arm64", "arm") => Some(FORERUNNER + wanted.level()?.checked_sub(own.level()?)?),
            ("amd64", "386") => Some(FORERUNNER),
            _ => None,
        }
    }

    /// Gives the number of the variant; of none, that of the first there was.
    fn level(&self) -> Option<u32> {
        match &self.variant {
            None => Some(if self.architecture == "arm64" { 8 } else { 1 }),
            Some(text) => text.strip_prefix('v')?.split('.').next()?.parse().ok(),
        }
    }
}

fn normalise(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let variant = variant
        .filter(|text| !text.is_empty())
        .map(str::to_lowercase);
    let (architecture, variant) = match (architecture, variant.as_deref()) {
        ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
        ("x86_64" | "x86-64" | "amd64", Some(_)) => ("amd64", variant),
        ("i386" | "i486" | "i586" | "i686" | "386", _) => ("386", None),
        ("aarch64" | "arm64", None | Some("8" | "v8" | "v8.0")) => ("arm64", None),
        ("aarch64" | "arm64", Some(_)) => ("arm64", variant),
        ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7".to_owned())),
        ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6".to_owned())),
        ("arm", Some("5")) => ("arm", Some("v5".to_owned())),
        ("arm", Some("8")) => ("arm", Some("v8".to_owned())),
        _ => (architecture, variant),
    };
    (architecture.to_owned(), variant)
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os/architecture[/variant]`, a bare `architecture`, a bare `os`, or `local`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error::Platform {
            text: text.to_owned(),
        };
        let legal = |part: &&str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(legal) {
            return Err(error());
        }
        match parts.as_slice() {
            ["local"] => Ok(Self::host()),
            [os] if ["linux", "windows", "darwin", "freebsd"]
                .contains(&os.to_lowercase().as_str()) =>
            {
                Ok(Self::new(os, &Self::host().architecture, None))
            }
            [architecture] => {
                let platform = Self::new("linux", architecture, None);
                let known = [
                    "amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64",
                ];
                known
                    .contains(&platform.architecture.as_str())
                    .then_some(platform)
                    .ok_or_else(error)
            }
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(out, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn normalises() {
        for (given, printed) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("aarch64", "linux/arm64"),
            ("Linux/AMD64/v1", "linux/amd64"),
        ] {
            assert_eq!(platform(given).to_string(), printed, "{given}");
        }
        for text in ["", "linux/", "a/b/c/d", "linux/am d64", "nonsense"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn prefers_the_nearest_older_variant() {
        let wanted = platform("linux/arm/v7");
        assert_eq!(platform("linux/arm/v7").distance(&wanted), Some(0));
        assert_eq!(platform("linux/arm/v6").distance(&wanted), Some(1));
        assert_eq!(platform("linux/arm/v8").distance(&wanted), None);
        assert_eq!(platform("linux/amd64").distance(&wanted), None);
        let v3 = platform("linux/amd64/v3");
        assert_eq!(platform("linux/amd64").distance(&v3), Some(2));
    }

    #[test]
    fn takes_a_forerunner_where_there_is_nothing_else() {
        let wanted = platform("linux/arm64");
        let nearest = ["arm64", "arm/v8", "arm/v7", "arm/v6", "arm/v5"];
        let distances = nearest.map(|text| platform(&format!("linux/{text}")).distance(&wanted));
        assert!(distances.iter().all(Option::is_some), "{distances:?}");
        assert!(distances.is_sorted(), "{distances:?}");
        let amd64 = platform("linux/amd64");
        assert!(platform("linux/386").distance(&amd64) > platform("linux/amd64").distance(&amd64));
        assert_eq!(amd64.distance(&platform("linux/386")), None);
        assert_eq!(
            platform("linux/arm64").distance(&platform("linux/arm/v7")),
            None
        );
    }
}
