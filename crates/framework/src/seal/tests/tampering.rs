//! A table of tamperings, each with what it is refused for: by someone without the key, and by someone with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use underpin_core::{Digest, Evidence, Subject};

use super::fixture::*;
use super::hostile::{copy, names};
use super::witness::{other_subjects, refusal, statement, statements};
use crate::seal::*;

/// What is done to a run folder.
type Tamper = Box<dyn Fn(&Path)>;

/// A name, what is done, and words of the fault that it leads to.
struct Case(String, Tamper, &'static str);

fn case(name: impl Into<String>, words: &'static str, tamper: impl Fn(&Path) + 'static) -> Case {
    Case(name.into(), Box::new(tamper), words)
}

fn edit(path: &Path, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = fs::read(path.join(name)).unwrap();
    fs::write(path.join(name), change(bytes)).unwrap();
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Files and folders, changed by someone without the key.
fn folder() -> Vec<Case> {
    let (_place, path) = sealed();
    let mut cases = Vec::new();
    for name in names(&path) {
        let owned = || name.clone();
        let case = |what: &str, words, tamper: fn(&Path, &str)| {
            let name = owned();
            case(format!("{what} {name}"), words, move |path| tamper(path, &name))
        };
        let is_listed = ![files::LOG, files::SIGNER].contains(&name.as_str());
        let size = if is_listed { "bytes, the accountability log says" } else { "" };
        cases.push(case("no", "is missing", |path, name| fs::remove_file(path.join(name)).unwrap()));
        cases.push(case("an empty", size, |path, name| fs::write(path.join(name), "").unwrap()));
        cases.push(case("a cut", size, |path, name| {
            edit(path, name, |mut bytes| {
                bytes.pop();
                bytes
            });
        }));
        cases.push(case("a longer", size, |path, name| edit(path, name, |bytes| [bytes, b"\n".to_vec()].concat())));
        cases.push(case("a flipped", if is_listed { "was changed" } else { "" }, |path, name| {
            edit(path, name, |mut bytes| {
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
                bytes
            });
        }));
        cases.push(case("a folder for", "is not a plain file", |path, name| {
            fs::remove_file(path.join(name)).unwrap();
            fs::create_dir(path.join(name)).unwrap();
        }));
        #[cfg(unix)]
        cases.push(case("a link for", "is not a plain file", |path, name| {
            let elsewhere = path.with_file_name("elsewhere");
            fs::rename(path.join(name), &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, path.join(name)).unwrap();
        }));
        cases.push(case("another name for", "is missing", |path, name| {
            fs::rename(path.join(name), path.join(name.to_uppercase())).unwrap();
        }));
    }
    let unlisted = [
        "more",
        ".hidden",
        "-rf",
        "a b",
        "model.safetensors~",
        "MODEL.SAFETENSORS",
        "model.safetensors ",
        "m\u{f6}del",
        "accountability.jsonl.old",
        "revocation.dsse.json",
        "model-card.md",
        ".lock2",
        ".LOCK",
        "a\nb",
    ];
    cases.extend(unlisted.map(|name| {
        case(format!("{name:?} besides"), "is not listed", move |path| fs::write(path.join(name), "").unwrap())
    }));
    cases.push(case("a folder besides", "is not listed", |path| fs::create_dir(path.join("more")).unwrap()));
    cases
        .push(case("a lock that holds something", "is not listed", |path| fs::write(path.join(".lock"), "x").unwrap()));
    cases.push(case("a folder for the lock", "is not a plain file", |path| {
        fs::remove_file(path.join(".lock")).unwrap();
        fs::create_dir(path.join(".lock")).unwrap();
    }));
    cases.push(case("more files than a run has", "holds more than", |path| {
        (0..1000).for_each(|file| fs::write(path.join(format!("{file}")), "").unwrap());
    }));
    cases.push(case("two files exchanged", "the accountability log says", |path| {
        fs::rename(path.join(files::REPORT), path.join("kept")).unwrap();
        fs::rename(path.join(files::MANIFEST), path.join(files::REPORT)).unwrap();
        fs::rename(path.join("kept"), path.join(files::MANIFEST)).unwrap();
    }));
    cases.push(case("no folder", "is missing", |path| fs::remove_dir_all(path).unwrap()));
    cases
}

/// The log, changed by someone without the key.
fn log() -> Vec<Case> {
    let with = |name: &str, words, change: fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>| {
        case(format!("log: {name}"), words, move |path| {
            edit(path, files::LOG, |bytes| change(lines(&bytes)).concat());
        })
    };
    let chain = "does not follow the entry before it";
    vec![
        with("without its end", "", |lines| lines[..2].to_vec()),
        with("only its first line", "", |lines| lines[..1].to_vec()),
        with("without its beginning", chain, |lines| lines[1..].to_vec()),
        with("without its middle", chain, |lines| [&lines[..1], &lines[2..]].concat()),
        with("two lines exchanged", chain, |mut lines| {
            lines.swap(0, 1);
            lines
        }),
        with("a line twice", chain, |lines| [&lines[..1], &lines[..]].concat()),
        with("its end twice", chain, |lines| [&lines[..], &lines[2..]].concat()),
        with("a blank line", "line 2", |lines| [lines[0].clone(), b"\n".to_vec(), lines[1].clone()].to_vec()),
        with("blanks before a line", "canonical", |lines| [vec![b" ".to_vec()], lines].concat()),
        with("lines ended as on Windows", "canonical", |mut lines| {
            lines[0].pop();
            lines[0].extend(b"\r\n");
            lines
        }),
        with("a mark of the order of bytes", "malformed", |lines| [vec![b"\xef\xbb\xbf".to_vec()], lines].concat()),
        with("no newline at its end", "canonical", |mut lines| {
            lines[2].pop();
            lines
        }),
        with("more at its end", "line 4", |lines| [lines, vec![b"{}\n".to_vec()]].concat()),
        with("NUL at its end", "line 4", |lines| [lines, vec![vec![0; 9]]].concat()),
        with("a line that is too long", "larger than the", |lines| [vec![vec![b' '; 1 << 20]], lines].concat()),
        with("a log that is too long", "larger than the", |lines| [lines, vec![vec![b'\n'; 4 << 20]]].concat()),
        case("log: an entry of a stranger", "not trusted", |path| {
            let mut log = Log::read(fs::read(path.join(files::LOG)).unwrap(), &trusted()).unwrap();
            log.append(act(NOW, "noted"), BTreeMap::new(), &key(2)).unwrap();
            fs::write(path.join(files::LOG), log.bytes()).unwrap();
        }),
        case("log: of another run of the same key", "", |path| {
            let (_place, other) = sealed();
            amend(&other, &trusted(), &key(1), act(NOW, "noted"), &BTreeMap::new()).unwrap();
            let mut log = lines(&fs::read(other.join(files::LOG)).unwrap());
            log.remove(2);
            fs::write(path.join(files::LOG), log.concat()).unwrap();
        }),
        case("log: the key of a stranger in the signer's place", "not trusted", |path| {
            fs::write(path.join(files::SIGNER), key(2).public().to_pem()).unwrap();
        }),
    ]
}

fn list(entry: &mut Entry, name: &str, size: u64, digest: Digest) {
    entry.files.insert(name.to_owned(), ListedFile { digest, size });
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Entries that the trusted key itself signed, and that are wrong all the same.
fn entries() -> Vec<Case> {
    let with = |name: &str, words, change: fn(&mut Entry)| {
        case(format!("entry: {name}"), words, move |path| {
            let log = read_log(path, &trusted()).unwrap();
            let LogHead { entries: index, digest: previous, .. } = log.head();
            let (who, what) = ("mallory".into(), "wrote".into());
            let mut entry = Entry { index, previous, at: NOW, who, what, details: [].into(), files: [].into() };
            let subject = Subject { name: files::LOG.into(), digest: previous };
            change(&mut entry);
            let line = sign(&entry, &[subject], &key(1)).unwrap();
            edit(path, files::LOG, |bytes| [bytes, line].concat());
        })
    };
    assert_eq!(MODEL.len(), 52);
    let named = |name: &'static str| {
        case(format!("entry: the name {name:?}"), "cannot name a file of a run", move |path| {
            let log = read_log(path, &trusted()).unwrap();
            let LogHead { entries: index, digest: previous, .. } = log.head();
            let listed = [(name.to_owned(), ListedFile::of(b""))].into();
            let (who, what) = ("mallory".into(), "wrote".into());
            let entry = Entry { index, previous, at: NOW, who, what, details: [].into(), files: listed };
            let line = sign(&entry, &[Subject { name: files::LOG.into(), digest: previous }], &key(1)).unwrap();
            edit(path, files::LOG, |bytes| [bytes, line].concat());
        })
    };
    let mut cases: Vec<Case> =
        ["", ".", "..", "../x", "a/b", "/etc/passwd", ".lock", "-rf", "a b", "a\nb", "a\0", "\u{e9}"].map(named).into();
    cases.extend([
        with("of a later index", "does not follow", |entry| entry.index += 1),
        with("of an earlier index", "does not follow", |entry| entry.index = 0),
        with("after another log", "does not follow", |entry| entry.previous = Digest::of(b"another")),
        with("a size of one more", "has 52 bytes, the accountability log says 53", |entry| {
            list(entry, files::MODEL, 53, Digest::of(MODEL));
        }),
        with("a size of one less", "has 52 bytes, the accountability log says 51", |entry| {
            list(entry, files::MODEL, 51, Digest::of(MODEL));
        }),
        with("no size", "the accountability log says 0", |entry| list(entry, files::MODEL, 0, Digest::of(MODEL))),
        with("the largest size", "the accountability log says 18446744073709551615", |entry| {
            list(entry, files::MODEL, u64::MAX, Digest::of(MODEL));
        }),
        with("the largest size of a document", "larger than the 4194304 bytes allowed", |entry| {
            list(entry, files::EVIDENCE, u64::MAX, Digest::of(MODEL));
        }),
        with("another digest", "was changed", |entry| list(entry, files::MODEL, 52, Digest::of(b"another"))),
        with("a file that is not there", "is missing", |entry| list(entry, "more", 0, Digest::of(b""))),
        with("the log itself", "accountability.jsonl", |entry| list(entry, files::LOG, 1, Digest::of(b"x"))),
    ]);
    cases
}

/// Documents that an entry of the trusted key lists, and that are wrong all the same.
fn documents() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in [files::EVIDENCE, files::CLEARANCE] {
        let case = |what: &str, words, change: fn(Vec<u8>) -> Vec<u8>| {
            case(format!("{name}: {what}"), words, move |path| {
                let bytes = change(fs::read(path.join(name)).unwrap());
                amend(path, &trusted(), &key(1), act(NOW, "replaced"), &[(name, bytes)].into()).unwrap();
            })
        };
        cases.extend([
            case("nothing", "malformed", |_| vec![]),
            case("null", "malformed", |_| b"null\n".to_vec()),
            case("another kind", "malformed", |_| b"{\"payload\":1}\n".to_vec()),
            case("deeply nested", "malformed", |_| [vec![b'['; 100_000], b"\n".to_vec()].concat()),
            case("spaced", "canonical", |bytes| [b" ".to_vec(), bytes].concat()),
            case("without a newline", "canonical", |mut bytes| {
                bytes.pop();
                bytes
            }),
            case("an unknown field", "malformed", |bytes| text(bytes).replacen('{', "{\"x\":1,", 1).into()),
            case("a field twice", "malformed", |bytes| text(bytes).replacen('{', "{\"payload\":\"\",", 1).into()),
            case("another type of payload", "is of type", |bytes| text(bytes).replace("in-toto", "in-tote").into()),
            case("no signature", "has 0 signatures", |bytes| {
                let text = text(bytes);
                let at = text.find("\"signatures\":[").unwrap();
                format!("{}\"signatures\":[]}}\n", &text[..at]).into()
            }),
            case("two signatures", "has 2 signatures", |bytes| {
                let text = text(bytes);
                let at = text.find("\"signatures\":[").unwrap() + "\"signatures\":[".len();
                let one = text[at..].trim_end().trim_end_matches("]}").to_owned();
                format!("{}{one},{one}]}}\n", &text[..at]).into()
            }),
            case("signed by a stranger", "not trusted", |bytes| {
                let envelope = Envelope::read(&bytes).unwrap();
                let (payload, _) = envelope.verify(&trusted()).unwrap();
                Envelope::sign(payload.to_vec(), &key(2)).to_bytes()
            }),
            case("a payload of another kind", "is of type", |_| {
                let revocation = Revocation { model: Digest::of(MODEL), at: NOW, reason: "x".into() };
                revocation.sign(&key(1)).unwrap()
            }),
        ]);
    }
    cases.push(case(
        "evidence of another seed",
        "seed of the run is not that which the first entry bound it to",
        |path| {
            let bytes = fs::read(path.join(files::EVIDENCE)).unwrap();
            let mut evidence = open::<Evidence>(&bytes, &trusted()).unwrap().predicate;
            evidence.seed.0 += 1;
            let bytes = sign(&evidence, &evidence.subjects, &key(1)).unwrap();
            amend(path, &trusted(), &key(1), act(NOW, "replaced"), &[(files::EVIDENCE, bytes)].into()).unwrap();
        },
    ));
    cases
}

#[test]
fn every_tampering_is_found() {
    let cases = [folder(), log(), entries(), documents()].into_iter().flatten();
    let (_place, sample) = sealed();
    let mut found = 0;
    for Case(name, tamper, words) in cases {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        copy(&sample, &path);
        verify(&path, &trusted(), NOW).unwrap();
        tamper(&path);
        let Err(fault) = verify(&path, &trusted(), NOW) else { panic!("{name}: not found") };
        assert!(fault.to_string().contains(words), "{name}: {fault}");
        found += 1;
    }
    assert!(found >= 150, "{found} tamperings");
}

#[test]
fn every_tampering_with_a_witness_is_found() {
    let (_place, path) = sealed();
    assert_eq!(refusal(&path, &statement(&path, |_| {})), None, "as it should be");
    for (name, change, words) in statements() {
        let refused = refusal(&path, &statement(&path, change)).expect(name);
        assert!(refused.contains(words), "{name}: {refused}");
    }
    let good = statement(&path, |_| {});
    let text = String::from_utf8(good.clone()).unwrap();
    let by_a_stranger =
        Envelope::sign(Envelope::read(&good).unwrap().verify(&[key(9).public()]).unwrap().0.to_vec(), &key(2));
    let (_other_place, other) = sealed_by(1);
    amend(&other, &trusted(), &key(1), act(NOW, "noted"), &BTreeMap::new()).unwrap();
    let changes: [(&str, Vec<u8>, &str); 10] = [
        ("nothing", vec![], "malformed"),
        ("cut", good[..good.len() / 2].to_vec(), "malformed"),
        ("longer", [&good[..], b"x"].concat(), "malformed"),
        ("spaced", [b" ", &good[..]].concat(), "canonical"),
        ("an unknown field", text.replacen('{', "{\"x\":1,", 1).into(), "malformed"),
        ("too large", vec![b' '; (64 << 10) + 1], "larger than the 65536 bytes"),
        ("by a stranger", by_a_stranger.to_bytes(), "not trusted"),
        ("the evidence", fs::read(path.join(files::EVIDENCE)).unwrap(), "not trusted"),
        ("of a run that goes further", statement(&other, |_| {}), "does not go on from the head"),
        ("about another file", other_subjects(&path), "the list of subjects"),
    ];
    for (name, bytes, words) in changes {
        let refused = refusal(&path, &bytes).expect(name);
        assert!(refused.contains(words), "{name}: {refused}");
    }
    for at in [0, good.len() / 3, good.len() / 2, good.len() - 2] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert!(refusal(&path, &flipped).is_some(), "byte {at}");
    }
}
