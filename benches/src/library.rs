//! Libraries with a lot of debug information, made and built when they are first needed.
//!
//! The source is a great many small modules with generic calls in them, as a service with many types
//! has. It is written and compiled below `target/bench-libraries` and kept there: 64 MiB take a quarter
//! of a minute, 300 MiB some minutes. Nothing of it is ever committed.

use std::ffi::{CString, c_void};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

type Callback = extern "C-unwind" fn();

/// One of the many modules; `0` stands for its number.
const MODULE: &str = r#"
pub mod m0 {
    use std::collections::{BTreeMap, HashMap};
    #[derive(Clone, Debug, PartialEq, PartialOrd)]
    pub struct Item { pub a: u64, pub b: String, pub c: Option<Vec<(u32, String)>> }
    #[derive(Clone, Debug, PartialEq)]
    pub enum Kind { A(Item), B { x: Result<Item, String>, y: Box<Item> }, C }
    #[inline(never)]
    pub fn run(n: u64) -> u64 {
        let v: Vec<Item> = (0..n)
            .map(|a| Item { a, b: format!("{a}"), c: Some(vec![(a as u32, String::new())]) })
            .filter(|t| t.a % 3 != 1)
            .collect();
        let m: BTreeMap<String, Item> = v.iter().cloned().map(|t| (t.b.clone(), t)).collect();
        let h: HashMap<u64, Kind> = v.iter()
            .map(|t| (t.a, Kind::B { x: Ok(t.clone()), y: Box::new(t.clone()) }))
            .collect();
        let sum: u64 = m.values().zip(v.iter().rev()).map(|(x, y)| x.a * y.a).sum();
        sum + h.len() as u64 + format!("{h:?}").len() as u64
    }
    #[inline(never)]
    pub fn call(back: extern "C-unwind" fn()) { back(); std::hint::black_box(run as usize); }
}
"#;

/// A library that is loaded.
pub struct Library {
    call: extern "C-unwind" fn(Callback),
    /// How large its debug sections are.
    pub debug_bytes: u64,
}

impl Library {
    /// Builds a library of so many modules, unless it is there, in so many units of debug information.
    ///
    /// # Errors
    ///
    /// Where nothing can be written, or `rustc` fails.
    pub fn build(modules: u32, units: u32) -> anyhow::Result<PathBuf> {
        let target = std::env::current_exe()?;
        let target = target
            .ancestors()
            .nth(2)
            .context("is below the target folder")?;
        let folder = target.join("bench-libraries");
        let path = folder.join(format!("lib{modules}_{units}.so"));
        if path.exists() {
            return Ok(path);
        }
        std::fs::create_dir_all(&folder)?;
        let mut source = String::from("#![allow(warnings)]\n");
        for number in 0..modules {
            let name = format!("mod m{number} ");
            source.push_str(&MODULE.replace("mod m0 ", &name));
        }
        source.push_str("#[unsafe(no_mangle)] pub extern \"C-unwind\" fn call(");
        source.push_str("back: extern \"C-unwind\" fn()) {\n");
        for number in 0..modules {
            writeln!(source, "std::hint::black_box(m{number}::run as usize);")?;
        }
        writeln!(source, "m{}::call(back); }}", modules / 2)?;
        let file = folder.join(format!("{modules}_{units}.rs"));
        std::fs::write(&file, source)?;
        eprintln!("building {}, once", path.display());
        let made = folder.join(format!("made-{}.so", std::process::id()));
        let status = Command::new("rustc")
            .args([
                "--edition=2024",
                "--crate-type=cdylib",
                "--crate-name=large",
            ])
            .args(["-Cdebuginfo=2", "-Clink-arg=-Wl,--build-id"])
            .arg(format!("-Ccodegen-units={units}"))
            .arg("-o")
            .args([&made, &file])
            .status()?;
        if !status.success() {
            bail!("rustc cannot build {}", file.display());
        }
        std::fs::rename(made, &path)?;
        Ok(path)
    }

    /// Loads it, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// Where it cannot be loaded.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let name = CString::new(path.to_string_lossy().as_bytes())?;
        // SAFETY: the library is ours; what it does when it is loaded is std's.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            bail!("{} cannot be loaded", path.display());
        }
        // SAFETY: the handle is good and is never closed.
        let call = unsafe { libc::dlsym(library, c"call".as_ptr()) };
        if call.is_null() {
            bail!("{} has no function `call`", path.display());
        }
        Ok(Self {
            // SAFETY: that is how the library declares it.
            call: unsafe {
                std::mem::transmute::<*mut c_void, extern "C-unwind" fn(Callback)>(call)
            },
            debug_bytes: debug_bytes(path)?,
        })
    }

    /// Calls back from within some calls of its own.
    pub fn call(&self, back: Callback) {
        (self.call)(back);
    }
}

/// The sizes of sections, by the tool that comes with the linker.
fn debug_bytes(path: &Path) -> anyhow::Result<u64> {
    let output = Command::new("size").arg("-A").arg(path).output()?;
    let text = String::from_utf8(output.stdout)?;
    let sizes = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_debug = words.next()?.starts_with(".debug_");
        let size = words.next()?.parse::<u64>().ok()?;
        is_debug.then_some(size)
    });
    Ok(sizes.sum())
}
