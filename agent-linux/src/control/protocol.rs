//! What is said over the sockets: a line of JSON for each request, and one for the reply to it.
//!
//! Every line bears the version. Fields and words are only ever added, and readers ignore fields that they do not know; what would
//! mean something else than before raises the version.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ClientSeen, LockedOut, OpenGrant, Status, Why};

/// Of what is said here.
pub const VERSION: u32 = 1;

/// Bytes of a request, with the end of its line. The longest one names a service and an address.
pub(super) const MAX_REQUEST: usize = 4096;

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// How is the gate?
    Status,
    /// What is open?
    Grants,
    /// Who is locked out?
    Lockouts,
    /// Who is enrolled, and what has come of their knocks?
    Clients,
    /// Why did the last knocks of a client, or from an address, fail?
    Why {
        whom: String,
    },
    /// Close what is meant by a grant's number, an address, a prefix or a client's name.
    Revoke {
        what: String,
    },
    RevokeAll,
    /// Let somebody in again who is locked out: an address or a client's name.
    Unlock {
        whom: String,
    },
    UnlockAll,
    /// Open a service to an address, without a knock.
    Rescue {
        service: String,
        address: IpAddr,
        seconds: u32,
    },
    /// What configuration is in force?
    InForce,
    /// Read the configuration again, and go over to it if it is good.
    Reload,
}

/// What a caller must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To look.
    Reading,
    /// To change something.
    Changing,
}

impl Request {
    /// What a caller must be allowed for it.
    pub fn needs(&self) -> Need {
        match self {
            Self::Status | Self::Grants | Self::Lockouts | Self::Clients | Self::Why { .. } => Need::Reading,
            Self::Revoke { .. } | Self::RevokeAll | Self::Unlock { .. } | Self::UnlockAll => Need::Changing,
            Self::Rescue { .. } | Self::Reload => Need::Changing,
            // It may name what only root may know.
            Self::InForce => Need::Changing,
        }
    }
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    Status(Box<Status>),
    Grants {
        grants: Vec<OpenGrant>,
    },
    Lockouts {
        lockouts: Vec<LockedOut>,
    },
    Clients {
        clients: Vec<ClientSeen>,
    },
    Why(Box<Why>),
    /// These were closed.
    Revoked {
        grants: Vec<OpenGrant>,
    },
    /// These are ended.
    Unlocked {
        lockouts: Vec<LockedOut>,
    },
    /// This is open.
    Rescued {
        grant: OpenGrant,
    },
    InForce {
        /// The file that it was read from.
        path: PathBuf,
        text: String,
        /// What the agent was started with, if that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<String>,
        /// The numbers of services, and how many grants are open for each.
        grants: Vec<(u16, usize)>,
    },
    /// The configuration is in force; a line for each thing that is otherwise now.
    Reloaded {
        changes: Vec<String>,
    },
    /// The configuration is not used, and the one before stays: all that is wrong with it, each with its remedy.
    NotReloaded {
        problems: Vec<String>,
    },
    /// Nothing was done. For people: what is wrong, and after a semicolon the remedy.
    Refused {
        why: String,
    },
}

impl Reply {
    /// Nothing was done.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    version: u32,
    #[serde(flatten)]
    said: T,
}

/// Why a line means nothing here.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error(
        "it speaks version {0} and this program version {VERSION}; use the `knockgated` that the agent was started from"
    )]
    Version(u32),
    #[error("not understood: {0}; a line is one JSON object with \"version\" and \"request\"")]
    Unreadable(#[from] serde_json::Error),
}

/// A line, with its end.
pub(super) fn encode(said: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Line { version: VERSION, said })?;
    line.push(b'\n');
    Ok(line)
}

/// What a line says.
pub(super) fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, LineError> {
    let Versioned { version } = serde_json::from_slice(line)?;
    if version != VERSION {
        return Err(LineError::Version(version));
    }
    let Line { said, .. } = serde_json::from_slice(line)?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const GOLDEN: &str = include_str!("golden.jsonl");

    /// A reply of every kind has a line.
    fn line_of(reply: &Reply) -> usize {
        match reply {
            Reply::Status(_) => 0,
            Reply::Grants { .. } => 1,
            Reply::Lockouts { .. } => 2,
            Reply::Clients { .. } => 3,
            Reply::Why(_) => 4,
            Reply::Revoked { .. } => 5,
            Reply::Unlocked { .. } => 6,
            Reply::Rescued { .. } => 7,
            Reply::InForce { .. } => 8,
            Reply::Reloaded { .. } => 9,
            Reply::NotReloaded { .. } => 10,
            Reply::Refused { .. } => 11,
        }
    }

    #[test]
    fn no_field_of_any_reply_goes_away_or_gets_another_name() {
        assert_eq!(GOLDEN.lines().count(), 12);
        for (at, line) in GOLDEN.lines().enumerate() {
            let reply: Reply = decode(line.as_bytes()).unwrap();
            let said: Value = serde_json::from_slice(&encode(&reply).unwrap()).unwrap();
            assert_eq!(said, serde_json::from_str::<Value>(line).unwrap());
            assert_eq!(line_of(&reply), at, "{line}");
        }
    }

    #[test]
    fn a_configuration_in_force_comes_over_as_it_is() {
        // An older agent does not say what it was started with.
        for started in [None, Some("x = \"0\"\n".to_owned())] {
            let reply = Reply::InForce {
                path: "/etc/a".into(),
                text: "x = \"1\"\n".to_owned(),
                started,
                grants: vec![(1, 2), (300, 1)],
            };
            assert_eq!(decode::<Reply>(&encode(&reply).unwrap()).unwrap(), reply);
        }
        let older: &[u8] = br#"{"version":1,"reply":"in-force","path":"/etc/a","text":"","grants":[]}"#;
        assert!(matches!(decode::<Reply>(older), Ok(Reply::InForce { started: None, .. })));
    }

    #[test]
    fn a_line_is_read_as_it_was_meant_or_refused_with_the_reason() {
        let line = encode(&Request::Status).unwrap();
        assert_eq!(line, b"{\"version\":1,\"request\":\"status\"}\n");
        #[rustfmt::skip]
        let cases: [(u8, &[u8], Result<Request, &str>); 7] = [
            (1, &line, Ok(Request::Status)),
            (2, b"{\"request\":\"status\",\"version\":1,\"later\":[]}", Ok(Request::Status)),
            (3, b"{\"version\":2,\"request\":\"something else\"}", Err("it speaks version 2")),
            (4, b"{\"version\":1,\"request\":\"dance\"}", Err("not understood: unknown variant `dance`")),
            (5, b"{\"request\":\"status\"}", Err("not understood: missing field `version`")),
            (6, b"\xff\xfe", Err("not understood")),
            (7, b"", Err("not understood")),
        ];
        for (case, line, expected) in cases {
            match (decode::<Request>(line), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "case {case}"),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().starts_with(expected), "case {case}: {error}")
                }
                (read, _) => panic!("case {case}: {read:?}"),
            }
        }
    }
}
