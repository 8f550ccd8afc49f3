//! Messages between an ssh agent and those who use it, as draft-miller-ssh-agent has them.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;

/// The bytes of the number before a message that says how long it is.
const LENGTH_BYTES: usize = size_of::<u32>();

/// The longest message that OpenSSH takes, on either side.
const LENGTH_MAX: u32 = 256 * 1024;

/// `SSH_AGENT_FAILURE`: the answer to what an agent does not do.
const FAILURE: u8 = 5;
/// `SSH_AGENTC_REQUEST_IDENTITIES`: which keys are there?
const REQUEST_IDENTITIES: u8 = 11;
/// `SSH_AGENTC_SIGN_REQUEST`: a signature by one of them.
const SIGN_REQUEST: u8 = 13;

/// A request or an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its length, its type, and what belongs to that.
    bytes: Vec<u8>,
}

impl Message {
    /// Makes the answer that something is not done.
    pub(super) fn failure() -> Self {
        let mut bytes = 1_u32.to_be_bytes().to_vec();
        bytes.push(FAILURE);
        Self { bytes }
    }

    /// Reads the next one; none if nothing comes any more. Fails on what is none, and on a longer one
    /// than anybody sends.
    pub(super) fn read(mut from: impl Read) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        from.by_ref()
            .take(LENGTH_BYTES as u64)
            .read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let length = bytes.as_slice().try_into().map(u32::from_be_bytes);
        let length = length.map_err(|_| ErrorKind::UnexpectedEof)?;
        if !(1..=LENGTH_MAX).contains(&length) {
            return Err(ErrorKind::InvalidData.into());
        }
        // What is kept is what came, whatever was announced.
        let read = from.take(length.into()).read_to_end(&mut bytes)?;
        match read == length as usize {
            true => Ok(Some(Self { bytes })),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Sends it.
    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&self.bytes)
    }

    /// Says whether it only asks for keys and signatures, and leaves the agent as it is. Extensions
    /// do what their makers like.
    pub(super) fn only_uses_keys(&self) -> bool {
        [REQUEST_IDENTITIES, SIGN_REQUEST].contains(&self.bytes[LENGTH_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::LENGTH_MAX;
    use super::Message;

    fn read(mut bytes: &[u8]) -> Result<Vec<Message>, ErrorKind> {
        let mut messages = Vec::new();
        loop {
            match Message::read(&mut bytes) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return Ok(messages),
                Err(error) => return Err(error.kind()),
            }
        }
    }

    #[test]
    fn messages_are_told_apart_and_sent_as_they_came() {
        let bytes = [0, 0, 0, 1, 11, 0, 0, 0, 3, 13, 0, 9];
        let messages = read(&bytes).unwrap();
        assert_eq!(messages.len(), 2);
        let mut sent = Vec::new();
        for message in messages {
            message.write(&mut sent).unwrap();
        }
        assert_eq!(sent, bytes);
        let mut sent = Vec::new();
        Message::failure().write(&mut sent).unwrap();
        assert_eq!(sent, [0, 0, 0, 1, 5]);
    }

    #[test]
    fn only_listing_and_signing_use_keys_only() {
        let passes = |kind: &u8| read(&[0, 0, 0, 1, *kind]).unwrap()[0].only_uses_keys();
        let passed: Vec<u8> = (0..=u8::MAX).filter(passes).collect();
        assert_eq!(passed, [11, 13]);
    }

    #[test]
    fn what_is_no_message_fails() {
        assert_eq!(read(&[]), Ok(Vec::new()));
        assert_eq!(read(&[0, 0, 0]), Err(ErrorKind::UnexpectedEof));
        assert_eq!(read(&[0, 0, 0, 2, 11]), Err(ErrorKind::UnexpectedEof));
        assert_eq!(read(&[0, 0, 0, 0, 11]), Err(ErrorKind::InvalidData));
    }

    #[test]
    fn the_longest_message_is_bounded() {
        let of_length = |length: u32| {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.resize(4 + length as usize, 13);
            bytes
        };
        assert_eq!(read(&of_length(LENGTH_MAX)).unwrap().len(), 1);
        let longer = of_length(LENGTH_MAX + 1);
        assert_eq!(read(&longer), Err(ErrorKind::InvalidData));
    }
}
