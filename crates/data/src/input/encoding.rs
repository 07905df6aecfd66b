//! Encoding of a text file: found from its bytes, and made UTF-8.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How the characters of a text file are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte-order mark. Bytes that are none make their row malformed.
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, the low byte first.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, the high byte first.
    #[serde(rename = "utf-16be")]
    Utf16Be,
    /// ISO 8859-1: each byte is the character of its number.
    #[serde(rename = "latin-1")]
    Latin1,
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16 LE",
            Self::Utf16Be => "UTF-16 BE",
            Self::Latin1 => "Latin-1",
        })
    }
}

impl Encoding {
    /// The encoding of a file: by its byte-order mark; else UTF-8, or Latin-1 when it is not UTF-8 and most of the bytes
    /// that are not would be letters beside letters.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xff, 0xfe, ..] => Self::Utf16Le,
            [0xfe, 0xff, ..] => Self::Utf16Be,
            _ if is_latin1(bytes) => Self::Latin1,
            _ => Self::Utf8,
        }
    }

    /// The text in UTF-8 without a byte-order mark. Half of a UTF-16 pair alone becomes U+FFFD. At most three bytes
    /// come out of two, or two out of one.
    pub(super) fn decode(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let wide = |unit: fn([u8; 2]) -> u16| {
            let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
            let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
            Cow::Owned(text.skip_while(|first| *first == '\u{feff}').collect::<String>().into_bytes())
        };
        match self {
            Self::Utf8 => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).into(),
            Self::Utf16Le => wide(u16::from_le_bytes),
            Self::Utf16Be => wide(u16::from_be_bytes),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes().into(),
        }
    }
}

fn is_latin1(bytes: &[u8]) -> bool {
    let (mut characters, mut invalid, mut letters) = (0_usize, 0_usize, 0_usize);
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        characters += chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count();
        at += chunk.valid().len();
        for position in at..at + chunk.invalid().len() {
            let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
            invalid += 1;
            let beside = letter(position + 1) || position.checked_sub(1).is_some_and(letter);
            letters += usize::from(bytes[position] >= 0xc0 && beside);
        }
        at += chunk.invalid().len();
    }
    2 * letters > invalid && invalid > characters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_found_and_made_utf_8() {
        let wide = |unit: fn(u16) -> [u8; 2]| "\u{feff}a,é\n".encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for (bytes, encoding) in [
            ("\u{feff}a,é\n".as_bytes().to_vec(), Encoding::Utf8),
            (wide(u16::to_le_bytes), Encoding::Utf16Le),
            (wide(u16::to_be_bytes), Encoding::Utf16Be),
        ] {
            assert_eq!(Encoding::of(&bytes), encoding);
            assert_eq!(encoding.decode(&bytes), "a,é\n".as_bytes(), "{encoding}");
        }
        assert_eq!(Encoding::of(b"name\ncaf\xe9\nna\xefve\n"), Encoding::Latin1);
        assert_eq!(Encoding::Latin1.decode(b"caf\xe9"), "café".as_bytes());
        // A bad byte that is no letter of a word, or stands among good characters, makes no Latin-1.
        assert_eq!(Encoding::of(b"5,red,\xff6\n"), Encoding::Utf8);
        assert_eq!(Encoding::of(b"caf\xc3\xa9,caf\xc3\xa9,caf\xe9\n"), Encoding::Utf8);
    }
}
