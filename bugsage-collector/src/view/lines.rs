//! What readers are told of a stack that has no lines.

use bugsage_core::event::{Event, Text};

/// Why a stack has no lines, and what would give it some. `None` where it has them.
pub fn without_lines(event: &Event) -> Option<&'static str> {
    event.stack.as_ref().filter(|stack| !stack.symbolicated)?;
    let told = |(name, value): &(Text, Text)| &**name == "build.debug_info" && &**value != "none";
    Some(match event.contexts.iter().any(told) {
        true => {
            "Not all functions and lines are known: the app ended, or its stacks were too many, before its debug \
             information was read. A longer shutdown_timeout gives it the time."
        }
        false => {
            "Without debug information: build with debug = \"line-tables-only\" to see functions and lines."
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bugsage_core::stacktrace::StackTrace;

    use super::*;
    use crate::store::conformance::panic;

    #[test]
    fn who_has_debug_information_is_not_told_to_build_with_some() {
        let mut event = panic("cart");
        let mut why = |symbolicated, debug_info: Option<&str>| {
            event.stack = Some(Arc::new(StackTrace {
                frames: Vec::new(),
                symbolicated,
            }));
            let told = debug_info.map(|told| ("build.debug_info".into(), told.into()));
            event.contexts = told.into_iter().collect();
            without_lines(&event).unwrap_or("")
        };

        assert_eq!(why(true, Some("inside")), "");
        assert!(why(false, Some("inside")).contains("shutdown_timeout"));
        for none in [Some("none"), None] {
            assert!(why(false, none).contains("line-tables-only"));
        }
    }
}
