//! The flags of `rbuild run`.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::run::Port;
use crate::run::RunNetwork;
use crate::run::Volume;
use crate::sandbox::Access;

/// Reads `--volume PATH:TARGET[:ro|rw]`.
pub(in crate::cli) fn volume(text: &str) -> Result<Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, access) = match parts.as_slice() {
        [source, target] => (source, target, Access::ReadWrite),
        [source, target, "rw"] => (source, target, Access::ReadWrite),
        [source, target, "ro"] => (source, target, Access::ReadOnly),
        [_, _, other] => return Err(format!("expected ro or rw, found {other:?}")),
        _ => return Err("expected PATH:TARGET or PATH:TARGET:ro".to_owned()),
    };
    if !source.starts_with(['/', '.', '~']) {
        return Err(format!(
            "there are no named volumes; for the directory write ./{source}"
        ));
    }
    let source = PathBuf::from(source);
    Ok(Volume {
        source: std::path::absolute(&source).unwrap_or(source),
        target: inside(target)?,
        access,
    })
}

/// Reads a path inside, which must be absolute.
pub(in crate::cli) fn inside(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(format!("the path inside must be absolute, {text:?} is not"))
    }
}

/// Reads `--security-opt`, of which docker's `no-new-privileges` is known.
pub(in crate::cli) fn no_new_privileges(text: &str) -> Result<bool, String> {
    match text.replacen(':', "=", 1).as_str() {
        "no-new-privileges" | "no-new-privileges=true" => Ok(true),
        "no-new-privileges=false" => Ok(false),
        _ => Err("expected no-new-privileges".to_owned()),
    }
}

/// Reads `--network`.
pub(in crate::cli) fn network(text: &str) -> Result<RunNetwork, String> {
    match text {
        "default" => Ok(RunNetwork::Default),
        "host" => Ok(RunNetwork::Host),
        "none" => Ok(RunNetwork::Own),
        _ => Err("expected default, host or none".to_owned()),
    }
}

/// Reads `--publish [ADDRESS:]HOST:PORT[/tcp]`.
pub(in crate::cli) fn port(text: &str) -> Result<Port, String> {
    let ports = match text.split_once('/') {
        None | Some((_, "tcp")) => text.strip_suffix("/tcp").unwrap_or(text),
        Some((_, protocol)) => return Err(format!("TCP is carried, {protocol} is not")),
    };
    let number = |text: &str| match text.parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is no port")),
    };
    let (rest, inside) = ports
        .rsplit_once(':')
        .ok_or("expected HOST:PORT, for example 8080:80")?;
    let (address, host) = match rest.rsplit_once(':') {
        None => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), rest),
        Some((address, host)) => {
            let bare = address.trim_start_matches('[').trim_end_matches(']');
            let address = bare.parse();
            (
                address.map_err(|_| format!("{bare:?} is not an IP address"))?,
                host,
            )
        }
    };
    Ok(Port {
        address,
        host: number(host)?,
        inside: number(inside)?,
    })
}

/// Reads `--name`.
pub(in crate::cli) fn name(text: &str) -> Result<String, String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let begins_well = text.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if begins_well && text.len() <= 128 && text.chars().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("a name begins with a letter or digit and goes on with those, _, . and -".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::name;
    use super::port;
    use super::volume;
    use crate::sandbox::Access;

    #[test]
    fn volumes_are_paths() {
        let seen = volume("/a:/b:ro").unwrap();
        assert_eq!(seen.source, Path::new("/a"));
        assert_eq!(
            (seen.target.as_str(), seen.access),
            ("/b", Access::ReadOnly)
        );
        assert!(volume("./a:/b").unwrap().source.is_absolute());
        for text in ["a:/b", "/a", "/a:b", "/a:/b:rx", "/a:/b:ro:z", ""] {
            assert!(volume(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn ports_are_pairs() {
        let seen = port("8080:80").unwrap();
        assert_eq!((seen.host, seen.inside), (8080, 80));
        assert!(seen.address.is_unspecified());
        assert!(port("127.0.0.1:1:2/tcp").unwrap().address.is_loopback());
        assert!(port("[::1]:1:2").unwrap().address.is_ipv6());
        for text in ["80", "1:2/udp", "0:1", "x:1", "1:70000", "host:1:2", ""] {
            assert!(port(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn names_are_plain() {
        assert!(name("web-1").is_ok());
        for text in ["", "-x", "a/b", "..", "ä"] {
            assert!(name(text).is_err(), "{text:?} was accepted");
        }
    }
}
