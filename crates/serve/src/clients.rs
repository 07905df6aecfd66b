//! Clients and their API keys.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Clock, Error, file};

/// How often the file is looked at, whether it changed.
const LOOK: Duration = Duration::from_secs(1);

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// It has a key that was not revoked.
    Active,
    /// Its keys are refused for good.
    Revoked,
}

/// A client, as the book lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Name: what queries are counted under.
    pub name: String,
    /// Whether it has a key that was not revoked.
    pub state: ClientState,
    /// When each of its keys that were not revoked ends, seconds since 1970 UTC, in the order of their making; none for a
    /// key that does not end.
    pub ends: Vec<Option<u64>>,
}

/// One key of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    key_blake3: Fingerprint,
    state: ClientState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends: Option<u64>,
}

impl Entry {
    fn is_active(&self) -> bool {
        self.state == ClientState::Active
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    clients: Vec<Entry>,
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64),
}

impl Stamp {
    /// None where there is no file.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        Some(Self {
            length: found.len(),
            modified: found.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (found.dev(), found.ino())
            },
        })
    }
}

/// The keys that were not revoked, by their hashes, and the file that they were read from.
#[derive(Debug)]
struct Keys {
    named: HashMap<Fingerprint, (Arc<str>, Option<u64>)>,
    stamp: Option<Stamp>,
    looked: Duration,
}

/// The clients and the hashes of their keys, in one JSON file that only its owner may touch.
///
/// Keys are looked up in memory by their hashes. Once a second the file is looked at, and read again where it changed (by
/// its length, its time of change or its inode): a key added or revoked by another process counts within a second.
///
/// # Guarantees
///
/// 1. No key is stored, only its hash (`the_file_holds_no_key`).
/// 2. A revoked key is refused from the next call on by the book that revoked it, and within a second in every process
///    (`a_revoked_key_is_refused_within_a_second`).
/// 3. Two processes that add clients at once lose none (`adding_at_once_loses_none`).
/// 4. A file that cannot be read, parsed or trusted opens no book; where it becomes so later, the keys last read stand,
///    and one error is logged (`a_book_that_breaks_keeps_its_keys`).
/// 5. A key is refused from the second on in which it ends (`a_key_ends`), and a client that has two keys is one client
///    (`a_key_is_rotated_without_a_gap`).
///
/// What is looked up is the hash of what was presented, which nobody can steer towards the hash of a key: the time that
/// a look-up takes reveals nothing about the keys.
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
/// let key = book.add("alice", None)?;
/// let date = 1_800_000_000; // seconds since 1970 UTC
/// assert_eq!(book.authenticate(key.reveal(), date).as_deref(), Some("alice"));
/// // A new key; the old one is accepted for another day.
/// let new = book.rotate("alice", date + 86_400, None)?;
/// assert_eq!(book.authenticate(key.reveal(), date).as_deref(), Some("alice"));
/// assert_eq!(book.authenticate(key.reveal(), date + 86_400), None);
/// book.revoke("alice")?;
/// assert_eq!(book.authenticate(new.reveal(), date), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientBook {
    path: PathBuf,
    clock: Clock,
    keys: RwLock<Keys>,
}

impl ClientBook {
    /// Opens the book at `path`; a file that does not exist yet is an empty book.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::Format`] or [`Error::Exposed`] when the file cannot be read, parsed or trusted.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, Clock::monotonic())
    }

    /// Opens the book with a clock that says when a second is over.
    ///
    /// # Errors
    ///
    /// As [`ClientBook::open`].
    pub fn open_with(path: &Path, clock: Clock) -> Result<Self, Error> {
        let stamp = Stamp::of(path);
        let keys = Keys { named: read(path)?.live(), stamp, looked: clock.now() };
        Ok(Self { path: path.to_owned(), clock, keys: RwLock::new(keys) })
    }

    /// Adds a client and makes its key, which ends at `ends`, seconds since 1970 UTC, if it does. A name that was revoked
    /// may be added again, with a new key.
    ///
    /// # Errors
    ///
    /// [`Error::ClientName`] or [`Error::ClientExists`]; else as [`ClientBook::open`].
    pub fn add(&self, name: &str, ends: Option<u64>) -> Result<ApiKey, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(Error::ClientName { name: name.to_owned() });
        }
        let key = ApiKey::random()?;
        self.change(|entries| {
            if entries.clients.iter().any(|entry| entry.name == name && entry.is_active()) {
                return Err(Error::ClientExists { name: name.to_owned() });
            }
            entries.clients.retain(|entry| entry.name != name);
            entries.push(name, &key, ends);
            Ok(())
        })?;
        tracing::info!(client = name, "client added");
        Ok(key)
    }

    /// Makes a client another key, which ends at `ends`, if it does. The newest of those it had is accepted until
    /// `until`, seconds since 1970 UTC, or until it ends, whichever is earlier; any older one is revoked.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownClient`], also for a client that was revoked; else as [`ClientBook::open`].
    pub fn rotate(&self, name: &str, until: u64, ends: Option<u64>) -> Result<ApiKey, Error> {
        let key = ApiKey::random()?;
        self.change(|entries| {
            let mut own =
                entries.clients.iter().enumerate().filter(|(_, entry)| entry.name == name && entry.is_active());
            let newest = own.next_back().map(|(at, _)| at);
            let newest = newest.ok_or_else(|| Error::UnknownClient { name: name.to_owned() })?;
            let kept = &mut entries.clients[newest];
            kept.ends = Some(kept.ends.map_or(until, |ends| ends.min(until)));
            let kept = kept.key_blake3;
            entries.clients.retain(|entry| entry.name != name || entry.key_blake3 == kept);
            entries.push(name, &key, ends);
            Ok(())
        })?;
        tracing::info!(client = name, "client has a new key");
        Ok(key)
    }

    /// Refuses all keys of the client from now on; it does nothing to one already revoked.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownClient`]; else as [`ClientBook::open`].
    pub fn revoke(&self, name: &str) -> Result<(), Error> {
        self.change(|entries| {
            let mut own = entries.clients.iter_mut().filter(|entry| entry.name == name).peekable();
            own.peek().ok_or_else(|| Error::UnknownClient { name: name.to_owned() })?;
            own.for_each(|entry| entry.state = ClientState::Revoked);
            Ok(())
        })?;
        tracing::info!(client = name, "client revoked");
        Ok(())
    }

    /// Every client ever added, in the order of their first keys' making, as the file has them now.
    ///
    /// # Errors
    ///
    /// As [`ClientBook::open`].
    pub fn list(&self) -> Result<Vec<Client>, Error> {
        let mut listed: Vec<Client> = vec![];
        let mut places = HashMap::new();
        for Entry { name, state, ends, .. } in read(&self.path)?.clients {
            let place = *places.entry(name.clone()).or_insert(listed.len());
            if place == listed.len() {
                listed.push(Client { name, state, ends: vec![] });
            }
            if state == ClientState::Active {
                listed[place].state = state;
                listed[place].ends.push(ends);
            }
        }
        Ok(listed)
    }

    /// The name of the client whose key this is, if it is one that is valid at `date`, seconds since 1970 UTC.
    pub fn authenticate(&self, key: &str, date: u64) -> Option<String> {
        self.look();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (name, ends) = keys.named.get(&Fingerprint::of(key))?;
        ends.is_none_or(|ends| date < ends).then(|| name.as_ref().to_owned())
    }

    /// Reads the file again where a second is over and it changed.
    fn look(&self) {
        let now = self.clock.now();
        let due = |keys: &Keys| now.saturating_sub(keys.looked) >= LOOK;
        if !due(&self.keys.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !due(&keys) {
            return;
        }
        keys.looked = now;
        // Taken before the file is read: what changes meanwhile is found the next time.
        let stamp = Stamp::of(&self.path);
        if stamp == keys.stamp {
            return;
        }
        let gone = || Error::file(&self.path)(std::io::ErrorKind::NotFound.into());
        match stamp.as_ref().ok_or_else(gone).and_then(|_| read(&self.path)) {
            Ok(entries) => keys.named = entries.live(),
            Err(error) => tracing::error!(%error, "the client book cannot be read again: the keys last read stand"),
        }
        keys.stamp = stamp;
    }

    /// Applies `change` to what the file holds now; one process at a time.
    fn change(&self, change: impl FnOnce(&mut Entries) -> Result<(), Error>) -> Result<(), Error> {
        let mut lock = self.path.as_os_str().to_owned();
        lock.push(".lock");
        let _held = file::lock(Path::new(&lock))?;
        let mut entries = read(&self.path)?;
        change(&mut entries)?;
        let json = serde_json::to_vec_pretty(&entries).expect("invariant: a book is text");
        file::replace(&self.path, &json)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.stamp = Stamp::of(&self.path);
        keys.named = entries.live();
        Ok(())
    }
}

impl Entries {
    fn push(&mut self, name: &str, key: &ApiKey, ends: Option<u64>) {
        let key_blake3 = Fingerprint::of(key.reveal());
        self.clients.push(Entry { name: name.to_owned(), key_blake3, state: ClientState::Active, ends });
    }

    /// The keys that were not revoked.
    fn live(&self) -> HashMap<Fingerprint, (Arc<str>, Option<u64>)> {
        let live = self.clients.iter().filter(|entry| entry.is_active());
        live.map(|entry| (entry.key_blake3, (entry.name.as_str().into(), entry.ends))).collect()
    }
}

/// What the file says; nothing if there is no file.
fn read(path: &Path) -> Result<Entries, Error> {
    let bytes = file::read_private(path)?.unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Entries::default());
    }
    let format = |source| Error::Format { path: path.to_owned(), what: "a client book", source };
    serde_json::from_slice(&bytes).map_err(format)
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
