//! What an answer that is no upgrade means to people, and whether a gateway gave it or something before it.

use http::{
    HeaderMap,
    header::{self, HeaderName},
};
use oriel_proto::SUBPROTOCOL;

/// Every failure that a gateway tells has this media type.
const PROBLEM: &str = "application/problem+json";

/// What this answer means, and what helps.
pub(super) fn meaning(status: u16, headers: &HeaderMap) -> &'static str {
    let has = |name: HeaderName, part: &str| {
        let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.any(|value| value.contains(part))
    };
    match status {
        300..=399 => "redirects are not followed; configure the address itself",
        404 => "nothing is there; is the address a gateway's, and does a proxy before it pass everything on?",
        _ if !has(header::CONTENT_TYPE, PROBLEM) => between(status),
        401 if !has(header::WWW_AUTHENTICATE, "error=") => {
            "no token came with the request; a proxy before the gateway must pass Authorization on"
        }
        401 => "it does not know this agent's token; enrol again with a new code",
        403 => "this agent was revoked; enrol again with a new code",
        426 if has(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) => {
            "no WebSocket upgrade came with the request; a proxy before the gateway must pass Upgrade, Connection and \
             Sec-WebSocket-Protocol on, over HTTP/1.1"
        }
        426 => "upgrade the agent",
        429 => "too many attempts",
        503 => "it is stopping or full",
        _ => "unexpected",
    }
}

/// What the answer of a proxy means.
const fn between(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => {
            "a proxy before the gateway refuses this device; it must ask for no login of its own"
        }
        502..=504 => "a proxy is there, and does not get through to the gateway",
        _ => "what answered is no gateway, or a proxy that stands before it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn means(status: u16, headers: &[(HeaderName, &'static str)], part: &str) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let why = meaning(status, &headers);
        assert!(why.contains(part), "{part:?} is not in {why:?}");
    }

    #[test]
    fn a_proxy_that_drops_the_upgrade_is_told_from_an_agent_that_is_too_old() {
        let problem = (header::CONTENT_TYPE, PROBLEM);
        means(426, &[problem.clone(), (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)], "no WebSocket upgrade");
        means(426, &[problem, (header::SEC_WEBSOCKET_PROTOCOL, "oriel.v2")], "upgrade the agent");
    }

    #[test]
    fn a_proxy_that_drops_the_token_is_told_from_a_token_that_is_unknown() {
        let problem = (header::CONTENT_TYPE, PROBLEM);
        means(401, &[problem.clone(), (header::WWW_AUTHENTICATE, "Bearer")], "pass Authorization on");
        let wrong = (header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
        means(401, &[problem, wrong], "enrol again");
    }

    #[test]
    fn what_a_proxy_says_by_itself_is_not_taken_for_the_gateway_s_word() {
        let page = [(header::CONTENT_TYPE, "text/html")];
        for status in [401, 403, 407] {
            means(status, &page, "no login of its own");
        }
        for status in [502, 503, 504] {
            means(status, &page, "does not get through to the gateway");
        }
        means(400, &page, "is no gateway");
        means(503, &[(header::CONTENT_TYPE, PROBLEM)], "stopping or full");
    }
}
