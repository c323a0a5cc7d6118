//! The egress guard: where deliveries may go. A tenant chooses the address of a webhook, so without a guard it could make Pulse call
//! what only Pulse can reach: its own admin ports, the cloud's metadata service, the neighbours in the private network.
//!
//! The guard looks twice: at the URL before anything is sent ([`Guard::check_url`], as literal addresses are never resolved), and at
//! every address that a name resolves to, before one of these and no other is connected to ([`resolver`]). There is no gap between the
//! look and the connection in which a name could come to mean something else.

mod address;
pub(crate) mod resolver;

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

pub(crate) use address::Class;

/// What an operator has decided about destinations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    allow_http: bool,
    allowed_ranges: Vec<IpNet>,
}

/// Why a destination is refused. The texts reach the tenant, so they name the setting that decides but never the address that a name
/// resolved to: a tenant could map a private network with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the URL must start with https:// (plain http needs PULSE_DELIVERY_ALLOW_HTTP)")]
    Scheme,
    #[error("the URL must not hold a user name or password; send credentials in a header instead")]
    Credentials,
    #[error("the URL names no host")]
    NoHost,
    #[error("the destination has {0}, which deliveries may not reach unless PULSE_DELIVERY_ALLOWED_RANGES says so")]
    Address(Class),
}

impl Guard {
    /// https only unless `allow_http`; addresses within `allowed_ranges` are reachable whatever their kind.
    pub(crate) fn new(allow_http: bool, allowed_ranges: Vec<IpNet>) -> Self {
        Self { allow_http, allowed_ranges }
    }

    /// Judges what a URL itself says. A host that is a name passes here and is judged when it is resolved.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        if url.scheme() != "https" && !(self.allow_http && url.scheme() == "http") {
            return Err(Refusal::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        match url.host() {
            None => Err(Refusal::NoHost),
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(ip)) => self.check_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.check_address(ip.into()),
        }
    }

    /// Judges an address that would be connected to.
    pub(crate) fn check_address(&self, ip: IpAddr) -> Result<(), Refusal> {
        let ip = ip.to_canonical();
        if self.allowed_ranges.iter().any(|range| range.contains(&ip)) {
            return Ok(());
        }
        match address::forbidden(ip) {
            None => Ok(()),
            // Behind a translator the embedded address is the one that is reached, so a range that allows it allows this too.
            Some(_) if address::embedded_v4(ip).is_some_and(|v4| self.check_address(v4.into()).is_ok()) => Ok(()),
            Some(class) => Err(Refusal::Address(class)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(guard: &Guard, url: &str) -> Result<(), Refusal> {
        guard.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn public_destinations_on_any_port_are_reachable() {
        for url in [
            "https://example.com/hook",
            "https://example.com:8443/hook?x=y",
            "https://93.184.215.14/",
            "https://[2606:4700:4700::1111]/",
            "https://[::ffff:8.8.8.8]/",
            "https://[64:ff9b::808:808]/",
        ] {
            assert_eq!(judge(&Guard::default(), url), Ok(()), "{url}");
        }
    }

    #[test]
    fn the_same_forbidden_address_is_seen_in_every_spelling() {
        let guard = Guard::new(true, Vec::new());
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0x7F.0x0.0x0.0x1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.０.０.１",
            "127。0。0。1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[2002:7f00:1::]",
            "[64:ff9b::127.0.0.1]",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}:8080/hook");
                assert!(matches!(judge(&guard, &url), Err(Refusal::Address(_))), "{url}: {:?}", judge(&guard, &url));
            }
        }
    }

    #[test]
    fn only_https_unless_plain_http_is_allowed() {
        assert_eq!(judge(&Guard::default(), "http://example.com/"), Err(Refusal::Scheme));
        assert_eq!(judge(&Guard::new(true, Vec::new()), "http://example.com/"), Ok(()));
        for url in ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "data:text/plain,x"] {
            assert_eq!(judge(&Guard::new(true, Vec::new()), url), Err(Refusal::Scheme), "{url}");
        }
    }

    #[test]
    fn credentials_in_the_url_are_refused() {
        for url in
            ["https://user@example.com/", "https://user:pass@example.com/", "https://:pass@example.com/", "https://example.com@10.0.0.1/"]
        {
            assert_eq!(judge(&Guard::default(), url), Err(Refusal::Credentials), "{url}");
        }
    }

    #[test]
    fn allowed_ranges_open_what_they_name_and_nothing_else() {
        let guard = Guard::new(true, vec!["127.0.0.0/8".parse().unwrap(), "fd12:3456::/32".parse().unwrap()]);
        for url in ["http://127.0.0.1:9/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[fd12:3456::1]/"] {
            assert_eq!(judge(&guard, url), Ok(()), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://[::1]/", "http://[fd00:ec2::254]/", "http://169.254.169.254/"] {
            assert!(matches!(judge(&guard, url), Err(Refusal::Address(_))), "{url}");
        }
    }
}
