//! [`Caller`]: who asks, as far as the server cares.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use sordino_model::ModelHash;

use crate::problem::{Kind, Problem};
use crate::state::App;

/// The SHA-256 of a token. The token itself is not kept.
pub(crate) type Owner = ModelHash;

/// Fewest and most characters of a token.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// Who asks. It is never logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Who owns the keys that it names, where it brought a token.
    owner: Option<Owner>,
    /// Whose share of queue and budget is used.
    pub(crate) share: Share,
}

/// Whose share of queue and budget a request uses: that of a token where the operator gave them out, of a network address elsewhere. A
/// token that its client made up costs nothing, so it gives no share of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    Token(Owner),
    Address(IpAddr),
}

impl Share {
    /// The share of an address. Whoever has one IPv6 address has all of its /64.
    fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 => v4,
        })
    }

    /// The share as bytes, for a hash.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Token(owner) => [b"token".as_slice(), &owner.0].concat(),
            Self::Address(address) => format!("address {address}").into_bytes(),
        }
    }
}

impl Caller {
    /// Who owns the keys that it names.
    pub(crate) fn owner(&self) -> Result<Owner, Problem> {
        self.owner.ok_or_else(|| {
            Kind::TokenMissing.because(
                "keys belong to a token; send `Authorization: Bearer TOKEN`, with 32 random bytes in hexadecimal that you keep \
                 to yourself",
            )
        })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = parts.headers.get(header::AUTHORIZATION).map(|value| {
            let token = value.to_str().ok().and_then(|text| text.split_once(' '));
            let token =
                token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
            token
                .filter(|token| LENGTHS.contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()))
                .map(|token| ModelHash::of(token.as_bytes()))
                .ok_or_else(|| {
                    Kind::TokenUnknown
                        .because("the Authorization header holds no bearer token of 16 to 256 visible ASCII characters")
                })
        });
        let owner = token.transpose()?;
        let issued = app.admits(owner).await?;
        let share = match owner {
            Some(owner) if issued => Share::Token(owner),
            _ => Share::of(address(parts, app.settings.behind_proxy)),
        };
        Ok(Self { owner, share })
    }
}

/// The client's address: that of the connection, or what the proxy in front of the server says of it.
fn address(parts: &Parts, behind_proxy: bool) -> IpAddr {
    let forwarded = || {
        // The last entry is the one that our own proxy wrote; those before it are the client's word.
        let last = parts.headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    };
    let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let connected = connected.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    behind_proxy.then(forwarded).flatten().unwrap_or(connected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_an_address_or_all_that_its_owner_has() {
        let share = |text: &str| Share::of(text.parse().expect("an address"));
        assert_eq!(share("2001:db8::1"), share("2001:db8::ffff:1"));
        assert_ne!(share("2001:db8::1"), share("2001:db8:0:1::1"));
        assert_ne!(share("192.0.2.1"), share("192.0.2.2"));
        assert_eq!(share("::ffff:192.0.2.1"), share("192.0.2.1"), "an IPv4 address has two spellings");
    }
}
