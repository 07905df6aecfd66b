//! Secret keys and the random streams drawn from them.

use std::convert::Infallible;
use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256, Block};
use rand::TryRng;

use crate::Error;

/// Thirty-two secret bytes from which noise and samples are drawn.
///
/// Neither `Clone` nor `Copy`: a key that seeds two runs gives both the same noise, and their difference has none.
/// `Debug` shows nothing of it.
///
/// # Limits
///
/// The bytes are overwritten on drop; copies that the compiler, a moved value or a random stream's state leaves
/// behind are not.
///
/// # Examples
///
/// ```
/// use underpin_privacy::SecretKey;
///
/// let key = SecretKey::from_os()?;
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// let noise = key.derive("noise", &[b"run 7"]);
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// A key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntropy`] when it gives none.
    pub fn from_os() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|cause| Error::NoEntropy { cause })?;
        Ok(Self(bytes))
    }

    /// A key that the caller already holds. It must be secret, uniform and used for nothing else.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose; another context or other parts give an unrelated key.
    ///
    /// Keyed BLAKE3 over the length-prefixed context and parts, so that no two lists of parts collide.
    #[must_use]
    pub fn derive(&self, context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(context.as_bytes()).chain(parts.iter().copied()) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// A random stream of its own for one purpose.
    #[must_use]
    pub fn stream(&self, context: &str, parts: &[&[u8]]) -> SecretStream {
        SecretStream(Keystream::of(&self.derive(context, parts)))
    }

    /// Thirty-two bytes that identify the key and reveal nothing else of it. Of a key derived from a message
    /// ([`derive`](Self::derive)) it authenticates the message.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.derive("fingerprint", &[]).0
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping the write as dead.
        std::hint::black_box(&mut self.0);
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Random bits for samples and noise: AES-256 in counter mode (NIST SP 800-38A) from block 0, keyed by a [`SecretKey`].
///
/// Not `Clone`: two copies would give the same noise.
pub struct SecretStream(pub(crate) Keystream);

/// Words that are taken at once.
pub(crate) const WORDS: usize = 256;
/// Words that are made at once: enough of them that setting up the cipher costs little beside.
const MADE: usize = 4 * WORDS;
/// Words of one block of the cipher.
const CIPHER_WORDS: usize = 4;

/// The key stream, word by word, little-endian; a 64-bit word is the next two.
///
/// The counter is the block's first half, little-endian; the second is 0. A counter of 64 bits: no two blocks agree,
/// which distinguishes `2^k` blocks from random ones with an advantage of `2^(2 k - 129)`.
pub(crate) struct Keystream {
    cipher: Aes256,
    /// The next block's.
    counter: u64,
    words: [[u32; WORDS]; MADE / WORDS],
    /// Words that are used up.
    used: usize,
}

impl Keystream {
    fn of(key: &SecretKey) -> Self {
        let words = [[0; WORDS]; MADE / WORDS];
        Self { cipher: Aes256::new(&key.0.into()), counter: 0, words, used: MADE }
    }

    /// The next words whose number is a multiple of [`WORDS`]; those before that have not been taken are lost.
    pub(crate) fn block(&mut self) -> &[u32; WORDS] {
        if self.used > MADE - WORDS {
            self.refill();
        }
        let block = self.used.div_ceil(WORDS);
        self.used = (block + 1) * WORDS;
        &self.words[block]
    }

    fn refill(&mut self) {
        let mut blocks = [Block::from([0; 16]); MADE / CIPHER_WORDS];
        for (block, counter) in blocks.iter_mut().zip(self.counter..) {
            *block = u128::from(counter).to_le_bytes().into();
        }
        self.cipher.encrypt_blocks(&mut blocks);
        self.counter += blocks.len() as u64;
        for (words, block) in self.words.as_flattened_mut().as_chunks_mut::<CIPHER_WORDS>().0.iter_mut().zip(&blocks) {
            let block = u128::from_le_bytes((*block).into());
            *words = std::array::from_fn(|word| (block >> (32 * word)) as u32);
        }
        self.used = 0;
    }
}

#[cfg(test)]
impl Keystream {
    /// How far the stream has been read; differs after each read of up to 2^32 words.
    pub(crate) fn position(&self) -> (usize, u32) {
        (self.used, self.words[0][0])
    }
}

impl TryRng for Keystream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == MADE {
            self.refill();
        }
        let word = self.words.as_flattened()[self.used];
        self.used += 1;
        Ok(word)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        if let Some([low, high]) = self.words.as_flattened().get(self.used..self.used + 2) {
            self.used += 2;
            return Ok(u64::from(*high) << 32 | u64::from(*low));
        }
        let low = self.try_next_u32()?;
        Ok(u64::from(self.try_next_u32()?) << 32 | u64::from(low))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for bytes in target.chunks_mut(4) {
            bytes.copy_from_slice(&self.try_next_u32()?.to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

impl fmt::Debug for SecretStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = SecretKey::new([7; 32]);
        let of = |context: &str, parts: &[&[u8]]| key.derive(context, parts).0;
        let keys = [
            of("a", &[]),
            of("b", &[]),
            of("a", &[b""]),
            of("a", &[b"xy"]),
            of("a", &[b"x", b"y"]),
            of("a", &[b"", b"xy"]),
            of("ax", &[b"y"]),
            SecretKey::new([8; 32]).derive("a", &[]).0,
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[..i].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(of("a", &[b"x", b"y"]), of("a", &[b"x", b"y"]));
    }

    /// Blocks 0, 1 and 256 under the key of zeros: the first as NIST's AESAVS gives it, the others from OpenSSL 3.
    #[test]
    fn the_stream_is_aes_in_counter_mode() {
        let mut stream = Keystream::of(&SecretKey::new([0; 32]));
        let mut bytes = [0; 32];
        stream.try_fill_bytes(&mut bytes).unwrap();
        let blocks = bytes.as_chunks().0.iter().map(|block| u128::from_be_bytes(*block)).collect::<Vec<_>>();
        assert_eq!(blocks, [0xdc95_c078_a240_8989_ad48_a214_9284_2087, 0x5275_f3d8_6b4f_b868_4593_133e_bfa5_3cd3]);
        let mut rest = [0; 16 * 255];
        stream.try_fill_bytes(&mut rest).unwrap();
        let last = rest.as_chunks().0.last().map(|block| u128::from_be_bytes(*block));
        assert_eq!(last, Some(0x2846_526d_6738_7539_c893_14de_9e0c_2d02), "beyond what is made at once");
    }

    /// Blocks of words are those of the one stream at multiples of their size, past what is made at once.
    #[test]
    fn blocks_are_the_stream_at_multiples_of_their_size() {
        let fresh = || Keystream::of(&SecretKey::new([9; 32]));
        let (mut words, mut blocks) = (fresh(), fresh());
        let words: Vec<u32> = (0..8 * WORDS).map(|_| words.try_next_u32().unwrap()).collect();
        assert_eq!(blocks.block()[..], words[..WORDS]);
        assert_eq!(blocks.try_next_u32().unwrap(), words[WORDS], "what follows a block");
        for block in 2..8 {
            assert_eq!(blocks.block()[..], words[block * WORDS..(block + 1) * WORDS], "{block}");
        }
    }

    #[test]
    fn words_of_any_width_are_one_stream() {
        let fresh = || Keystream::of(&SecretKey::new([9; 32]));
        let (mut narrow, mut wide) = (fresh(), fresh());
        let words: Vec<u32> = (0..3 * MADE).map(|_| narrow.try_next_u32().unwrap()).collect();
        // From an odd place, so that a word of 64 bits crosses the buffer's end.
        assert_eq!(wide.try_next_u32().unwrap(), words[0]);
        for pair in words[1..words.len() - 1].as_chunks().0 {
            let [low, high] = pair.map(u64::from);
            assert_eq!(wide.try_next_u64().unwrap(), high << 32 | low);
        }
        let repeats = words.iter().enumerate().filter(|(at, word)| words[..*at].contains(word)).count();
        assert_eq!(repeats, 0, "3,072 words collide with probability 1.1e-3");
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        assert_eq!(format!("{:?}", SecretKey::new([7; 32])), "SecretKey(..)");
        assert_eq!(format!("{:?}", SecretKey::new([7; 32]).stream("a", &[])), "SecretStream(..)");
        assert_ne!(SecretKey::from_os().unwrap().0, SecretKey::from_os().unwrap().0);
    }
}
