use std::collections::BTreeMap;

use underpin_core::{Digest, Subject, Value};

use super::fixture::*;
use crate::seal::*;

fn log(count: u64, from: u64) -> Log {
    let mut log = Log::default();
    for at in 0..count {
        let files = [(format!("file-{at}"), ListedFile::of(&at.to_le_bytes()))].into();
        log.append(act(from + at, "did"), files, &key(1)).unwrap();
    }
    log
}

fn lines(log: &Log) -> Vec<&[u8]> {
    log.bytes().split_inclusive(|byte| *byte == b'\n').collect()
}

fn flaw(lines: &[&[u8]]) -> (usize, Flaw) {
    match Log::read(lines.concat(), &trusted()) {
        Err(Flaw::Line { line, flaw }) => (line, *flaw),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_reads_as_it_was_written() {
    let log = log(4, 100);
    let again = Log::read(log.bytes().to_vec(), &trusted()).unwrap();
    assert_eq!(again.entries(), log.entries());
    assert_eq!(again.head(), log.head());
    assert_eq!(again.files().len(), 4);
    assert_eq!((again.entries()[3].index, again.entries()[3].at), (3, 103));
    assert!(Log::read(vec![], &trusted()).unwrap().entries().is_empty());
}

/// The chain can be checked with `head -n N accountability.jsonl | sha256sum`.
#[test]
fn each_entry_names_the_digest_of_all_before_it() {
    let log = log(3, 0);
    let lines = lines(&log);
    for (at, entry) in log.entries().iter().enumerate() {
        assert_eq!(entry.previous, Digest::of(&lines[..at].concat()));
    }
}

#[test]
fn a_log_that_was_tampered_with_is_refused() {
    let (log, other) = (log(4, 100), log(4, 200));
    let (lines, elsewhere) = (lines(&log), lines(&other));
    // Reordered, repeated, taken out, brought from a log of the same key.
    assert_eq!(flaw(&[lines[0], lines[2], lines[1], lines[3]]), (2, Flaw::Chain));
    assert_eq!(flaw(&[lines[1], lines[0]]), (1, Flaw::Chain));
    assert_eq!(flaw(&[lines[0], lines[0], lines[1]]), (2, Flaw::Chain));
    assert_eq!(flaw(&[lines[0], lines[2]]), (2, Flaw::Chain));
    assert_eq!(flaw(&[lines[1], lines[2]]), (1, Flaw::Chain));
    assert_eq!(flaw(&[lines[0], elsewhere[1]]), (2, Flaw::Chain));
    assert_eq!(flaw(&[elsewhere[0], lines[1]]), (2, Flaw::Chain));
    // Edited, torn, joined, spaced.
    let mut edited = lines[1].to_vec();
    edited[40] ^= 1;
    assert_eq!(flaw(&[lines[0], &edited, lines[2]]).0, 2);
    assert_eq!(flaw(&[lines[0], &lines[1][..lines[1].len() - 1]]).0, 2);
    assert_eq!(flaw(&[lines[0], &lines[1][..100]]).0, 2);
    assert_eq!(flaw(&[lines[0], &lines[1][..lines[1].len() - 1], lines[2]]).0, 2);
    assert_eq!(flaw(&[lines[0], b"\n", lines[1]]).0, 2);
    // Written by someone else.
    let mut foreign = Log::read(lines[..2].concat(), &trusted()).unwrap();
    foreign.append(act(9, "did"), BTreeMap::new(), &key(2)).unwrap();
    let id = key(2).public().id();
    assert_eq!(flaw(&[foreign.bytes()]), (3, Flaw::Untrusted { key: id }));
}

#[test]
fn times_never_run_backwards() {
    let mut log = log(2, 100);
    // A clock that was set back: the entry has the time of the one before it.
    log.append(act(50, "did"), BTreeMap::new(), &key(1)).unwrap();
    assert_eq!(log.entries().iter().map(|entry| entry.at).collect::<Vec<_>>(), [100, 101, 101]);
    Log::read(log.bytes().to_vec(), &trusted()).unwrap();
    // A signer who writes an older entry by hand is refused.
    let mut entry = log.entries()[2].clone();
    entry.at = 100;
    let subjects = [Subject { name: files::LOG.into(), digest: entry.previous }];
    let line = sign(&entry, &subjects, &key(1)).unwrap();
    let lines = lines(&log);
    assert_eq!(flaw(&[lines[0], lines[1], &line]), (3, Flaw::TimeBackwards { at: 100, previous: 101 }));
}

#[test]
fn a_cut_log_does_not_extend_its_head() {
    let log = log(4, 100);
    let lines = lines(&log);
    let cut = Log::read(lines[..3].concat(), &trusted()).unwrap();
    assert!(!cut.extends(&log.head()));
    assert!(log.extends(&cut.head()) && log.extends(&log.head()) && log.extends(&Log::default().head()));
    let mut forked = cut.clone();
    forked.append(act(1000, "something else"), BTreeMap::new(), &key(1)).unwrap();
    assert!(forked.extends(&cut.head()) && !forked.extends(&log.head()));
}

/// An entry signed by hand, without the log's help.
fn forged(index: u64, previous: Digest, files: BTreeMap<String, ListedFile>, subject: Subject) -> Vec<u8> {
    let (who, what) = ("mallory".into(), "wrote".into());
    let entry = Entry { index, previous, at: 0, who, what, details: BTreeMap::new(), files };
    sign(&entry, &[subject], &key(1)).unwrap()
}

#[test]
fn an_entry_says_where_it_stands_in_every_way_there_is() {
    let (before, other) = (Digest::of(b""), Digest::of(b"other"));
    let line = |index, previous, name: &str, digest| {
        let bytes = forged(index, previous, BTreeMap::new(), Subject { name: name.into(), digest });
        Log::read(bytes, &trusted()).map(drop)
    };
    let refused = Err(Flaw::Line { line: 1, flaw: Flaw::Chain.into() });
    assert_eq!(line(0, before, files::LOG, before), Ok(()));
    assert_eq!(line(1, before, files::LOG, before), refused);
    assert_eq!(line(0, other, files::LOG, other), refused);
    assert_eq!(line(0, before, files::LOG, other), refused);
    assert_eq!(line(0, before, files::MODEL, before), refused);
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in
        ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "-rf", "a\nb", "a b", "\u{e9}", &"a".repeat(101)]
    {
        let files: BTreeMap<_, _> = [(name.to_owned(), ListedFile::of(b""))].into();
        let error = Log::default().append(act(0, "wrote"), files.clone(), &key(1)).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
        // Nor does it help to sign such an entry by hand.
        let empty = Digest::of(b"");
        let bytes = forged(0, empty, files, Subject { name: files::LOG.into(), digest: empty });
        assert!(matches!(flaw(&[&bytes]), (1, Flaw::Malformed { .. })), "{name}");
    }
}

#[test]
fn text_of_any_kind_stays_on_its_line_and_numbers_stay_numbers() {
    let mut log = Log::default();
    let mut act = act(1, "said \"no\"\n{}\u{2028}");
    act.details.insert("rate".into(), Value::Number(0.1));
    act.details.insert("whole".into(), Value::Number(2.0));
    log.append(act.clone(), BTreeMap::new(), &key(1)).unwrap();
    let again = Log::read(log.bytes().to_vec(), &trusted()).unwrap();
    assert_eq!((&again.entries()[0].what, &again.entries()[0].details), (&act.what, &act.details));
    act.details.insert("bad".into(), Value::Number(f64::NAN));
    assert!(matches!(log.append(act, BTreeMap::new(), &key(1)), Err(Error::NotReadable { .. })));
    assert_eq!(log.entries().len(), 1);
}

#[test]
fn the_heads_of_a_log_are_what_sha256sum_prints() {
    let log = log(4, 100);
    let lines = lines(&log);
    for entries in 1..=4 {
        let before = lines[..entries].concat();
        let head = log.head_of(Digest::of(&before)).unwrap();
        assert_eq!((head.entries, head.length), (entries as u64, before.len() as u64));
        assert!(log.extends(&head));
        assert!(!log.extends(&LogHead { length: head.length + 1, ..head }));
    }
    assert_eq!(log.head_of(Digest::of(log.bytes())), Some(log.head()));
    assert_eq!((log.head_of(Digest::of(b"")), log.head_of(Digest::of(b"other"))), (None, None));
    assert_eq!(log.signers().iter().copied().collect::<Vec<_>>(), [key(1).public().id()]);
}

#[test]
fn a_log_or_a_line_that_is_too_long_is_refused() {
    let mut log = Log::default();
    let long = Action { what: "x".repeat(1 << 20), ..act(0, "") };
    log.append(long, BTreeMap::new(), &key(1)).unwrap();
    assert_eq!(flaw(&[log.bytes()]), (1, Flaw::TooLarge { limit: 1 << 20 }));
    let whole = Log::read(vec![b'x'; (4 << 20) + 1], &trusted());
    assert!(matches!(whole, Err(Flaw::TooLarge { limit }) if limit == 4 << 20));
}
