//! Where a request really came from: the connection's address, or what a trusted proxy says of it.

use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;

use crate::routes::Peer;

/// The networks whose forwarding headers are believed.
pub(super) struct Proxies<'a>(pub(super) &'a [ipnet::IpNet]);

impl Proxies<'_> {
    /// The caller behind a connection from `peer`. Of `X-Forwarded-For` the last address that is no proxy itself counts:
    /// what stands before it was written by the caller.
    pub(super) fn believe(&self, peer: SocketAddr, secure: bool, headers: &HeaderMap) -> Peer {
        if !self.trusts(peer.ip()) {
            return Peer { address: peer, secure };
        }
        let said = headers.get_all("x-forwarded-for");
        let hops: Vec<IpAddr> = said
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|hop| hop.trim().parse().ok())
            .collect();
        let caller = hops.iter().rev().find(|hop| !self.trusts(**hop)).or(hops.first());
        let secure = headers.get("x-forwarded-proto").map_or(secure, |proto| proto.as_bytes() == b"https");
        Peer { address: SocketAddr::new(caller.copied().unwrap_or(peer.ip()), peer.port()), secure }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
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
    fn what_the_caller_wrote_itself_is_not_believed() {
        assert_eq!(believed("10.0.0.1:1", "203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7 true");
    }
}
