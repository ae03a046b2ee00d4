//! Where a request really came from: the connection's address, or what a trusted proxy says of it.

use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;

use crate::routes::Peer;

/// A caller's address; an IPv4 one that an IPv6 socket took in its own form is one again.
pub(super) fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// The networks whose forwarding headers are believed.
pub(super) struct Proxies<'a>(pub(super) &'a [ipnet::IpNet]);

impl Proxies<'_> {
    /// The caller behind a connection from `peer`. Of `X-Forwarded-For` the last address that is no proxy itself counts:
    /// what stands before it was written by the caller. Behind a hop that is no address nobody is believed either.
    pub(super) fn believe(&self, peer: SocketAddr, secure: bool, headers: &HeaderMap) -> Peer {
        if !self.trusts(peer.ip()) {
            return Peer { address: peer, secure };
        }
        let said = headers.get_all("x-forwarded-for").iter().rev();
        let mut caller = peer.ip();
        for hop in said.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')) {
            let Some(address) = address(hop) else { break };
            caller = address;
            if !self.trusts(address) {
                break;
            }
        }
        let secure = headers.get("x-forwarded-proto").map_or(secure, |proto| proto.as_bytes() == b"https");
        Peer { address: SocketAddr::new(caller, peer.port()), secure }
    }

    /// Whether what this address says of callers is believed.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The address of a hop, which some proxies write with its port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse().map(|address: SocketAddr| address.ip())).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn believed(peer: &str, forwarded: &str) -> String {
        let networks = ["10.0.0.0/8".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().expect("a header"));
        headers.insert("x-forwarded-proto", "https".parse().expect("a header"));
        let peer = Proxies(&networks).believe(peer.parse().expect("an address"), false, &headers);
        format!("{} {}", peer.ip(), peer.secure)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(believed("10.0.0.1:1", "198.51.100.7"), "198.51.100.7 true");
        assert_eq!(believed("192.0.2.1:1", "198.51.100.7"), "192.0.2.1 false");
    }

    #[test]
    fn an_ipv4_proxy_is_trusted_behind_an_ipv6_socket_too() {
        let peer = canonical("[::ffff:10.0.0.1]:1".parse().expect("an address"));
        assert_eq!(believed(&peer.to_string(), "198.51.100.7"), "198.51.100.7 true");
    }

    #[test]
    fn what_the_caller_wrote_itself_is_not_believed() {
        assert_eq!(believed("10.0.0.1:1", "203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7 true");
    }

    #[test]
    fn a_hop_is_read_with_its_port_and_without() {
        for (hop, address) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ] {
            assert_eq!(believed("10.0.0.1:1", &format!("203.0.113.9, {hop}")), format!("{address} true"));
        }
    }

    #[test]
    fn nobody_is_believed_behind_a_hop_that_is_no_address() {
        for unread in ["unknown", "198.51.100.7:x", "_hidden", "", "[198.51.100.7"] {
            assert_eq!(believed("10.0.0.1:1", &format!("203.0.113.9, {unread}")), "10.0.0.1 true");
            assert_eq!(believed("10.0.0.1:1", &format!("203.0.113.9, {unread}, 10.0.0.2")), "10.0.0.2 true");
        }
    }

    #[test]
    fn of_proxies_alone_the_first_one_counts() {
        assert_eq!(believed("10.0.0.1:1", "10.0.0.3, 10.0.0.2"), "10.0.0.3 true");
    }
}
