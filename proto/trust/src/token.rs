//! One-time tokens: how somebody without a certificate becomes a member.
//!
//! `RFT1.ROLE.NAME.EXPIRY.SECRET.PIN`: the role (`node` or `controller`) and name that it is good
//! for, until when (seconds since 1970), 128 random bits, and the SHA-256 of the authority's
//! certificate. The pin lets the holder know the cluster; the rest lets the cluster know the
//! holder. Names may hold dots; the other parts never do.
//!
//! The controllers keep the digest alone, so that nobody can join with what stands in the log.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use ring::digest;
use subtle::ConstantTimeEq as _;

use crate::{
    authority::Anchor,
    hex,
    identity::{Subject, check_name, random},
    secret::Secret,
};

const VERSION: &str = "RFT1";

/// As what one may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRole {
    Node,
    Controller,
}

impl JoinRole {
    const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Controller => "controller",
        }
    }

    /// Whom a member that joins in this role under `name` is certified as.
    #[must_use]
    pub fn subject(self, name: &str) -> Subject {
        let name = name.to_owned();
        match self {
            Self::Node => Subject::Node { name },
            Self::Controller => Subject::Controller { name },
        }
    }
}

/// Why a text is no token, or none can be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("a join token begins with {VERSION} and has six parts")]
    Form,
    #[error("the token is for an unknown role")]
    Role,
    #[error("the token's name is not one of a controller or node")]
    Name,
    #[error("the token's expiry is not a time")]
    Expiry,
    #[error("the token is incomplete or was altered")]
    Digits,
}

/// A one-time token. Its `Debug` hides the secret; [`Token::text`] reveals it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    role: JoinRole,
    name: String,
    expires: u64,
    secret: [u8; 16],
    pin: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name, expires, secret: _, pin: _ } = self;
        write!(f, "Token({} {name}, expires {expires})", role.word())
    }
}

impl Token {
    /// A fresh token, good until `expires` (rounded down to a second).
    pub fn issue(
        role: JoinRole,
        name: &str,
        expires: SystemTime,
        anchor: &Anchor,
    ) -> Result<Self, TokenError> {
        check_name(name).map_err(|_| TokenError::Name)?;
        let since = expires.duration_since(SystemTime::UNIX_EPOCH);
        let expires = since.map_err(|_| TokenError::Expiry)?.as_secs();
        Ok(Self { role, name: name.to_owned(), expires, secret: random(), pin: anchor.pin() })
    }

    #[must_use]
    pub fn role(&self) -> JoinRole {
        self.role
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first instant at which the token is worth nothing.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.expires)
    }

    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now >= self.expires()
    }

    /// The SHA-256 of the authority's certificate. See [`crate::tls::joining`].
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        self.pin
    }

    /// Whether `anchor` is the authority that this token names.
    #[must_use]
    pub fn names(&self, anchor: &Anchor) -> bool {
        self.pin == anchor.pin()
    }

    /// The token as its holder types it.
    #[must_use]
    pub fn text(&self) -> Secret {
        let Self { role, name, expires, secret, pin } = self;
        let (role, secret, pin) = (role.word(), hex::encode(secret), hex::encode(pin));
        Secret::new(format!("{VERSION}.{role}.{name}.{expires}.{secret}.{pin}"))
    }

    /// What the controllers keep: the SHA-256 of the whole text, so that no part can be altered.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let digest = digest::digest(&digest::SHA256, self.text().reveal().as_bytes());
        Digest(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut front = text.trim().splitn(3, '.');
        let mut part = || front.next().ok_or(TokenError::Form);
        let (version, role, rest) = (part()?, part()?, part()?);
        let mut back = rest.rsplitn(4, '.');
        let mut part = || back.next().ok_or(TokenError::Form);
        let (pin, secret, expiry, name) = (part()?, part()?, part()?, part()?);
        if version != VERSION {
            return Err(TokenError::Form);
        }
        let role = [JoinRole::Node, JoinRole::Controller].into_iter().find(|r| r.word() == role);
        let expires: u64 = expiry.parse().map_err(|_| TokenError::Expiry)?;
        let last = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires));
        if expires.to_string() != expiry || last.is_none() {
            return Err(TokenError::Expiry);
        }
        check_name(name).map_err(|_| TokenError::Name)?;
        Ok(Self {
            role: role.ok_or(TokenError::Role)?,
            name: name.to_owned(),
            expires,
            secret: hex::decode(secret).ok_or(TokenError::Digits)?,
            pin: hex::decode(pin).ok_or(TokenError::Digits)?,
        })
    }
}

/// What the controllers keep of a token. Equality takes the same time wherever it fails.
#[derive(Clone, Copy, Debug)]
pub struct Digest(pub [u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authority::Authority;

    fn token() -> impl Strategy<Value = Token> {
        let role = prop_oneof![Just(JoinRole::Node), Just(JoinRole::Controller)];
        let name =
            "[A-Za-z0-9._-]{1,20}".prop_filter("a dot is no name", |n| n != "." && n != "..");
        let parts = (role, name, 0..1u64 << 40, any::<[u8; 16]>(), any::<[u8; 32]>());
        parts.prop_map(|(role, name, expires, secret, pin)| Token {
            role,
            name,
            expires,
            secret,
            pin,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_token_survives_its_text(token in token()) {
            let text = token.text();
            prop_assert_eq!(text.reveal().parse(), Ok(token.clone()));
            prop_assert_eq!(format!("  {}\n", text.reveal()).parse(), Ok(token));
        }

        #[test]
        fn each_altered_byte_shows(
            token in token(),
            at in any::<prop::sample::Index>(),
            by in 1..128u8,
        ) {
            let mut bytes = token.text().reveal().as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = (bytes[at] + by) % 128;
            let text = String::from_utf8(bytes).expect("ASCII stays ASCII");
            if let Ok(altered) = text.parse::<Token>() {
                prop_assert_ne!(altered.digest(), token.digest());
            }
        }

        #[test]
        fn no_text_panics(text in "(RFT1\\.)?\\PC{0,80}") {
            let _ = text.parse::<Token>();
        }
    }

    #[test]
    fn hostile_texts_are_refused() {
        let (secret, pin) = ("0".repeat(32), "0".repeat(64));
        let good = format!("RFT1.node.n1.5.{secret}.{pin}");
        assert!(good.parse::<Token>().is_ok());
        let texts = [
            String::new(),
            "RFT1".to_owned(),
            "......".to_owned(),
            good.replace("RFT1", "RFT2"),
            good.replace("node", "user"),
            good.replace("n1", ""),
            good.replace("n1", "a/b"),
            good.replace("n1", ".."),
            good.replace(".5.", ".05."),
            good.replace(".5.", ".-5."),
            good.replace(".5.", &format!(".{}.", u64::MAX)),
            good.replace(".5.", ".18446744073709551616."),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
        ];
        for text in texts {
            assert!(text.parse::<Token>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_token_ends_and_names_its_authority() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let anchor = || Authority::generate(now).expect("an authority").anchor().clone();
        let (ours, theirs) = (anchor(), anchor());
        let expires = now + Duration::from_secs(60);
        let issue = || Token::issue(JoinRole::Node, "n1.example.com", expires, &ours);
        let token = issue().expect("a token");
        assert!(!token.is_expired(expires - Duration::from_secs(1)));
        assert!(token.is_expired(expires));
        assert!(token.names(&ours) && !token.names(&theirs));
        assert_ne!(token.digest(), issue().expect("a token").digest(), "secrets are random");
        assert!(!format!("{token:?}").contains(&hex::encode(&token.secret)));
    }
}
