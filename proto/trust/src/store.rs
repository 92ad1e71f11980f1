//! A member's pass: its credential, and where the controllers are, in one private file.
//!
//! Users, nodes and controllers keep theirs in the same form: three kinds of lines, and then the
//! member's certificate, the authority's (and others', while one takes another one's place), and
//! the private key in PEM. Other tools can read it too.
//!
//! ```text
//! rafter pass 1
//! cluster 00112233445566778899aabbccddeeff
//! controller ctl1 10.0.0.1:6817
//! -----BEGIN CERTIFICATE-----
//! ```

use std::path::Path;

use crate::{
    authority::{Anchor, AuthorityError},
    controllers::Address,
    credential::{Credential, CredentialError},
    file::{self, FileError},
    identity::{ClusterId, check_name},
    secret::Secret,
};

const FIRST_LINE: &str = "rafter pass 1";

/// Why a file holds no pass.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the file is not a pass that this version can read")]
    Version,
    #[error("line {0} of the pass can't be read")]
    Line(usize),
    #[error("the pass must hold certificates and a private key")]
    Blocks,
    #[error("the pass is of cluster {line}, but its authority of {anchor}")]
    OtherCluster { line: ClusterId, anchor: ClusterId },
    #[error("the authority in the pass")]
    Authority { source: AuthorityError },
    #[error("the credential in the pass")]
    Credential { source: CredentialError },
}

impl PassError {
    /// Whether there is simply no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(error) if error.is_missing())
    }
}

/// What a member carries.
#[derive(Clone, Debug)]
pub struct Pass {
    pub credential: Credential,
    pub controllers: Vec<Address>,
}

impl Pass {
    /// Reads a pass from a file that belongs to the caller and is closed to others.
    pub fn read(path: &Path) -> Result<Self, PassError> {
        Self::parse(&file::read_private(path)?)
    }

    /// Replaces the file at once, for its owner alone. The folder is made if need be.
    pub fn write(&self, path: &Path) -> Result<(), PassError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            file::private_folder(folder)?;
        }
        Ok(file::write(path, self.text().reveal(), file::PRIVATE)?)
    }

    fn text(&self) -> Secret {
        let cluster = self.credential.identity().cluster;
        let mut text = format!("{FIRST_LINE}\ncluster {cluster}\n");
        for Address { name, address } in &self.controllers {
            text.push_str(&format!("controller {name} {address}\n"));
        }
        text.push_str(&self.credential.certificate_pem());
        for authority in self.credential.trusted() {
            text.push_str(&authority.pem());
        }
        text.push_str(self.credential.key_pem().reveal());
        Secret::new(text)
    }

    fn parse(text: &str) -> Result<Self, PassError> {
        let (head, blocks) = match text.find("-----BEGIN ") {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let mut lines = head.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
            return Err(PassError::Version);
        }
        let (mut cluster, mut controllers) = (None, Vec::new());
        for (at, line) in lines {
            let unreadable = || PassError::Line(at + 1);
            match *line.split(' ').collect::<Vec<_>>() {
                ["cluster", id] if cluster.is_none() => {
                    cluster = Some(id.parse::<ClusterId>().map_err(|_| unreadable())?);
                }
                ["controller", name, address] if !address.is_empty() => {
                    check_name(name).map_err(|_| unreadable())?;
                    controllers.push(Address { name: name.into(), address: address.into() });
                }
                _ => return Err(unreadable()),
            }
        }
        let credential = parse_blocks(blocks)?;
        let (line, anchor) = (cluster.ok_or(PassError::Blocks)?, credential.identity().cluster);
        if line != anchor {
            return Err(PassError::OtherCluster { line, anchor });
        }
        Ok(Self { credential, controllers })
    }
}

fn parse_blocks(text: &str) -> Result<Credential, PassError> {
    let blocks = pem::parse_many(text).map_err(|_| PassError::Blocks)?;
    let [own, anchors @ .., key] = blocks.as_slice() else {
        return Err(PassError::Blocks);
    };
    let certificates = [own].into_iter().chain(anchors).all(|one| one.tag() == "CERTIFICATE");
    if !certificates || key.tag() != "PRIVATE KEY" || anchors.is_empty() {
        return Err(PassError::Blocks);
    }
    let anchors: Vec<_> = anchors
        .iter()
        .map(|anchor| Anchor::from_pem(&pem::encode(anchor)))
        .collect::<Result<_, _>>()
        .map_err(|source| PassError::Authority { source })?;
    let (signer, others) = anchors.split_first().ok_or(PassError::Blocks)?;
    Credential::from_pem(&pem::encode(own), &Secret::new(pem::encode(key)), signer.clone())
        .map(|credential| credential.trusting(others.to_vec()))
        .map_err(|source| PassError::Credential { source })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::{
        authority::{Authority, Validity},
        identity::{Identity, Subject},
    };

    fn pass() -> Pass {
        let now = SystemTime::now();
        let authority = Authority::generate(now).expect("an authority");
        let subject = Subject::User { uid: 1000, name: "jane".into() };
        let identity = Identity { cluster: authority.cluster(), subject };
        let validity = Validity::from_now(now, Duration::from_secs(60));
        let at = |name: &str, address: &str| Address { name: name.into(), address: address.into() };
        Pass {
            credential: authority.issue(&identity, validity, &[]).expect("a credential"),
            controllers: vec![at("ctl1", "127.0.0.1:6817"), at("ctl2", "[::1]:6817")],
        }
    }

    #[test]
    fn what_is_written_reads_back_and_is_private() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("rafter/pass");
        let pass = pass();
        pass.write(&path).expect("written");
        pass.write(&path).expect("and replaced");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let read = Pass::read(&path).expect("read");
        assert_eq!(read.controllers, pass.controllers);
        assert_eq!(read.credential.identity(), pass.credential.identity());
        assert_eq!(read.credential.serial(), pass.credential.serial());
        assert_eq!(read.text().reveal(), pass.text().reveal());
    }

    #[test]
    fn others_files_and_missing_ones_are_told_apart() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("pass");
        assert!(Pass::read(&path).expect_err("missing").is_missing());
        pass().write(&path).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let refused = Pass::read(&path).expect_err("open to others");
        assert!(matches!(refused, PassError::File(FileError::Exposed { .. })), "{refused:?}");
        assert!(!refused.is_missing());
    }

    #[test]
    fn damaged_passes_are_refused() {
        let pass = pass();
        let text = pass.text().reveal().to_owned();
        let foreign = super::tests::pass().text().reveal().to_owned();
        let cluster = pass.credential.identity().cluster.to_string();
        let other = ClusterId([9; 16]).to_string();
        let own = pass.credential.certificate_pem();
        let texts = [
            String::new(),
            text.replace("pass 1", "pass 2"),
            text.replace(&cluster, &other),
            text.replace("cluster ", "clusters "),
            text.replace("controller ctl1 ", "controller c/1 "),
            text.replace("controller ctl1 ", "controller ctl1  "),
            text.replace(&own, ""),
            text.replace("PRIVATE", "PUBLIC"),
            format!("{text}{own}"),
            text.replace(&own, &foreign[foreign.find("-----").expect("a block")..][..own.len()]),
        ];
        for (at, damaged) in texts.iter().enumerate() {
            assert_ne!(*damaged, text, "case {at} changes nothing");
            assert!(Pass::parse(damaged).is_err(), "case {at} was accepted");
        }
        for end in (0..text.len() - 1).step_by(7) {
            assert!(Pass::parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}
