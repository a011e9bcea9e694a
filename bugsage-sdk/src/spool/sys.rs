//! The system calls below the spool. Linux alone: elsewhere the spool says that it is unsupported.

use std::fs::File;
use std::io;
use std::path::Path;

use super::layout::Memory;

#[cfg(all(target_os = "linux", not(bugsage_loom)))]
mod linux {
    use std::fs::{DirBuilder, OpenOptions};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::sync::atomic::AtomicU64;

    use rustix::fs::{FallocateFlags, OFlags};
    use rustix::mm::{MapFlags, ProtFlags};

    use super::super::layout;
    use super::*;

    /// Filesystems on which a block that was allocated stays where it is, so that writing to it
    /// cannot need another one: ext2/3/4, XFS, tmpfs, and overlays, whose upper layer is one of
    /// these. Copy-on-write and network filesystems would raise `SIGBUS` in the panic hook where
    /// the disk is full or the server is away.
    const IN_PLACE: [u64; 4] = [0xEF53, 0x5846_5342, 0x0102_1994, 0x794C_7630];

    pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.mode(0o600).custom_flags(flags.bits() as i32)
    }

    pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    pub(crate) fn is_ours(path: &Path) -> io::Result<()> {
        let metadata = std::fs::symlink_metadata(path)?;
        let refusal = if !metadata.is_dir() {
            "is no folder of its own (a link is not followed)"
        } else if metadata.uid() != rustix::process::geteuid().as_raw() {
            "belongs to somebody else"
        } else if metadata.mode() & 0o022 != 0 {
            "can be written by others"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal))
    }

    pub(crate) fn may_grow_to(size_bytes: u64) -> io::Result<()> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
        // Beyond the limit the system would not only refuse, it would send `SIGXFSZ`, which kills.
        if limit.current.is_some_and(|limit| limit < size_bytes) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }

    pub(crate) fn give_back(file: &File, at: u64, size_bytes: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(file, flags, at, size_bytes)?)
    }

    pub(crate) fn map(file: &File) -> io::Result<Memory> {
        let kind = rustix::fs::fstatfs(file)?.f_type as u64;
        if !IN_PLACE.contains(&kind) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        may_grow_to(layout::FILE_BYTES as u64)?;
        // Every block is there before anything is mapped: writing to the mapping cannot fail.
        rustix::fs::fallocate(file, FallocateFlags::empty(), 0, layout::FILE_BYTES as u64)?;
        let (flags, protection) = (MapFlags::SHARED, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: the mapping is new, page-aligned, `FILE_BYTES` long and never unmapped; the file
        // has that length, all of it allocated, and is never shortened. `AtomicU64` may have any
        // bits. The two parts do not overlap: `WORDS * 8 <= WORDS_BYTES`. Nobody else writes to
        // the file while this process lives: it is 0600 in a folder that is 0700 and locked.
        unsafe {
            let at = rustix::mm::mmap(
                std::ptr::null_mut(),
                layout::FILE_BYTES,
                protection,
                flags,
                file,
                0,
            )?;
            let records = at.cast::<u8>().add(layout::WORDS_BYTES);
            let records_bytes = layout::FILE_BYTES - layout::WORDS_BYTES;
            Ok(Memory {
                words: std::slice::from_raw_parts(at.cast::<AtomicU64>(), layout::WORDS),
                records: std::slice::from_raw_parts_mut(records, records_bytes),
                is_file: true,
            })
        }
    }
}

#[cfg(any(not(target_os = "linux"), bugsage_loom))]
mod elsewhere {
    use super::*;

    pub(crate) fn private(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
        options
    }

    pub(crate) fn make_folder(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn make_folders(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_ours(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn may_grow_to(_: u64) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn give_back(_: &File, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn map(_: &File) -> io::Result<Memory> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(any(not(target_os = "linux"), bugsage_loom))]
pub(crate) use elsewhere::{
    give_back, is_ours, make_folder, make_folders, map, may_grow_to, private,
};
#[cfg(all(target_os = "linux", not(bugsage_loom)))]
pub(crate) use linux::{give_back, is_ours, make_folder, make_folders, map, may_grow_to, private};
