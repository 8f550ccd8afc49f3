//! `EXPOSE`.

use std::net::IpAddr;

use serde_json::Value;

use crate::dockerfile::Error;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::check::Finding;
use crate::dockerfile::instruction::Expose;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::cursor::ENTRY_BYTES;
use crate::dockerfile::lower::golang;

/// Adds the ports to the config, each of a range on its own.
pub(super) fn expose(cursor: &mut Cursor<'_, '_, '_>, expose: &Expose) -> Result<(), Error> {
    let mut ports = Vec::new();
    let mut texts = Vec::new();
    for word in &expose.ports {
        texts.extend(cursor.split(word)?.into_iter().map(|text| (word, text)));
    }
    for (word, text) in texts {
        check_form(cursor, &text);
        let parsed = parse(&text)
            .map_err(|reason| cursor.error_at(word.span, PlanProblem::Port { text, reason }))?;
        let span = cursor.step.span();
        cursor.shared.charge(parsed.len() * ENTRY_BYTES, span)?;
        ports.extend(parsed);
    }
    cursor.record(format!("EXPOSE {}", golang::list(&ports)));
    let exposed = &mut cursor.state.config.config.exposed_ports;
    let nothing = || Value::Object(serde_json::Map::new());
    exposed.extend(ports.into_iter().map(|port| (port, nothing())));
    Ok(())
}

/// Notes what is understood but should be written otherwise.
fn check_form(cursor: &mut Cursor<'_, '_, '_>, text: &str) {
    let (before, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
    let lower = protocol.to_lowercase();
    if port.is_empty() || !matches!(lower.as_str(), "" | "tcp" | "udp" | "sctp") {
        return;
    }
    if protocol != lower {
        cursor.find(Finding::ExposeProtoCasing { port: text });
    }
    // An address or a host's port, either of which may be left empty.
    if !matches!(before, "" | ":") {
        cursor.find(Finding::ExposeInvalidFormat { port: text });
    }
}

/// Reads `[[ip:]host:]port[-port][/protocol]`; what stands before the container's port is checked
/// and forgotten.
fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut parts = text.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or_default();
    let address = parts.next().unwrap_or_default();
    let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
    if port.is_empty() {
        return Err("the number is missing".to_owned());
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        _ => return Err(format!("there is no protocol `{protocol}`")),
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if !address.is_empty() && bare.unwrap_or(address).parse::<IpAddr>().is_err() {
        return Err(format!("`{address}` is not an IP address"));
    }
    let (first, last) = range(port)?;
    if !host.is_empty() {
        let (host_first, host_last) = range(host)?;
        if last != first && last - first != host_last - host_first {
            return Err("the ranges are not equally long".to_owned());
        }
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.parse().ok().filter(|_| digits);
        parsed.ok_or_else(|| format!("`{text}` is not a number up to 65535"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err("the range ends before it begins".to_owned());
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_ports_and_ranges() {
        for (text, expected) in [
            ("80", &["80/tcp"] as &[_]),
            ("53/UDP", &["53/udp"]),
            ("8000-8002/sctp", &["8000/sctp", "8001/sctp", "8002/sctp"]),
            ("80/", &["80/tcp"]),
            ("127.0.0.1:1:2", &["2/tcp"]),
            ("[::1]:8000-8001:80", &["80/tcp"]),
            ("::1:1:2", &["2/tcp"]),
            (":80", &["80/tcp"]),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_port() {
        for text in [
            "", "/tcp", "80/icmp", "65536", "+80", "-1", "2-1", "1-2-3", "x", "1:x:2", "x:1",
            "1-3:1-2",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
