//! Where something stands in the subject's source.

use bugsage_core::event::Location;
use bugsage_core::stacktrace::Frame;

/// A line of the subject that ends in `// here: NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    file: &'static str,
    line: u32,
}

/// Finds a place in `panics.rs`.
#[track_caller]
pub(crate) fn in_panics(name: &str) -> Place {
    find(
        "panics.rs",
        include_str!("../programs/subject/panics.rs"),
        name,
    )
}

/// Finds a place in `errors.rs`.
#[track_caller]
pub(crate) fn in_errors(name: &str) -> Place {
    find(
        "errors.rs",
        include_str!("../programs/subject/errors.rs"),
        name,
    )
}

/// Finds a place in the library that stories load.
#[track_caller]
pub(crate) fn in_plugin(name: &str) -> Place {
    find(
        "plugin.rs",
        include_str!("../programs/plugin/plugin.rs"),
        name,
    )
}

#[track_caller]
fn find(file: &'static str, source: &str, name: &str) -> Place {
    let mark = format!("// here: {name}");
    let at = source.lines().position(|line| line.ends_with(&mark));
    let at = at.unwrap_or_else(|| panic!("{mark:?} is not in {file}"));
    Place {
        file,
        line: at as u32 + 1,
    }
}

impl Place {
    /// Checks that a report names this place.
    #[track_caller]
    pub(crate) fn is(self, location: Option<&Location>) {
        let location = location.expect("a place is told");
        assert_eq!(
            Some(self),
            Self::of(&location.file, location.line),
            "{location:?}"
        );
    }

    /// Checks that a frame is in this place, in a function whose name ends so, in code of the app.
    #[track_caller]
    pub(crate) fn is_called(self, frame: &Frame, function: &str) {
        let known = frame.function.as_deref().expect("the function is known");
        assert!(known.ends_with(function), "{known} is not {function}");
        let file = frame.file.as_deref().expect("the file is known");
        let line = frame.line.expect("the line is known");
        assert_eq!(Some(self), Self::of(file, line), "{frame:?}");
        assert!(frame.in_app, "{frame:?}");
    }

    fn of(file: &str, line: u32) -> Option<Self> {
        let file = match file.rsplit_once("tests/programs/")?.1 {
            "subject/panics.rs" => "panics.rs",
            "subject/errors.rs" => "errors.rs",
            "plugin/plugin.rs" => "plugin.rs",
            _ => return None,
        };
        Some(Self { file, line })
    }
}
