//! Packets of a small binary protocol.

#[derive(Debug)]
pub enum PacketError {
    Magic(u8),
    Truncated,
}

pub struct Packet<'a> {
    pub kind: u8,
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let kind = bytes[0];
        if kind != 7 {
            return Err(PacketError::Magic(kind));
        }
        let len = u16::from_be_bytes([bytes[1], bytes[2]]) as usize;
        let body = &bytes[3..3 + len];
        Ok(Packet { kind, body })
    }

    pub fn word(&self, at: usize) -> Option<u32> {
        let word = self.body[at..at + 4].try_into().ok()?;
        Some(u32::from_le_bytes(word))
    }

    pub fn checksum(&self) -> u8 {
        self.body[1..]
            .iter()
            .fold(self.body[0], |sum, byte| sum ^ byte)
    }
}

pub fn mask(buffer: &mut [u8], from: usize, key: &[u8; 4]) -> Option<usize> {
    buffer[from..].reverse();
    for (at, byte) in buffer[from..].iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
    Some(buffer.len() - from)
}
