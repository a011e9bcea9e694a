//! All layers together: each value with where it came from, or all that is wrong.

use std::fmt;
use std::path::PathBuf;

use super::file::{self, Entry};
use super::nearest;
use super::setting::{SETTINGS, Written};
use super::{Config, FILE};

/// What all variables of ours begin with.
const PREFIX: &str = "BUGSAGE_";

/// What an operator has said, in all places.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Values on the command line.
    pub flags: Vec<Flag>,
    /// Variables of the environment; those of others are ignored.
    pub variables: Vec<(String, String)>,
    /// The file that was named, which must be there.
    pub file: Option<PathBuf>,
    /// The data folder, where a file may be that nobody named.
    pub data: PathBuf,
}

/// A value on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The key of the setting.
    pub key: &'static str,
    /// The flag as it is written.
    pub name: &'static str,
    /// Its value.
    pub text: String,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has set it.
    Default,
    /// A line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What is to be done.
    pub config: Config,
    /// The file that was read, where there is one.
    pub file: Option<PathBuf>,
    /// Where each setting came from, in the order of [`SETTINGS`].
    pub origins: Vec<Origin>,
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Each with its place.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) | Origin::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// Whether a variable of the environment may be about the collector.
pub fn is_ours(variable: &str) -> bool {
    variable.starts_with(PREFIX)
}

impl Sources {
    /// Reads the file and puts the layers one over the other.
    ///
    /// # Errors
    ///
    /// With everything that is wrong in any of them.
    pub fn resolve(&self) -> Result<Resolved, Problems> {
        let in_data = Some(self.data.join(FILE)).filter(|path| path.exists());
        let path = self.file.clone().or(in_data);
        self.resolve_text(path.map(|path| {
            let text = file::read(&path);
            (path, text)
        }))
    }

    /// The same with the text of a file, or the reason why it could not be read.
    ///
    /// # Errors
    ///
    /// With everything that is wrong in any of them.
    pub fn resolve_text(
        &self,
        file: Option<(PathBuf, Result<String, String>)>,
    ) -> Result<Resolved, Problems> {
        let mut layers = Layers {
            resolved: Resolved {
                config: Config::default(),
                file: None,
                origins: vec![Origin::Default; SETTINGS.len()],
            },
            problems: Vec::new(),
        };
        if let Some((path, text)) = file {
            layers.file(path, text);
        }
        layers.variables(&self.variables);
        layers.flags(&self.flags);
        match layers.problems.is_empty() {
            true => Ok(layers.resolved),
            false => Err(Problems(layers.problems)),
        }
    }
}

struct Layers {
    resolved: Resolved,
    problems: Vec<String>,
}

impl Layers {
    fn file(&mut self, path: PathBuf, text: Result<String, String>) {
        let (entries, faults) = match text {
            Ok(text) => file::parse(&text),
            Err(problem) => {
                self.problems.push(format!("{} {problem}", path.display()));
                return;
            }
        };
        let place = |line: usize| format!("{}:{line}", path.display());
        for fault in faults {
            let problem = format!("{}: {}", place(fault.line), fault.message);
            self.problems.push(problem);
        }
        for entry in entries {
            let Some(at) = SETTINGS.iter().position(|it| it.key == entry.key) else {
                let problem = format!("{}: {}", place(entry.line), unknown_key(&entry));
                self.problems.push(problem);
                continue;
            };
            let origin = Origin::File {
                path: path.clone(),
                line: entry.line,
            };
            self.set(at, &entry.written, origin);
        }
        self.resolved.file = Some(path);
    }

    fn variables(&mut self, variables: &[(String, String)]) {
        // Empty is not set: that is how a unit or container file leaves one out.
        for (name, text) in variables.iter().filter(|(_, text)| !text.is_empty()) {
            match SETTINGS.iter().position(|it| it.variable == name) {
                Some(at) => {
                    let origin = Origin::Variable(SETTINGS[at].variable);
                    self.set(at, &Written::Text(text.clone()), origin);
                }
                None => self.problems.extend(unknown_variable(name)),
            }
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        for flag in flags {
            if let Some(at) = SETTINGS.iter().position(|it| it.key == flag.key) {
                let written = Written::Text(flag.text.clone());
                self.set(at, &written, Origin::Flag(flag.name));
            }
        }
    }

    fn set(&mut self, at: usize, written: &Written, origin: Origin) {
        match SETTINGS[at].set(&mut self.resolved.config, written) {
            Ok(()) => self.resolved.origins[at] = origin,
            Err(problem) => self.problems.push(format!("{origin}: {problem}")),
        }
    }
}

fn unknown_key(entry: &Entry) -> String {
    let key = &entry.key;
    let section = format!("{key}.");
    if let Some(inside) = SETTINGS.iter().find(|it| it.key.starts_with(&section)) {
        return format!("{key} is a section: write {} in it", inside.key);
    }
    let keys = SETTINGS.iter().map(|setting| setting.key);
    // The right name in the wrong section, or in none, is meant as well.
    let name = key.rsplit('.').next().unwrap_or(key);
    let names = || SETTINGS.iter().filter_map(|it| it.key.rsplit('.').next());
    let of_name = |name: &str| {
        let mut settings = SETTINGS.iter();
        settings
            .find(|it| it.key.rsplit('.').next() == Some(name))
            .map(|it| it.key)
    };
    let meant = nearest::of(key, keys).or_else(|| of_name(nearest::of(name, names())?));
    match meant {
        Some(meant) => format!("{key} is no setting: did you mean {meant}?"),
        None => format!("{key} is no setting: see `bugsage config show`"),
    }
}

/// The SDK and other parts have variables of their own; but what begins like a section of ours means one
/// of ours.
fn unknown_variable(name: &str) -> Option<String> {
    let mut sections = SETTINGS.iter().filter_map(|it| it.key.split_once('.'));
    let is_section = sections.any(|(section, _)| {
        name.strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix(&section.to_ascii_uppercase()))
            .is_some_and(|rest| rest.starts_with('_'))
    });
    if !is_section {
        // Others begin like ours: the SDK's, and those that Kubernetes makes for a service of this name.
        let rest = |name: &str| name.strip_prefix(PREFIX).map(str::to_ascii_lowercase);
        let known: Vec<String> = SETTINGS.iter().filter_map(|it| rest(it.variable)).collect();
        let meant = nearest::of(&rest(name)?, known.iter().map(String::as_str))?;
        return Some(format!(
            "{name}: is no variable of ours: did you mean {PREFIX}{}?",
            meant.to_ascii_uppercase()
        ));
    }
    let key = name
        .strip_prefix(PREFIX)
        .unwrap_or(name)
        .to_ascii_lowercase();
    if let Some(meant) = SETTINGS.iter().find(|it| it.key.replace('.', "_") == key) {
        return Some(format!(
            "{name}: is no variable of ours: did you mean {}?",
            meant.variable
        ));
    }
    let lower = name.to_ascii_lowercase();
    let known: Vec<String> = SETTINGS
        .iter()
        .map(|it| it.variable.to_ascii_lowercase())
        .collect();
    let meant = nearest::of(&lower, known.iter().map(String::as_str));
    Some(match meant {
        Some(meant) => format!(
            "{name}: is no variable of ours: did you mean {}?",
            meant.to_ascii_uppercase()
        ),
        None => format!("{name}: is no variable of ours: see `bugsage config show`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> (PathBuf, Sources) {
        let name = format!("bugsage-config-{}", uuid::Uuid::new_v4());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("can be written");
        let sources = Sources {
            file: Some(path.clone()),
            ..Sources::default()
        };
        (path, sources)
    }

    #[track_caller]
    fn problems(text: &str) -> Vec<String> {
        let (path, sources) = with_file(text);
        let resolved = sources.resolve();
        std::fs::remove_file(&path).expect("is there");
        let name = path.display().to_string();
        let problems = resolved.expect_err(text);
        let short = problems.lines().iter().map(|it| it.replace(&name, "FILE"));
        short.collect()
    }

    #[test]
    fn a_flag_beats_a_variable_which_beats_the_file_which_beats_the_default() {
        let (path, mut sources) = with_file("listen = \"127.0.0.1:1\"");
        let mut from = |expected: u16| {
            let resolved = sources.resolve().expect("is right");
            assert_eq!(resolved.config.listen.port(), expected);
            if expected == 1 {
                let variable = ("BUGSAGE_LISTEN".to_owned(), "127.0.0.1:2".to_owned());
                sources.variables = vec![variable];
            }
            if expected == 2 {
                sources.flags = vec![Flag {
                    key: "listen",
                    name: "--listen",
                    text: "127.0.0.1:3".to_owned(),
                }];
            }
            resolved.origins[0].to_string()
        };

        let origins = [from(1), from(2), from(3)];

        std::fs::remove_file(&path).expect("is there");
        let in_file = format!("{}:1", path.display());
        assert_eq!(origins, [in_file.as_str(), "BUGSAGE_LISTEN", "--listen"]);
        let nothing = Sources::default().resolve().expect("nothing is right");
        assert_eq!(nothing.config, Config::default());
        assert_eq!(nothing.origins, vec![Origin::Default; SETTINGS.len()]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_line_key_and_suggestion() {
        let text = "listen = 4100\nlgo.level = \"info\"\n[retention]\ndyas = 9\ndays = \"x\"\n";

        let found = problems(text);

        assert_eq!(
            found,
            [
                "FILE:1: listen is the number 4100, and takes an address and a port",
                "FILE:2: lgo.level is no setting: did you mean log.level?",
                "FILE:4: retention.dyas is no setting: did you mean retention.days?",
                "FILE:5: retention.days is `x`, and takes 1 to 3650 days",
            ]
        );
    }

    #[test]
    fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
        assert_eq!(
            problems("connections = 5\ndyas = 5\nlog = \"info\"\n[database]\n"),
            [
                "FILE:1: connections is no setting: did you mean limits.connections?",
                "FILE:2: dyas is no setting: did you mean retention.days?",
                "FILE:3: log is a section: write log.level in it",
                "FILE:4: database is no setting: see `bugsage config show`",
            ]
        );
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let sources = Sources {
            file: Some("/nonexistent/bugsage.toml".into()),
            ..Sources::default()
        };

        let problems = sources.resolve().expect_err("is not there");

        assert!(problems.to_string().contains("/nonexistent/bugsage.toml"));
    }

    #[test]
    fn a_variable_that_is_misspelt_is_wrong_and_those_of_others_are_not() {
        let variable = |name: &str| Sources {
            variables: vec![(name.to_owned(), "5".to_owned())],
            ..Sources::default()
        };

        let wrong = variable("BUGSAGE_RETENTION_DAY").resolve();

        let problems = wrong.expect_err("is misspelt").to_string();
        assert!(problems.contains("BUGSAGE_RETENTION_DAYS?"), "{problems}");
        let section = variable("BUGSAGE_RETENTON_DAYS").resolve();
        let problems = section.expect_err("is misspelt").to_string();
        assert!(problems.contains("BUGSAGE_RETENTION_DAYS?"), "{problems}");
        let by_key = variable("BUGSAGE_LOG_LEVEL").resolve();
        let problems = by_key.expect_err("is another's name").to_string();
        assert!(problems.contains("did you mean BUGSAGE_LOG?"), "{problems}");
        for name in [
            "BUGSAGE_DSN",
            "BUGSAGE_SPOOL_DIR",
            "BUGSAGE_SERVICE_HOST",
            "LIMITS",
        ] {
            assert!(variable(name).resolve().is_ok(), "{name}");
        }
    }
}
