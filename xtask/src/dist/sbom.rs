//! The software bill of materials (SBOM) of the release binary: CycloneDX 1.5 in JSON.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use underpin_core::Digest;

use crate::packages::{CRATES_IO, Graph, Id, Locked};

/// What the document is written from.
#[derive(Debug)]
pub(crate) struct Bill {
    /// The normal dependencies of the binary's package.
    pub(crate) graph: Graph,
    /// `cargo metadata`'s entry of each package.
    pub(crate) details: BTreeMap<Id, Value>,
    /// The lock file.
    pub(crate) lock: BTreeMap<Id, Locked>,
    /// SHA-256 of the archive of each package of the workspace, by name.
    pub(crate) workspace: BTreeMap<String, String>,
    /// Digest of the binary.
    pub(crate) program: Digest,
    /// The target that it was built for.
    pub(crate) target: String,
    /// What it prints as its version.
    pub(crate) version: String,
    /// The compiler's version.
    pub(crate) compiler: String,
    /// The time of the commit, in ISO 8601.
    pub(crate) timestamp: String,
}

/// Writes the document: the binary, one component per package of its normal dependency graph, and who depends on whom.
///
/// A package whose code is linked has the scope `required`; a macro, and what only macros use, has `excluded`: it ran
/// during the build and is not in the binary.
///
/// # Errors
///
/// When a package comes from elsewhere than crates.io and the workspace, or has no checksum or no licence.
pub(crate) fn document(bill: &Bill) -> Result<Value> {
    let Bill { graph, details, lock, workspace, program, target, version, compiler, timestamp } = bill;
    let Graph { root, edges, linked } = graph;
    let mut components = Vec::new();
    for id in edges.keys().filter(|id| *id != root) {
        let of = || format!("{} {}", id.name, id.version);
        let locked = lock.get(id).with_context(|| format!("{}: not in Cargo.lock", of()))?;
        let hash = match locked.source.as_deref() {
            None => workspace.get(&id.name),
            Some(CRATES_IO) => locked.checksum.as_ref(),
            Some(other) => bail!("{}: comes from {other}; only crates.io is allowed", of()),
        };
        let hash = hash.with_context(|| format!("{}: no checksum", of()))?;
        let about = details.get(id).with_context(|| format!("{}: not in cargo metadata", of()))?;
        let mut component = json!({
            "type": "library",
            "bom-ref": purl(id),
            "name": id.name,
            "version": id.version,
            "scope": if linked.contains(id) { "required" } else { "excluded" },
            "hashes": [{ "alg": "SHA-256", "content": hash }],
            "licenses": licences(about).with_context(of)?,
            "purl": purl(id),
        });
        if let Some(text) = about["description"].as_str() {
            component["description"] = text.trim().into();
        }
        if let Some(address) = about["repository"].as_str() {
            component["externalReferences"] = json!([{ "type": "vcs", "url": address }]);
        }
        components.push(component);
    }
    let depends = |(id, on): (&Id, &BTreeSet<Id>)| json!({ "ref": purl(id), "dependsOn": on.iter().map(purl).collect::<Vec<_>>() });
    let about = details.get(root).with_context(|| format!("{}: not in cargo metadata", root.name))?;
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(program),
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "tools": { "components": [{ "type": "application", "name": "cargo xtask dist", "version": env!("CARGO_PKG_VERSION") }] },
            "component": {
                "type": "application",
                "bom-ref": purl(root),
                "name": "underpin",
                "version": root.version,
                "hashes": [{ "alg": "SHA-256", "content": program.to_string() }],
                "licenses": licences(about)?,
                "purl": purl(root),
            },
            "properties": [
                { "name": "cargo:target", "value": target },
                { "name": "underpin:version", "value": version },
                { "name": "underpin:compiler", "value": compiler },
            ],
        },
        "components": components,
        "dependencies": edges.iter().map(depends).collect::<Vec<_>>(),
    }))
}

/// The package URL. A version's `+` is percent-encoded, as the specification of purl asks.
fn purl(id: &Id) -> String {
    format!("pkg:cargo/{}@{}", id.name, id.version.replace('+', "%2B"))
}

/// The licences of a package; the old separator `/` is written as the SPDX expression it stands for.
fn licences(about: &Value) -> Result<Value> {
    if let Some(expression) = about["license"].as_str() {
        return Ok(json!([{ "expression": expression.replace('/', " OR ") }]));
    }
    let file = about["license_file"].as_str();
    ensure!(file.is_some(), "neither a licence nor a licence file is stated");
    Ok(json!([{ "license": { "name": format!("text in {}", file.unwrap_or_default()) } }]))
}

/// A UUID of version 8 (RFC 9562) made from the binary's digest: the same binary has the same serial number.
fn serial(program: &Digest) -> String {
    let mut bytes = *program.bytes();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = Digest::new(bytes).to_string();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{self, PUBLISHED};

    /// The bill of the present lock file, with digests that stand for those of a build.
    fn present() -> Bill {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        Bill {
            graph: packages::graph("underpin-cli", &target).unwrap(),
            details: packages::details(&target).unwrap(),
            lock: packages::lock().unwrap(),
            workspace: PUBLISHED.iter().map(|name| ((*name).to_owned(), "00".repeat(32))).collect(),
            program: Digest::of(b"a program"),
            target,
            version: "underpin 0.1.0".to_owned(),
            compiler: "rustc".to_owned(),
            timestamp: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn the_bill_names_what_is_in_the_binary_and_nothing_else() {
        let bill = present();
        let document = document(&bill).unwrap();
        let components = document["components"].as_array().unwrap();
        let names: BTreeSet<&str> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
        for name in ["burn-flex", "underpin-core", "clap", "mimalloc", "serde_derive", "p256"] {
            assert!(names.contains(name), "{name} is missing");
        }
        // Tests alone, build scripts alone, another feature, another system.
        for name in ["proptest", "criterion", "shuttle", "cc", "opendp", "burn-ndarray", "windows-sys"] {
            assert!(!names.contains(name), "{name} is not in the binary");
        }
        let of = |name: &str| components.iter().find(|component| component["name"] == name).unwrap();
        assert_eq!(of("burn-flex")["scope"], "required");
        assert_eq!(of("serde_derive")["scope"], "excluded");
        assert!(of("burn-flex")["licenses"][0]["expression"].as_str().unwrap().contains("MIT"));
    }

    #[test]
    fn each_component_has_a_purl_a_hash_and_a_licence() {
        let bill = present();
        let document = document(&bill).unwrap();
        let components = document["components"].as_array().unwrap();
        let mut references = BTreeSet::new();
        for component in components {
            let text = |key: &str| component[key].as_str().unwrap().to_owned();
            assert!(text("purl").starts_with(&format!("pkg:cargo/{}@", text("name"))), "{component}");
            assert!(references.insert(text("bom-ref")), "{component}");
            let hash = component["hashes"][0]["content"].as_str().unwrap();
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{component}");
            let licence = &component["licenses"][0];
            assert!(licence["expression"].is_string() || licence["license"]["name"].is_string(), "{component}");
        }
        references.insert("pkg:cargo/underpin-cli@".to_owned() + env!("CARGO_PKG_VERSION"));
        let dependencies = document["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), references.len());
        for on in dependencies.iter().flat_map(|entry| entry["dependsOn"].as_array().unwrap()) {
            assert!(references.contains(on.as_str().unwrap()), "{on} is no component");
        }
    }

    #[test]
    fn packages_without_a_checksum_or_from_elsewhere_are_refused() {
        let whole = present();
        let flex = whole.lock.keys().find(|id| id.name == "burn-flex").unwrap().clone();
        for (source, checksum, says) in [
            (Some(CRATES_IO), None, "no checksum"),
            (Some("git+https://example.org/burn"), Some("00"), "only crates.io is allowed"),
            (None, None, "no checksum"),
        ] {
            let locked = Locked { source: source.map(str::to_owned), checksum: checksum.map(str::to_owned) };
            let mut bill = present();
            bill.lock.insert(flex.clone(), locked);
            let fault = document(&bill).unwrap_err().to_string();
            assert!(fault.contains("burn-flex") && fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn one_binary_has_one_serial_number() {
        let serial = serial(&Digest::of(b""));
        assert_eq!(serial, "urn:uuid:e3b0c442-98fc-8c14-9afb-f4c8996fb924");
    }
}
