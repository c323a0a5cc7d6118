//! What kind of address this is: the special-purpose registries of IANA
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>) as one
//! table each.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address is no place for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Unspecified,
    Private,
    Shared,
    Loopback,
    LinkLocal,
    Multicast,
    Documentation,
    Benchmarking,
    Reserved,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Private => "a private address",
            Self::Shared => "a carrier's shared address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Documentation => "a documentation address",
            Self::Benchmarking => "a benchmarking address",
            Self::Reserved => "a reserved address",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// Everything that is not plain unicast of the public internet. Link-local holds the clouds' metadata service, 169.254.169.254.
const FORBIDDEN_V4: [(Ipv4Net, Class); 15] = [
    (v4(0, 0, 0, 0, 8), Class::Unspecified),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(100, 64, 0, 0, 10), Class::Shared),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 0, 0, 0, 24), Class::Reserved),
    (v4(192, 0, 2, 0, 24), Class::Documentation),
    (v4(192, 88, 99, 0, 24), Class::Reserved),
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v4(198, 18, 0, 0, 15), Class::Benchmarking),
    (v4(198, 51, 100, 0, 24), Class::Documentation),
    (v4(203, 0, 113, 0, 24), Class::Documentation),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v4(240, 0, 0, 0, 4), Class::Reserved),
];

/// The first match counts. Unique local holds the metadata service of one cloud, fd00:ec2::254. Site-local is deprecated, which does not
/// keep networks from using it. Teredo lies in 2001::/23.
const FORBIDDEN_V6: [(Ipv6Net, Class); 8] = [
    (v6(0xfc00, 0, 0, 7), Class::Private),
    (v6(0xfec0, 0, 0, 10), Class::Private),
    (v6(0xfe80, 0, 0, 10), Class::LinkLocal),
    (v6(0xff00, 0, 0, 8), Class::Multicast),
    (v6(0x2001, 0x2, 0, 48), Class::Benchmarking),
    (v6(0x2001, 0, 0, 23), Class::Reserved),
    (v6(0x2001, 0xdb8, 0, 32), Class::Documentation),
    (v6(0x3fff, 0, 0, 20), Class::Documentation),
];

/// The only part of IPv6 that is handed out for unicast of the public internet.
const GLOBAL_UNICAST_V6: Ipv6Net = v6(0x2000, 0, 0, 3);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
/// The well-known prefix of NAT64. A network's own prefix within 64:ff9b:1::/48 may hold the address anywhere, so that is never public.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// The kind of an address that is not public, none for one that is. An IPv6 address that stands for an IPv4 one is judged as that.
pub(crate) fn forbidden(ip: IpAddr) -> Option<Class> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => class_of(ip),
        IpAddr::V6(ip) => match embedded_v4(IpAddr::V6(ip)) {
            Some(inner) => class_of(inner),
            None => forbidden_v6(ip),
        },
    }
}

fn class_of(ip: Ipv4Addr) -> Option<Class> {
    FORBIDDEN_V4.iter().find(|(net, _)| net.contains(&ip)).map(|&(_, class)| class)
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<Class> {
    if ip.is_unspecified() {
        return Some(Class::Unspecified);
    }
    if ip.is_loopback() {
        return Some(Class::Loopback);
    }
    let listed = FORBIDDEN_V6.iter().find(|(net, _)| net.contains(&ip)).map(|&(_, class)| class);
    listed.or_else(|| (!GLOBAL_UNICAST_V6.contains(&ip)).then_some(Class::Reserved))
}

/// The IPv4 address that is reached through an IPv6 one: mapped, 6to4 and NAT64. The deprecated compatible form (`::10.0.0.1`) is not
/// among them: nothing routes it, so it is reserved whatever it holds.
pub(crate) fn embedded_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let o = ip.octets();
    if SIX_TO_FOUR.contains(&ip) {
        Some(Ipv4Addr::new(o[2], o[3], o[4], o[5]))
    } else if NAT64.contains(&ip) {
        Some(Ipv4Addr::new(o[12], o[13], o[14], o[15]))
    } else {
        ip.to_ipv4_mapped()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Option<Class> {
        forbidden(text.parse().unwrap())
    }

    #[test]
    fn each_special_range_is_known_from_its_first_to_its_last_address() {
        for (first, last, class) in [
            ("0.0.0.0", "0.255.255.255", Class::Unspecified),
            ("10.0.0.0", "10.255.255.255", Class::Private),
            ("100.64.0.0", "100.127.255.255", Class::Shared),
            ("127.0.0.0", "127.255.255.255", Class::Loopback),
            ("169.254.0.0", "169.254.255.255", Class::LinkLocal),
            ("172.16.0.0", "172.31.255.255", Class::Private),
            ("192.0.0.0", "192.0.0.255", Class::Reserved),
            ("192.0.2.0", "192.0.2.255", Class::Documentation),
            ("192.88.99.0", "192.88.99.255", Class::Reserved),
            ("192.168.0.0", "192.168.255.255", Class::Private),
            ("198.18.0.0", "198.19.255.255", Class::Benchmarking),
            ("198.51.100.0", "198.51.100.255", Class::Documentation),
            ("203.0.113.0", "203.0.113.255", Class::Documentation),
            ("224.0.0.0", "239.255.255.255", Class::Multicast),
            ("240.0.0.0", "255.255.255.255", Class::Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Private),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Private),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Multicast),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Class::Documentation),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Class::Benchmarking),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Documentation),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("100::", "100::ffff:ffff:ffff:ffff", Class::Reserved),
            ("::2", "::fffe:ffff:ffff", Class::Reserved),
        ] {
            assert_eq!((of(first), of(last)), (Some(class), Some(class)), "{first} to {last}");
        }
        assert_eq!((of("::"), of("::1")), (Some(Class::Unspecified), Some(Class::Loopback)));
        assert_eq!((of("169.254.169.254"), of("fd00:ec2::254")), (Some(Class::LinkLocal), Some(Class::Private)));
    }

    #[test]
    fn the_neighbours_of_special_ranges_are_public() {
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2003::",
            "2606:4700::1111",
            "3ffe::",
        ] {
            assert_eq!(of(public), None, "{public}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_every_wrapping(bits: u32, low: u64, subnet: u16) {
            let ip = Ipv4Addr::from_bits(bits);
            let expected = forbidden(ip.into());
            let [a, b, c, d] = ip.octets();
            let (high, lower) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let [s0, s1, s2, s3] = [48, 32, 16, 0].map(|shift| u16::try_from(low >> shift & 0xffff).unwrap());
            prop_assert_eq!(forbidden(ip.to_ipv6_mapped().into()), expected);
            prop_assert_eq!(forbidden(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, lower).into()), expected);
            prop_assert_eq!(forbidden(Ipv6Addr::new(0x2002, high, lower, subnet, s0, s1, s2, s3).into()), expected);
            prop_assert!(forbidden(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, lower).into()).is_some());
        }

        #[test]
        fn nothing_the_standard_library_calls_local_is_public(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            let local = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
                || ip.is_documentation() || ip.is_unspecified();
            prop_assert!(!local || forbidden(ip.into()).is_some());
        }

        #[test]
        fn outside_global_unicast_only_translators_lead_to_the_public(bits: u128) {
            let ip = Ipv6Addr::from_bits(bits);
            if forbidden(ip.into()).is_none() {
                prop_assert!(GLOBAL_UNICAST_V6.contains(&ip) || NAT64.contains(&ip) || ip.to_ipv4_mapped().is_some());
            }
        }
    }
}
