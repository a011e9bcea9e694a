//! A git repository for one test, and events to go with it. Removed when dropped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind, Level, Location, Run, SpanContext, Thread};
use bugsage_core::id::{EventId, RunId};
use bugsage_core::stacktrace::Frame;

use crate::repository::Repository;
use crate::subject::{ReleaseSeen, Subject};

pub(crate) struct TestRepository {
    path: PathBuf,
    commits: AtomicU32,
}

impl TestRepository {
    pub(crate) fn new() -> Self {
        let repository = Self::without_git();
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// A folder that is no repository.
    pub(crate) fn without_git() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bugsage-pipeline-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TestRepository {
            path: path.canonicalize().unwrap(),
            commits: AtomicU32::new(0),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn location(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    pub(crate) fn open(&self) -> Repository {
        Repository::open(&self.location()).unwrap()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits everything, a day after the commit before, and returns the commit's name.
    pub(crate) fn commit(&self, subject: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn commit_file(&self, path: &str, content: &str, subject: &str) -> String {
        self.write(path, content);
        self.commit(subject)
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let day = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        let date = format!("{} +0000", 1_700_000_000 + i64::from(day) * 86_400);
        let output = Command::new("git")
            .current_dir(&self.path)
            .args([
                "-c",
                "core.fsmonitor=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs([
                ("HOME", "/nonexistent"),
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_AUTHOR_NAME", "Ada"),
                ("GIT_AUTHOR_EMAIL", "ada@example.org"),
                ("GIT_COMMITTER_NAME", "Ada"),
                ("GIT_COMMITTER_EMAIL", "ada@example.org"),
                ("GIT_AUTHOR_DATE", &date),
                ("GIT_COMMITTER_DATE", &date),
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for TestRepository {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A panic of `shop`, at the place that the builder is given.
pub(crate) struct EventBuilder(Event);

impl EventBuilder {
    pub(crate) fn panic(message: &str) -> Self {
        let run = Run {
            id: RunId::from_bytes([7; 16]),
            release: None,
            environment: Some("production".into()),
            started_at: Timestamp(1),
            sdk: "bugsage-sdk/0.1.0".into(),
        };
        EventBuilder(Event {
            id: EventId::from_bytes([1; 16]),
            run: Arc::new(run),
            kind: EventKind::Panic,
            level: Level::Fatal,
            count: 1,
            first_at: Timestamp(1_000_000),
            last_at: Timestamp(1_000_000),
            deltas_us: Vec::new(),
            message: message.into(),
            errors: Vec::new(),
            location: None,
            thread: Thread {
                name: Some("worker".into()),
                id: 2,
            },
            stack: None,
            spans: Vec::new(),
            breadcrumbs: Vec::new(),
            tags: Vec::new(),
            user: None,
            contexts: Vec::new(),
            attached: Vec::new(),
            inputs: Vec::new(),
            trace: None,
        })
    }

    pub(crate) fn error(message: &str, chain: &[(&str, &str)]) -> Self {
        let mut event = Self::panic(message).0;
        event.kind = EventKind::Error;
        event.level = Level::Error;
        event.errors = chain
            .iter()
            .map(|(type_name, message)| bugsage_core::event::ErrorLink {
                type_name: Some((*type_name).into()),
                message: (*message).into(),
            })
            .collect();
        EventBuilder(event)
    }

    pub(crate) fn release(mut self, release: &str) -> Self {
        Arc::make_mut(&mut self.0.run).release = Some(release.into());
        self
    }

    pub(crate) fn at(mut self, file: &str, line: u32, column: u32) -> Self {
        self.0.location = Some(Location {
            file: file.into(),
            line,
            column,
        });
        self
    }

    /// Adds a frame of the app, outside of those that are there.
    pub(crate) fn frame(mut self, function: &str, file: &str, line: u32, column: u32) -> Self {
        let frame = Frame {
            function: (!function.is_empty()).then(|| function.into()),
            file: Some(file.into()),
            line: Some(line),
            column: Some(column),
            in_app: true,
            ..Frame::default()
        };
        let stack = self.0.stack.get_or_insert_default();
        Arc::make_mut(stack).frames.push(Arc::new(frame));
        self
    }

    pub(crate) fn span(mut self, name: &str, fields: &[(&str, &str)]) -> Self {
        self.0.spans.push(SpanContext {
            name: name.into(),
            target: "shop".into(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            timing: None,
        });
        self
    }

    pub(crate) fn last_at(mut self, at: u64) -> Self {
        self.0.last_at = Timestamp(at);
        self
    }

    pub(crate) fn build(self) -> Event {
        self.0
    }
}

/// An issue of one event.
pub(crate) fn subject(repository: &TestRepository, event: Event) -> Subject {
    Subject {
        title: event.message.to_string(),
        events: 1,
        users: 0,
        first_seen: event.first_at,
        last_seen: event.last_at,
        samples: vec![event],
        repository: Some(repository.location()),
        releases: Vec::new(),
    }
}

/// A release that was first seen at `at`.
pub(crate) fn release(name: &str, at: u64, has_issue: bool) -> ReleaseSeen {
    let (first_seen, last_seen) = (Timestamp(at), Timestamp(at + 1));
    ReleaseSeen {
        name: name.into(),
        first_seen,
        last_seen,
        has_issue,
    }
}
