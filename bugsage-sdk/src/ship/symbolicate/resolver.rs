//! Resolves addresses by the files of their modules.

use std::sync::Arc;

use bugsage_core::stacktrace::{Frame, Module};

use crate::capture::modules;

use super::bare;
use super::dwarf::{Call, Debug};
use super::image::Image;

/// Reads symbols and debug information, and holds on to it while there is more to do.
pub(super) struct Resolver {
    images: Vec<(Arc<Module>, Option<Image>)>,
    bytes_max: u64,
}

impl Resolver {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            images: Vec::new(),
            bytes_max,
        }
    }

    /// Tells the frames of each address, innermost first.
    pub(super) fn resolve(
        &mut self,
        loaded: &[Arc<Module>],
        addresses: &[u64],
        mut tell: impl FnMut(u64, Vec<Frame>),
    ) {
        let mut rest = addresses.to_vec();
        for module in loaded {
            let (here, elsewhere) = rest.iter().partition(|at| modules::contains(module, **at));
            rest = elsewhere;
            let here: Vec<u64> = here;
            if here.is_empty() {
                continue;
            }
            let bytes_max = self.bytes_max;
            let frames = match self.image(module) {
                Some(image) => frames(module, image, &here, bytes_max),
                None => here.iter().map(|at| vec![bare(*at, loaded)]).collect(),
            };
            here.iter().zip(frames).for_each(|(at, it)| tell(*at, it));
        }
        for address in rest {
            tell(address, vec![bare(address, &[])]);
        }
    }

    /// Gives the memory back.
    pub(super) fn rest(&mut self) {
        self.images.clear();
    }

    fn image(&mut self, module: &Arc<Module>) -> Option<&Image> {
        let known = self.images.iter().position(|(known, _)| known == module);
        let at = known.unwrap_or_else(|| {
            let mut image = Image::open(module, self.left());
            if image.as_ref().is_some_and(Image::is_unread) && self.left() < self.bytes_max {
                // It may have room alone.
                self.images.clear();
                image = Image::open(module, self.bytes_max);
            }
            self.images.push((module.clone(), image));
            self.images.len() - 1
        });
        self.images[at].1.as_ref()
    }

    fn left(&self) -> u64 {
        let held = self.images.iter().filter_map(|(_, image)| image.as_ref());
        self.bytes_max.saturating_sub(held.map(Image::bytes).sum())
    }
}

fn frames(module: &Arc<Module>, image: &Image, here: &[u64], bytes_max: u64) -> Vec<Vec<Frame>> {
    // A return address may lie just behind a function whose last instruction is a call.
    let calls = here
        .iter()
        .map(|at| at.wrapping_sub(image.bias).wrapping_sub(1));
    let calls: Vec<u64> = calls.collect();
    let debug = Debug {
        dwarf: image.dwarf(),
        package: image.package(),
        bytes_max,
    };
    let known = debug.look_up(&calls);
    let names = image.function_names(&calls);
    let all = here.iter().zip(known).zip(names);
    all.map(|((address, known), name)| frames_of(module, *address, known, name))
        .collect()
}

fn frames_of(
    module: &Arc<Module>,
    address: u64,
    known: Vec<Call>,
    name: Option<String>,
) -> Vec<Frame> {
    let base = Frame {
        address: address - module.base,
        module: Some(module.clone()),
        ..Frame::default()
    };
    let frames = known.into_iter().map(|call| Frame {
        function: call.function.map(|name| demangled(&name).into()),
        file: call.place.file.map(Into::into),
        line: call.place.line,
        column: call.place.column,
        inlined: true,
        ..base.clone()
    });
    let mut frames: Vec<Frame> = frames.collect();
    if frames.is_empty() {
        frames.push(base);
    }
    if let Some(called) = frames.last_mut() {
        // The last is the function that was called; those before were inlined into it.
        called.inlined = false;
        if let Some(name) = name {
            called.function = Some(demangled(&name).into());
        }
    }
    frames
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
