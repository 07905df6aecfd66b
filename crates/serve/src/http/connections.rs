//! The connections that are open: a bounded number, of which the idlest makes room for a new one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, futures::OwnedNotified};

/// Descriptors that are left for files, the ledger and the listener.
const RESERVE: usize = 64;

/// At most so many connections as are asked for and as the process may hold descriptors, less a reserve.
pub(super) fn most(asked: usize) -> usize {
    let allowed = descriptors().map_or(usize::MAX, |limit| limit.saturating_sub(RESERVE).max(1));
    if allowed < asked {
        tracing::warn!(asked, allowed, "fewer connections: the limit on open files (ulimit -n) allows no more");
    }
    asked.min(allowed)
}

#[cfg(unix)]
fn descriptors() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn descriptors() -> Option<usize> {
    None
}

/// One connection, as its requests know it.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Whether a request on it ever came with a valid key.
    known: AtomicBool,
    /// Requests of a known client that are being worked on.
    busy: AtomicUsize,
    /// When its last request of a known client ended: a number that grows with every such event of any connection.
    ended: AtomicUsize,
    close: Arc<Notify>,
}

impl Connection {
    /// Ready once the connection must close to make room.
    pub(super) fn closing(&self) -> OwnedNotified {
        Arc::clone(&self.close).notified_owned()
    }

    /// A request of a known client is being worked on until what is returned is dropped.
    pub(super) fn work(self: Arc<Self>) -> Work {
        self.known.store(true, SeqCst);
        self.busy.fetch_add(1, SeqCst);
        Work(self)
    }
}

/// A request of a known client on a connection, under way.
pub(super) struct Work(Arc<Connection>);

impl Drop for Work {
    fn drop(&mut self) {
        static EVENTS: AtomicUsize = AtomicUsize::new(1);
        self.0.ended.store(EVENTS.fetch_add(1, SeqCst), SeqCst);
        self.0.busy.fetch_sub(1, SeqCst);
    }
}

/// All open connections.
pub(super) struct Connections {
    most: usize,
    open: Mutex<(u64, BTreeMap<u64, Arc<Connection>>)>,
    freed: Notify,
}

/// A place among the open connections, given back when it is dropped.
pub(super) struct Place {
    all: Arc<Connections>,
    number: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().1.remove(&self.number);
        self.all.freed.notify_waiters();
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), freed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Arc<Connection>>)> {
        // OK to go on after a panic elsewhere: the map is changed by single insertions and removals.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().1.len()
    }

    /// A place for a connection that was just taken. Where there is none, the idlest connection closes: one without a
    /// request of a known client under way, rather one that never had any, of those the one that is idle for longest.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            {
                let mut open = self.lock();
                if open.1.len() < self.most {
                    let connection = Arc::<Connection>::default();
                    open.0 += 1;
                    let number = open.0;
                    open.1.insert(number, Arc::clone(&connection));
                    return Place { all: Arc::clone(self), number, connection };
                }
            }
            self.make_room();
            freed.await;
        }
    }

    /// Closes the idlest connection, if one is idle.
    pub(super) fn make_room(&self) {
        let open = self.lock();
        let idle = open.1.iter().filter(|(_, connection)| connection.busy.load(SeqCst) == 0);
        let idlest = idle.min_by_key(|(number, connection)| {
            (connection.known.load(SeqCst), connection.ended.load(SeqCst), **number)
        });
        if let Some((_, connection)) = idlest {
            connection.close.notify_one();
        }
    }

    /// Ready once no connection is open.
    pub(super) async fn none(&self) {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            freed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_idlest_connection_makes_room() {
        let all = Connections::new(3);
        let (a, b, c) = (all.place().await, all.place().await, all.place().await);
        // A has had a request, B has one under way, C is a stranger.
        drop(Arc::clone(&a.connection).work());
        let under_way = Arc::clone(&b.connection).work();
        for (expected, place) in [("the stranger", c), ("the client", a)] {
            let closing = place.connection.closing();
            all.make_room();
            tokio::time::timeout(std::time::Duration::from_secs(5), closing).await.expect(expected);
            drop(place);
        }
        let closing = b.connection.closing();
        all.make_room();
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), closing).await;
        assert!(waited.is_err(), "a request under way is not cut off");
        drop(under_way);
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn no_more_connections_than_descriptors() {
        assert_eq!(most(1), 1);
        let bounded = most(usize::MAX);
        #[cfg(unix)]
        assert_eq!(Some(bounded), descriptors().map(|limit| limit - RESERVE));
        assert!(bounded > 1);
    }
}
