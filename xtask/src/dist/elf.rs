//! What an ELF program needs of the system it runs on.

use anyhow::{Context, Result, ensure};

const INTERPRETER: u32 = 3;
const DYNAMIC: u32 = 2;
const NEEDED: u64 = 1;

/// Describes how a program is linked.
///
/// # Errors
///
/// When it is no 64-bit little-endian ELF file, or has an interpreter or needs a library although it has to be static.
pub(crate) fn linkage(bytes: &[u8], must_be_static: bool) -> Result<String> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "the program is no 64-bit little-endian ELF file");
    let (interpreter, libraries) = needs(bytes).context("the program's ELF headers are cut short")?;
    if !interpreter && libraries == 0 {
        return Ok("static: no interpreter, no shared library".to_owned());
    }
    ensure!(
        !must_be_static,
        "the program has to be static, but needs {libraries} shared libraries (interpreter: {interpreter})"
    );
    let glibc =
        newest_glibc(bytes).map_or_else(|| "no version".to_owned(), |[major, minor]| format!("{major}.{minor}"));
    Ok(format!("dynamic: {libraries} shared libraries, glibc {glibc} or newer"))
}

/// Whether there is an interpreter, and how many shared libraries are needed.
fn needs(bytes: &[u8]) -> Option<(bool, usize)> {
    let word = |at: usize, size: usize| {
        let field = bytes.get(at..at.checked_add(size)?)?;
        Some(field.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    let place = |at: usize, size: usize| usize::try_from(word(at, size)?).ok();
    let (start, size, count) = (place(0x20, 8)?, place(0x36, 2)?, place(0x38, 2)?);
    let (mut interpreter, mut libraries) = (false, 0);
    for number in 0..count {
        let header = start.checked_add(number.checked_mul(size)?)?;
        match u32::try_from(word(header, 4)?).ok()? {
            INTERPRETER => interpreter = true,
            DYNAMIC => {
                let (offset, length) = (place(header + 8, 8)?, place(header + 32, 8)?);
                for entry in (offset..offset.checked_add(length)?).step_by(16) {
                    match word(entry, 8)? {
                        0 => break,
                        NEEDED => libraries += 1,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some((interpreter, libraries))
}

/// The newest version of glibc among the symbol versions that the program names.
fn newest_glibc(bytes: &[u8]) -> Option<[u32; 2]> {
    let mark = b"GLIBC_";
    let versions = bytes.windows(mark.len()).enumerate().filter(|(_, window)| window == mark).filter_map(|(at, _)| {
        let rest = &bytes[at + mark.len()..];
        let text: String = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
            .map(|byte| char::from(*byte))
            .collect();
        let mut parts = text.split('.');
        Some([parts.next()?.parse().ok()?, parts.next()?.parse().ok()?])
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with one header of each kind and one needed library.
    fn program(kinds: &[u32], libraries: u64) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[0x20] = 64;
        bytes[0x36] = 56;
        bytes[0x38] = u8::try_from(kinds.len()).unwrap();
        let table = 64 + 56 * kinds.len();
        for kind in kinds {
            let mut header = kind.to_le_bytes().to_vec();
            header.resize(56, 0);
            header[8..16].copy_from_slice(&u64::try_from(table).unwrap().to_le_bytes());
            header[32..40].copy_from_slice(&(16 * (libraries + 1)).to_le_bytes());
            bytes.extend(header);
        }
        for _ in 0..libraries {
            bytes.extend([NEEDED, 7].iter().flat_map(|word| word.to_le_bytes()));
        }
        bytes.extend([0; 16]);
        bytes.extend(b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_PRIVATE\0");
        bytes
    }

    #[test]
    fn a_program_that_needs_the_system_is_not_static() {
        // A static program that can be placed anywhere has a dynamic section, but needs nothing.
        assert!(linkage(&program(&[1, DYNAMIC], 0), true).unwrap().starts_with("static"));
        for needy in [program(&[DYNAMIC], 1), program(&[INTERPRETER], 0)] {
            assert!(linkage(&needy, true).is_err());
            assert!(linkage(&needy, false).unwrap().contains("glibc 2.34"));
        }
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(linkage(b"#!/bin/sh\n", false).is_err());
        assert!(linkage(&program(&[DYNAMIC], 3)[..100], false).is_err());
    }

    #[test]
    fn this_test_is_a_program() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        if cfg!(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static"))) {
            assert!(linkage(&own, true).is_err());
            assert!(linkage(&own, false).unwrap().starts_with("dynamic"));
        }
    }
}
