//! The user's own signing key, and whom the user trusts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use underpin::seal::{self, PublicKey, SigningKey};

/// Where the user's own key lies: `$XDG_CONFIG_HOME/underpin/key.pem`, else `~/.config/underpin/key.pem`.
fn own_path() -> Result<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(".config"));
    let folder = config.or_else(home).context("neither XDG_CONFIG_HOME nor HOME is set; give the key by its option")?;
    Ok(folder.join("underpin").join("key.pem"))
}

/// The key to sign with: the one given, else the user's own, made at first use for its owner's eyes only.
pub(crate) fn signing(given: Option<&Path>) -> Result<SigningKey> {
    match given {
        Some(path) => Ok(SigningKey::load(path)?),
        None => Ok(SigningKey::load_or_create(&own_path()?)?),
    }
}

/// The key to sign with, which has to exist: the one given, else the user's own.
///
/// # Errors
///
/// When the file is no key, or the user has no key yet.
pub(crate) fn existing(given: Option<&Path>) -> Result<SigningKey> {
    if let Some(path) = given {
        return Ok(SigningKey::load(path)?);
    }
    let path = own_path()?;
    let absent =
        || format!("no key to sign with: give --key PEM; {} is made by the first `underpin pipeline`", path.display());
    SigningKey::load(&path).with_context(absent)
}

/// The public keys to trust: those in the PEM files given, else the user's own.
///
/// # Errors
///
/// When a file is no public key, or the user has no key yet.
pub fn trusted(given: &[PathBuf]) -> Result<Vec<PublicKey>> {
    if given.is_empty() {
        let path = own_path()?;
        let key = SigningKey::load(&path).with_context(|| {
            format!("no key to trust: give --trust PEM; {} is made by the first `underpin pipeline`", path.display())
        })?;
        return Ok(vec![key.public()]);
    }
    given.iter().map(|path| Ok(PublicKey::load(path)?)).collect()
}

/// Options that ask for witnesses.
#[derive(Args, Debug)]
pub(crate) struct Witnesses {
    /// Public keys of other parties that must have witnessed the clearance that stands (`underpin witness`; PEM; may be
    /// repeated).
    #[arg(long, value_name = "PEM")]
    witness: Vec<PathBuf>,
    /// Folder of the witnesses' statements, each KEY-ID.dsse.json. Default: DIR.witness beside the run.
    #[arg(long, value_name = "FOLDER", requires = "witness")]
    witness_folder: Option<PathBuf>,
}

impl Witnesses {
    /// The witnesses asked for.
    pub(crate) fn load(&self) -> Result<seal::Witnesses> {
        let keys = self.witness.iter().map(|path| Ok(PublicKey::load(path)?)).collect::<Result<_>>()?;
        Ok(seal::Witnesses::new(keys, self.witness_folder.clone()))
    }
}
