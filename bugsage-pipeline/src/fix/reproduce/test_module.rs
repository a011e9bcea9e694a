//! The test module that is added at the end of a file.

use crate::fix::reproduce::Input;
use crate::fix::splice::newline;
use crate::fix::{Edit, Outcome};

/// The width that rustfmt keeps lines within.
const WIDTH_MAX: usize = 100;

/// The width within which rustfmt leaves several arguments on one line.
const ARGUMENTS_WIDTH_MAX: usize = 60;

impl Input {
    /// The test module, as an insertion at the end of the file's text.
    ///
    /// `module` is its name; `arguments` one of [`Input::arguments`]; `is_recorded` whether they are
    /// what was recorded and no mask of it.
    pub fn test(
        &self,
        text: &str,
        module: &str,
        arguments: &[String],
        outcome: Outcome,
        is_recorded: bool,
    ) -> Edit {
        let input = match is_recorded {
            true => "The input as it was recorded when the function panicked.",
            false => "The input has the form of one that was recorded when the function panicked.",
        };
        let name = self.function.rsplit("::").next().unwrap_or_default();
        let name = name.strip_prefix("r#").unwrap_or(name);
        let mut lines = vec![
            String::new(),
            "#[cfg(test)]".to_owned(),
            format!("mod {module} {{"),
            format!("    /// {input}"),
            "    #[test]".to_owned(),
            format!("    fn {name}_does_not_panic() {{"),
        ];
        match outcome {
            Outcome::None | Outcome::Err => {
                let check = if outcome == Outcome::None {
                    "is_none"
                } else {
                    "is_err"
                };
                lines.extend(self.call("let result = ", arguments));
                lines.push(String::new());
                lines.push(format!("        assert!(result.{check}());"));
            }
            Outcome::Any if self.returns_nothing => lines.extend(self.call("", arguments)),
            Outcome::Any => lines.extend(self.call("let _ = ", arguments)),
        }
        lines.extend(["    }".to_owned(), "}".to_owned()]);
        let newline = newline(text);
        let mut inserted = String::new();
        if !text.is_empty() && !text.ends_with('\n') {
            inserted.push_str(newline);
        }
        for line in lines {
            inserted.push_str(&line);
            inserted.push_str(newline);
        }
        Edit {
            start: text.len(),
            end: text.len(),
            text: inserted,
        }
    }

    /// Whether a list of arguments holds texts as they were recorded: the last of several, of which
    /// the others are masks.
    pub fn is_recorded(&self, list: usize) -> bool {
        self.arguments.len() > 1 && list + 1 == self.arguments.len()
    }

    /// The call as rustfmt writes it.
    fn call(&self, before: &str, arguments: &[String]) -> Vec<String> {
        let function = &self.function;
        let joined = arguments.join(", ");
        let line = format!("        {before}{function}({joined});");
        let width = |text: &str| text.chars().count();
        let is_short = arguments.len() == 1 || width(&joined) <= ARGUMENTS_WIDTH_MAX;
        if is_short && width(&line) <= WIDTH_MAX {
            return vec![line];
        }
        let mut lines = vec![format!("        {before}{function}(")];
        lines.extend(
            arguments
                .iter()
                .map(|argument| format!("            {argument},")),
        );
        lines.push("        );".to_owned());
        lines
    }
}
