//! Files and other bytes that are none of the run's.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Outcome, must_all_fail, must_fail, sys};

/// Files in `/proc` may be without end, and nothing that is looked for is large.
const FILE_BYTES_MAX: usize = 64 << 10;

/// Where this process may write: the run's own folder inside, the system's outside.
pub(crate) fn temporary() -> String {
    std::env::var("PROBE_FOLDER").unwrap_or_else(|_| "/build/tmp".to_owned())
}

/// Reads a file, or lists a folder.
pub(crate) fn reads(path: &str) -> Outcome {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => must_fail("list", fs::read_dir(path)),
        Ok(_) => must_fail("read", first_bytes(Path::new(path))),
        Err(error) => Outcome::Held(error.to_string()),
    }
}

/// Opens what is there for writing, and writes nothing.
pub(crate) fn writes(path: &str) -> Outcome {
    let file = fs::File::options().append(true).open(path);
    let chmod = CString::new(path)
        .map_err(std::io::Error::other)
        .and_then(|path| {
            // To what it is.
            let mode = fs::metadata(&*path.to_string_lossy())?.permissions().mode() as usize;
            sys::call(libc::SYS_chmod, [path.as_ptr() as usize, mode])
        });
    must_all_fail([must_fail("open", file), must_fail("change its mode", chmod)])
}

/// Makes a file in a folder.
pub(crate) fn creates(folder: &str) -> Outcome {
    let path = format!("{folder}/probe-{}", std::process::id());
    let made = fs::write(&path, "probe");
    let _ = fs::remove_file(&path);
    must_fail("made", made)
}

/// Moves or links a file to where this process may write.
pub(crate) fn links(path: &str) -> Outcome {
    let to = format!("{}/linked-{}", temporary(), std::process::id());
    let linked = fs::hard_link(path, &to);
    let _ = fs::remove_file(&to);
    must_all_fail([
        must_fail("link", linked),
        must_fail("move", fs::rename(path, &to)),
    ])
}

/// Looks for a text wherever a process's secrets may lie: environments, command lines, open files.
/// The text is given backwards, since this process has its own command line.
pub(crate) fn finds(backwards: &str) -> Outcome {
    let text: String = backwards.chars().rev().collect();
    let mut n_read = 0;
    for process in entries(Path::new("/proc")) {
        if process
            .file_name()
            .is_none_or(|name| !name.as_encoded_bytes()[0].is_ascii_digit())
        {
            continue;
        }
        let mut places = vec![process.join("environ"), process.join("cmdline")];
        places.extend(entries(&process.join("fd")));
        for place in places {
            // Reading a pipe or a terminal would wait.
            if !fs::metadata(&place).is_ok_and(|found| found.is_file()) {
                continue;
            }
            let Ok(bytes) = first_bytes(&place) else {
                continue;
            };
            n_read += 1;
            if bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
            {
                return Outcome::BrokeOut(format!("it is in {}", place.display()));
            }
        }
    }
    match n_read {
        0 => Outcome::BrokeOut("nothing was looked at".to_owned()),
        n_read => Outcome::Held(format!("not in {n_read} places")),
    }
}

/// A folder may hold nothing but what is listed: `/path:name,name`.
pub(crate) fn lists(folder_and_names: &str) -> Outcome {
    let (folder, names) = folder_and_names.split_once(':').expect("is FOLDER:NAMES");
    let names: Vec<&str> = names.split(',').collect();
    let found = entries(Path::new(folder));
    let mut others = found
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .filter(|name| !names.contains(name));
    match others.next() {
        Some(other) => Outcome::BrokeOut(format!("there is {other}")),
        None => Outcome::Held(format!("{} entries", found.len())),
    }
}

/// Makes a device of its own: the machine's memory, or a disk.
pub(crate) fn device() -> Outcome {
    let path = format!("{}/device-{}", temporary(), std::process::id());
    let path_c = CString::new(&*path).expect("has no zero");
    let make = |mode: libc::mode_t, device: u64| {
        let arguments = [
            path_c.as_ptr() as usize,
            (mode | 0o600) as usize,
            device as usize,
        ];
        let made = sys::call(libc::SYS_mknod, arguments);
        let _ = fs::remove_file(&path);
        made
    };
    must_all_fail([
        must_fail("a disk", make(libc::S_IFBLK, libc::makedev(254, 0))),
        must_fail("memory", make(libc::S_IFCHR, libc::makedev(1, 1))),
    ])
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    file.take(FILE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
