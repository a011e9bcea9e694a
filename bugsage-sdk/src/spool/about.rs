//! The facts about a run that its reports need when somebody else ships them.

use std::sync::Arc;

use bugsage_core::checksum::crc32c;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Pairs, Run};
use bugsage_core::id::RunId;
use bugsage_core::limits;
use bugsage_core::stacktrace::Module;

use crate::record::{Buffer, Reader, Space, Writer};

/// What is known about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) run: Arc<Run>,
    /// The program's file: which of the runs in a folder were ours.
    pub(crate) executable: String,
    pub(crate) contexts: Pairs,
    /// Where binaries and libraries lay, so that addresses mean something later.
    pub(crate) modules: Vec<Arc<Module>>,
}

impl About {
    /// A run of which only the id is known.
    pub(crate) fn unknown(run: RunId) -> Self {
        Self {
            run: Arc::new(Run {
                id: run,
                release: None,
                environment: None,
                started_at: Timestamp(0),
                sdk: concat!("bugsage-sdk@", env!("CARGO_PKG_VERSION")).into(),
            }),
            executable: String::new(),
            contexts: Vec::new(),
            modules: Vec::new(),
        }
    }

    /// Behind a checksum; modules for which there is no room are left out.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; limits::SPOOL_ABOUT_BYTES_MAX - 4];
        let mut space = Buffer::new(&mut buffer);
        let mut out = Writer::new(&mut space);
        let id = u128::from_be_bytes(self.run.id.to_bytes());
        out.u64((id >> 64) as u64);
        out.u64(id as u64);
        out.u64(self.run.started_at.0);
        for name in [&self.run.release, &self.run.environment] {
            out.text(name.as_deref().unwrap_or(""), limits::NAME_BYTES_MAX);
        }
        out.text(&self.run.sdk, limits::NAME_BYTES_MAX);
        out.text(&self.executable, limits::VALUE_BYTES_MAX);
        let contexts = self.contexts.iter().take(limits::PAIRS_MAX);
        out.u16(contexts.len() as u16);
        for (name, value) in contexts {
            out.text(name, limits::KEY_BYTES_MAX);
            out.text(value, limits::VALUE_BYTES_MAX);
        }
        let count_at = out.reserve_count();
        let mut count = 0;
        for module in self.modules.iter().take(limits::MODULES_MAX) {
            if out.room() < 32 + module.path.len() + module.build_id.len() {
                break;
            }
            out.text(&module.path, limits::VALUE_BYTES_MAX);
            out.text(&module.build_id, limits::NAME_BYTES_MAX);
            out.u64(module.base);
            out.u64(module.size);
            count += 1;
        }
        out.set_count(count_at, count);
        let length = space.written();
        buffer.truncate(length);
        let mut bytes = crc32c(&buffer).to_le_bytes().to_vec();
        bytes.extend_from_slice(&buffer);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (crc, body) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32c(body) {
            return None;
        }
        let mut from = Reader::new(body);
        let id = u128::from(from.u64()?) << 64 | u128::from(from.u64()?);
        let started_at = Timestamp(from.u64()?);
        let (release, environment) = (from.text()?, from.text()?);
        let name = |name: &str| (!name.is_empty()).then(|| name.into());
        let run = Run {
            id: RunId::from_bytes(id.to_be_bytes()),
            release: name(release),
            environment: name(environment),
            started_at,
            sdk: from.text()?.into(),
        };
        let executable = from.text()?.to_owned();
        let mut contexts = Vec::new();
        for _ in 0..from.u16()? {
            contexts.push((from.text()?.into(), from.text()?.into()));
        }
        let mut modules = Vec::new();
        for _ in 0..from.u16()? {
            modules.push(Arc::new(Module {
                path: from.text()?.into(),
                build_id: from.text()?.into(),
                base: from.u64()?,
                size: from.u64()?,
            }));
        }
        Some(Self {
            run: Arc::new(run),
            executable,
            contexts,
            modules,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn about() -> About {
        About {
            run: Arc::new(Run {
                id: RunId::from_bytes([3; 16]),
                release: Some("shop@1.0.0".into()),
                environment: None,
                started_at: Timestamp(7),
                sdk: "sdk".into(),
            }),
            executable: "/usr/bin/shop".to_owned(),
            contexts: vec![("os.name".into(), "linux".into())],
            modules: vec![Arc::new(Module {
                path: "/usr/bin/shop".into(),
                build_id: "00ff".into(),
                base: 0x1000,
                size: 0x2000,
            })],
        }
    }

    #[test]
    fn facts_are_read_as_they_were_written() {
        assert_eq!(About::from_bytes(&about().to_bytes()), Some(about()));
    }

    proptest! {
        #[test]
        fn facts_with_a_flipped_bit_are_none(at: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = about().to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(About::from_bytes(&bytes), None);
        }

        #[test]
        fn any_bytes_are_facts_or_none(mut bytes in prop::collection::vec(any::<u8>(), 4..200)) {
            let crc = crc32c(&bytes[4..]).to_le_bytes();
            bytes[..4].copy_from_slice(&crc);
            let _ = About::from_bytes(&bytes);
        }
    }
}
