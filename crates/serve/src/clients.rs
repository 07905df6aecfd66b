//! Clients and their API keys.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::{Error, file};

/// A client's key: 256 random bits, written `underpin_` and 64 hexadecimal digits. Shown once, stored nowhere.
///
/// `Debug` shows nothing of it.
pub struct ApiKey(String);

impl ApiKey {
    fn random() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|source| Error::Entropy { source })?;
        Ok(Self(format!("underpin_{}", blake3::Hash::from_bytes(bytes).to_hex())))
    }

    /// The key's text, to be handed to its client.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// BLAKE3 of a key. A slow hash would add nothing: the key is as hard to guess as the hash is to invert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(key: &str) -> Self {
        Self(*blake3::hash(key.as_bytes()).as_bytes())
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        blake3::Hash::from_bytes(fingerprint.0).to_hex().to_string()
    }
}

/// Whether a client's key opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientState {
    /// Its key is accepted.
    Active,
    /// Its key is refused for good.
    Revoked,
}

/// A client, as the book lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Name: what queries are counted under.
    pub name: String,
    /// Whether its key is accepted.
    pub state: ClientState,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    key_blake3: Fingerprint,
    state: ClientState,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    clients: Vec<Entry>,
}

/// The clients and the hashes of their keys, in one JSON file that only its owner may touch.
///
/// Every call reads the file anew, so a key added or revoked by another process counts from the next request on.
///
/// # Guarantees
///
/// 1. No key is stored, only its hash (`the_file_holds_no_key`).
/// 2. A revoked key is refused from the next call on, in every process (`a_revoked_key_is_refused_at_once`).
/// 3. Two processes that add clients at once lose none (`adding_at_once_loses_none`).
/// 4. A file that cannot be read, parsed or trusted authenticates nobody (`a_broken_book_authenticates_nobody`).
///
/// Every hash is compared whole, by `subtle`, so that the time a refusal takes reveals nothing about the keys.
///
/// # Limits
///
/// A name that is revoked and added again goes on with the quota it had: the ledger counts by name.
///
/// # Examples
///
/// ```
/// use underpin_serve::ClientBook;
///
/// # let folder = tempfile::tempdir()?;
/// let book = ClientBook::open(&folder.path().join("clients.json"))?;
/// let key = book.add("alice")?;
/// assert_eq!(book.authenticate(key.reveal())?.as_deref(), Some("alice"));
/// book.revoke("alice")?;
/// assert_eq!(book.authenticate(key.reveal())?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientBook {
    path: PathBuf,
    /// The file's bytes when they were last parsed, and what they said.
    parsed: Mutex<(Vec<u8>, Entries)>,
}

impl ClientBook {
    /// Opens the book at `path`; a file that does not exist yet is an empty book.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::Format`] or [`Error::Permissions`] when the file cannot be read, parsed or trusted.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let book = Self { path: path.to_owned(), parsed: Mutex::default() };
        book.entries()?;
        Ok(book)
    }

    /// Adds a client and makes its key. A name that was revoked may be added again, with a new key.
    ///
    /// # Errors
    ///
    /// [`Error::ClientName`] or [`Error::ClientExists`]; else as [`ClientBook::open`].
    pub fn add(&self, name: &str) -> Result<ApiKey, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(Error::ClientName { name: name.to_owned() });
        }
        let key = ApiKey::random()?;
        self.change(|entries| {
            if entries.clients.iter().any(|entry| entry.name == name && entry.state == ClientState::Active) {
                return Err(Error::ClientExists { name: name.to_owned() });
            }
            entries.clients.retain(|entry| entry.name != name);
            let key_blake3 = Fingerprint::of(key.reveal());
            entries.clients.push(Entry { name: name.to_owned(), key_blake3, state: ClientState::Active });
            Ok(())
        })?;
        tracing::info!(client = name, "client added");
        Ok(key)
    }

    /// Refuses the client's key from now on; it does nothing to one already revoked.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownClient`]; else as [`ClientBook::open`].
    pub fn revoke(&self, name: &str) -> Result<(), Error> {
        self.change(|entries| {
            let unknown = || Error::UnknownClient { name: name.to_owned() };
            let entry = entries.clients.iter_mut().find(|entry| entry.name == name).ok_or_else(unknown)?;
            entry.state = ClientState::Revoked;
            Ok(())
        })?;
        tracing::info!(client = name, "client revoked");
        Ok(())
    }

    /// Every client ever added, in the order of their keys' making.
    ///
    /// # Errors
    ///
    /// As [`ClientBook::open`].
    pub fn list(&self) -> Result<Vec<Client>, Error> {
        let entries = self.entries()?;
        Ok(entries.clients.into_iter().map(|entry| Client { name: entry.name, state: entry.state }).collect())
    }

    /// The name of the client whose valid key this is, if it is one.
    ///
    /// # Errors
    ///
    /// As [`ClientBook::open`]; then nobody is authenticated.
    pub fn authenticate(&self, key: &str) -> Result<Option<String>, Error> {
        let presented = Fingerprint::of(key);
        let mut clients = self.entries()?.clients;
        let mut found = u64::MAX;
        for (position, entry) in clients.iter().enumerate() {
            let active = Choice::from(u8::from(entry.state == ClientState::Active));
            found.conditional_assign(&(position as u64), entry.key_blake3.0.ct_eq(&presented.0) & active);
        }
        let found = usize::try_from(found).ok().filter(|found| *found < clients.len());
        Ok(found.map(|found| clients.swap_remove(found).name))
    }

    fn entries(&self) -> Result<Entries, Error> {
        let bytes = read(&self.path)?;
        // OK to go on after a panic elsewhere: the pair is only replaced whole.
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.0 != bytes {
            let format = |source| Error::Format { path: self.path.clone(), what: "a client book", source };
            let entries =
                if bytes.is_empty() { Entries::default() } else { serde_json::from_slice(&bytes).map_err(format)? };
            *parsed = (bytes, entries);
        }
        Ok(parsed.1.clone())
    }

    /// Applies `change` to what the file holds now; one process at a time.
    fn change(&self, change: impl FnOnce(&mut Entries) -> Result<(), Error>) -> Result<(), Error> {
        let mut lock = self.path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let mut options = OpenOptions::new();
        let held = file::private(options.write(true).create(true).truncate(false)).open(&lock);
        let held = held.map_err(Error::file(&lock))?;
        held.lock().map_err(Error::file(&lock))?;
        let mut entries = self.entries()?;
        change(&mut entries)?;
        let json = serde_json::to_vec_pretty(&entries).expect("invariant: a book is text");
        file::replace(&self.path, &json)
    }
}

/// The file's bytes; none if there is no file.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(Error::file(path)(error)),
    };
    file::check_private(path, &file)?;
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).map_err(Error::file(path))?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
