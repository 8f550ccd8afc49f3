//! `--add-host`.

use std::net::IpAddr;

/// Reads `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets.
pub(in crate::cli) fn extra_host(text: &str) -> Result<(String, String), String> {
    let split = text
        .find('=')
        .or_else(|| text.find(':'))
        .ok_or("expected NAME:ADDRESS")?;
    let (name, address) = (&text[..split], &text[split + 1..]);
    if name.is_empty() || name.chars().any(char::is_whitespace) {
        return Err("expected NAME:ADDRESS".to_owned());
    }
    if address == "host-gateway" {
        return Err(
            "host-gateway is not supported: a command has a network of its own, from which \
             nothing leads to this machine's loopback interface; give an address of this machine \
             that the service listens on, or use --network=host, where it is at 127.0.0.1"
                .to_owned(),
        );
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    match bare.parse::<IpAddr>() {
        Ok(parsed) => Ok((name.to_owned(), parsed.to_string())),
        Err(_) => Err(format!("{address:?} is not an IP address")),
    }
}

#[cfg(test)]
mod tests {
    use super::extra_host;

    #[test]
    fn both_signs_and_both_families_are_read() {
        let pair = |name: &str, address: &str| Ok((name.to_owned(), address.to_owned()));
        assert_eq!(extra_host("db:10.0.0.2"), pair("db", "10.0.0.2"));
        assert_eq!(extra_host("db=10.0.0.2"), pair("db", "10.0.0.2"));
        assert_eq!(extra_host("db:::1"), pair("db", "::1"));
        assert_eq!(extra_host("db:[fe80::1]"), pair("db", "fe80::1"));
        assert_eq!(extra_host("db=fe80::1"), pair("db", "fe80::1"));
    }

    #[test]
    fn the_hosts_gateway_is_refused_with_what_to_do_instead() {
        let refused = extra_host("db:host-gateway").unwrap_err();
        assert!(refused.contains("a network of its own"), "{refused}");
        assert!(refused.contains("--network=host"), "{refused}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["db", ":1.2.3.4", "db:", "db:elsewhere", "a b:1.1.1.1"] {
            assert!(extra_host(text).is_err(), "{text:?} was accepted");
        }
    }
}
