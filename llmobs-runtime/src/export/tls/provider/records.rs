//! The records of TLS: sealed and opened with ring.
//!
//! A nonce is used once: it is made of the key's own and of the number of the record, which rustls
//! counts and never repeats under a key. TLS 1.3 (RFC 8446, §5.2) and ChaCha20-Poly1305 in 1.2
//! (RFC 7905) leave it away; AES-GCM in 1.2 (RFC 5288) sends eight bytes of it before each record.

use ring::aead::{self, Aad, LessSafeKey, Tag, UnboundKey};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage,
    PrefixedPayload, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls12_aad, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

/// How many bytes each record is longer by.
const TAG: usize = 16;
/// How many bytes of its nonce a record of AES-GCM shows in TLS 1.2, and how many the key has.
const SHOWN: usize = 8;
const FIXED: usize = NONCE_LEN - SHOWN;
/// The longest plain record.
const LONGEST: usize = 16_384;

/// An algorithm, for both versions of TLS.
pub(super) struct Aead {
    ring: &'static aead::Algorithm,
    key_len: usize,
    /// How TLS 1.2 has its nonces.
    tls12: Form,
}

impl Aead {
    pub(super) const AES_256_GCM: Self = Self {
        ring: &aead::AES_256_GCM,
        key_len: 32,
        tls12: Form::Tls12Shown,
    };
    pub(super) const AES_128_GCM: Self = Self {
        ring: &aead::AES_128_GCM,
        key_len: 16,
        tls12: Form::Tls12Shown,
    };
    pub(super) const CHACHA20_POLY1305: Self = Self {
        ring: &aead::CHACHA20_POLY1305,
        key_len: 32,
        tls12: Form::Tls12Hidden,
    };

    fn direction(&self, key: &AeadKey, iv: Iv, form: Form) -> Box<Direction> {
        // Fails where the key is not as long as rustls was told that it has to be.
        let key = UnboundKey::new(self.ring, key.as_ref());
        Box::new(Direction {
            key: key.ok().map(LessSafeKey::new),
            iv,
            form,
        })
    }
}

/// How a record shows its nonce, and what is authenticated beside its content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tls13,
    Tls12Hidden,
    Tls12Shown,
}

impl Tls13AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.direction(&key, iv, Form::Tls13)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.direction(&key, iv, Form::Tls13)
    }

    fn key_len(&self) -> usize {
        self.key_len
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl Tls12AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.direction(&key, joined(iv, extra), self.tls12)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.direction(&key, joined(iv, &[]), self.tls12)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        let (fixed_iv_len, explicit_nonce_len) = match self.tls12 {
            Form::Tls12Shown => (FIXED, SHOWN),
            Form::Tls12Hidden | Form::Tls13 => (NONCE_LEN, 0),
        };
        KeyBlockShape {
            enc_key_len: self.key_len,
            fixed_iv_len,
            explicit_nonce_len,
        }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// The fixed part of a nonce and where its counted part begins, which is unknown of a peer's.
fn joined(fixed: &[u8], counted: &[u8]) -> Iv {
    let mut iv = [0; NONCE_LEN];
    for (place, byte) in iv.iter_mut().zip(fixed.iter().chain(counted)) {
        *place = *byte;
    }
    Iv::new(iv)
}

/// One direction of a connection.
struct Direction {
    key: Option<LessSafeKey>,
    iv: Iv,
    form: Form,
}

impl MessageEncrypter for Direction {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let key = self.key.as_ref().ok_or(Error::EncryptError)?;
        let nonce = Nonce::new(&self.iv, seq).0;
        let sealed = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(sealed);
        let shown = match self.form {
            Form::Tls12Shown => {
                payload.extend_from_slice(&nonce[FIXED..]);
                SHOWN
            }
            Form::Tls13 | Form::Tls12Hidden => 0,
        };
        payload.extend_from_chunks(&message.payload);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let (tag, typ, version) = if self.form == Form::Tls13 {
            payload.extend_from_slice(&message.typ.to_array());
            let aad = Aad::from(make_tls13_aad(sealed));
            let tag = sealed_with(key, nonce, aad, payload.as_mut())?;
            (tag, ContentType::ApplicationData, ProtocolVersion::TLSv1_2)
        } else {
            let (typ, version) = (message.typ, message.version);
            let aad = Aad::from(make_tls12_aad(seq, typ, version, message.payload.len()));
            let tag = sealed_with(key, nonce, aad, &mut payload.as_mut()[shown..])?;
            (tag, typ, version)
        };
        payload.extend_from_slice(tag.as_ref());
        Ok(OutboundOpaqueMessage::new(typ, version, payload))
    }

    fn encrypted_payload_len(&self, plain: usize) -> usize {
        plain
            + TAG
            + match self.form {
                // The type of the content stands behind it.
                Form::Tls13 => 1,
                Form::Tls12Hidden => 0,
                Form::Tls12Shown => SHOWN,
            }
    }
}

fn sealed_with(
    key: &LessSafeKey,
    nonce: aead::Nonce,
    aad: Aad<impl AsRef<[u8]>>,
    bytes: &mut [u8],
) -> Result<Tag, Error> {
    key.seal_in_place_separate_tag(nonce, aad, bytes)
        .map_err(|_| Error::EncryptError)
}

impl MessageDecrypter for Direction {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let key = self.key.as_ref().ok_or(Error::DecryptError)?;
        let (typ, version) = (message.typ, message.version);
        let payload = &mut message.payload;
        let mut nonce = Nonce::new(&self.iv, seq).0;
        let mut shown = 0;
        if self.form == Form::Tls12Shown {
            // The peer counts as it likes; the record's number is authenticated below.
            nonce = Nonce::new(&self.iv, 0).0;
            let theirs = payload.get(..SHOWN).ok_or(Error::DecryptError)?;
            nonce[FIXED..].copy_from_slice(theirs);
            shown = SHOWN;
        }
        let plain = payload.len().checked_sub(shown + TAG);
        let plain = plain.ok_or(Error::DecryptError)?;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let opened = if self.form == Form::Tls13 {
            let aad = Aad::from(make_tls13_aad(payload.len()));
            key.open_within(nonce, aad, payload, shown..)
        } else {
            let aad = Aad::from(make_tls12_aad(seq, typ, version, plain));
            key.open_within(nonce, aad, payload, shown..)
        };
        // It stands at the beginning by now.
        let length = opened.map_err(|_| Error::DecryptError)?.len();
        payload.truncate(length);
        if self.form == Form::Tls13 {
            return message.into_tls13_unpadded_message();
        }
        if length > LONGEST {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message())
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::cipher::OutboundChunks;

    use super::*;

    /// Both ends of each algorithm and version; a key of 16 bytes is not for us to make.
    fn pairs() -> Vec<(Direction, Direction)> {
        let mut pairs = Vec::new();
        for aead in [Aead::AES_256_GCM, Aead::CHACHA20_POLY1305] {
            for form in [Form::Tls13, aead.tls12] {
                let end = || *aead.direction(&key(), Iv::new([5; NONCE_LEN]), form);
                pairs.push((end(), end()));
            }
        }
        pairs
    }

    fn key() -> AeadKey {
        AeadKey::from([7; 32])
    }

    fn sealed(end: &mut Direction, content: &[u8], seq: u64) -> (ContentType, Vec<u8>) {
        let message = OutboundPlainMessage {
            typ: ContentType::ApplicationData,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(content),
        };
        let length = end.encrypted_payload_len(content.len());
        let message = end.encrypt(message, seq).unwrap();
        let typ = message.typ;
        assert_eq!(message.version, ProtocolVersion::TLSv1_2);
        assert_eq!(message.payload.as_ref().len(), length);
        (typ, message.payload.as_ref().to_vec())
    }

    fn opened(
        end: &mut Direction,
        typ: ContentType,
        bytes: &mut [u8],
        seq: u64,
    ) -> Result<Vec<u8>, Error> {
        let message = InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, bytes);
        let plain = end.decrypt(message, seq)?;
        assert_eq!(plain.typ, ContentType::ApplicationData);
        Ok(plain.payload.to_vec())
    }

    #[test]
    fn a_record_is_opened_as_it_was_sealed_and_at_its_own_place_alone() {
        for (mut from, mut to) in pairs() {
            let longest = vec![9; LONGEST];
            for content in [&b""[..], b"a", &longest] {
                let (typ, bytes) = sealed(&mut from, content, 3);
                let at = |to: &mut Direction, seq| opened(to, typ, &mut bytes.clone(), seq);
                assert_eq!(at(&mut to, 3).unwrap(), content);
                for elsewhere in [0, 2, 4, u64::MAX] {
                    assert_eq!(at(&mut to, elsewhere), Err(Error::DecryptError));
                }
            }
        }
    }

    #[test]
    fn a_record_that_was_touched_anywhere_is_refused() {
        for (mut from, mut to) in pairs() {
            let (typ, bytes) = sealed(&mut from, b"content", 0);
            for at in 0..bytes.len() {
                let mut touched = bytes.clone();
                touched[at] ^= 1;
                let opened = opened(&mut to, typ, &mut touched, 0);
                assert_eq!(opened, Err(Error::DecryptError), "byte {at}");
            }
            for length in 0..bytes.len() {
                let mut cut = bytes[..length].to_vec();
                let opened = opened(&mut to, typ, &mut cut, 0);
                assert_eq!(opened, Err(Error::DecryptError), "{length} bytes");
            }
        }
    }

    #[test]
    fn the_type_and_the_version_of_a_record_of_tls_1_2_are_authenticated() {
        for (mut from, mut to) in pairs() {
            if to.form == Form::Tls13 {
                continue;
            }
            let (_, bytes) = sealed(&mut from, b"content", 0);
            for (typ, version) in [
                (ContentType::Handshake, ProtocolVersion::TLSv1_2),
                (ContentType::ApplicationData, ProtocolVersion::TLSv1_1),
            ] {
                let mut bytes = bytes.clone();
                let message = InboundOpaqueMessage::new(typ, version, &mut bytes);
                assert!(to.decrypt(message, 0).is_err());
            }
        }
    }

    #[test]
    fn no_two_records_have_one_nonce() {
        for (mut from, _) in pairs() {
            let (_, one) = sealed(&mut from, &[0; 64], 0);
            let (_, two) = sealed(&mut from, &[0; 64], 1);
            assert_ne!(one[SHOWN..SHOWN + 32], two[SHOWN..SHOWN + 32]);
        }
    }

    #[test]
    fn a_longer_record_than_there_may_be_is_refused() {
        for (mut from, mut to) in pairs() {
            let (typ, mut bytes) = sealed(&mut from, &vec![9; LONGEST + 1], 0);
            let opened = opened(&mut to, typ, &mut bytes, 0);
            assert_eq!(opened, Err(Error::PeerSentOversizedRecord));
        }
    }

    #[test]
    fn a_key_of_another_length_seals_nothing() {
        let mut end = *Aead::AES_128_GCM.direction(&key(), Iv::new([5; 12]), Form::Tls13);
        let message = OutboundPlainMessage {
            typ: ContentType::ApplicationData,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(b"a"),
        };
        assert_eq!(end.encrypt(message, 0).err(), Some(Error::EncryptError));
    }
}
