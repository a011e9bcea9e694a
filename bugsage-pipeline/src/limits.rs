//! How much the stages read, run and keep, with the reason for each bound.
//!
//! Repositories and events are written by others: whatever they hold, a stage ends.

use std::time::Duration;

/// One run of `git`. Blame and line history of a large file take seconds, not minutes.
pub const GIT_TIME_MAX: Duration = Duration::from_secs(30);

/// What one run of `git` may print: the tree of a repository with 200,000 files.
pub const GIT_OUTPUT_BYTES_MAX: usize = 32 << 20;

/// What is kept of git's complaint, for the reason that a person reads.
pub const GIT_COMPLAINT_BYTES_MAX: usize = 400;

/// A source file. Hand-written ones are far below; generated ones explain nothing.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Files read for one case: a stack crosses few.
pub const SOURCE_FILES_MAX: usize = 16;

/// Parts of a path of an event that are compared with the tree.
pub const PATH_PARTS_MAX: usize = 64;

/// A line of source in a document; minified or generated lines are cut.
pub const LINE_BYTES_MAX: usize = 400;

/// Lines shown before and after a frame's line.
pub const LINES_AROUND: u32 = 6;

/// Frames of the evidence: the inner part of a stack, where causes are.
pub const FRAMES_MAX: usize = 24;

/// Lines blamed at once. A longer function is blamed around its failing line.
pub const BLAME_LINES_MAX: u32 = 400;

/// Commits since the last release without the bug, newest first.
pub const COMMITS_MAX: usize = 200;

/// Commits asked for that changed one function: only the last ones can be the cause.
pub const FUNCTION_COMMITS_MAX: usize = 40;

/// Releases of a project that are looked at.
pub const RELEASES_MAX: usize = 1_000;

/// Events of an issue that are looked at.
pub const SAMPLES_MAX: usize = 20;

/// Distinct values and messages kept of the samples.
pub const VALUES_MAX: usize = 5;

/// A text from an event in the evidence: enough to read, too little to flood.
pub const UNTRUSTED_BYTES_MAX: usize = 2 << 10;

/// A piece of source or of an event inside a sentence.
pub const QUOTE_BYTES_MAX: usize = 120;

/// How deep the tokens of a source file may stand inside each other: nested brackets plus the longest
/// run without a separator on the way. Parsers recurse; a file above this would exhaust the stack of
/// [`PARSER_STACK_BYTES`].
pub const SYNTAX_DEPTH_MAX: usize = 4_096;

/// The stack of the thread that parses: 64 KiB for each level. Only what is used is backed by memory.
pub const PARSER_STACK_BYTES: usize = 256 << 20;

/// Definitions followed from the failing expression back to where its values come from.
pub const TRACE_DEPTH_MAX: usize = 4;

/// Sentences of a root cause: what does not fit helps nobody.
pub const SENTENCES_MAX: usize = 12;

/// Tries of a stage whose failure may pass by itself, before the case fails.
pub const ATTEMPTS_MAX: u32 = 5;

/// Transitions kept in a case; the oldest are left out first.
pub const HISTORY_MAX: usize = 200;

/// One run of the sandbox: building a large workspace for the first time.
pub const SANDBOX_WALL_MAX: Duration = Duration::from_secs(40 * 60);

/// Memory of a run: linking a large program in debug mode.
pub const SANDBOX_MEMORY_BYTES_MAX: u64 = 6 << 30;

/// Processes and threads of a run: cargo, a compiler for each core with its threads, tests.
pub const SANDBOX_PROCESSES_MAX: u32 = 1_024;

/// The largest file of a run: a program with its debug information.
pub const SANDBOX_FILE_BYTES_MAX: u64 = 2 << 30;

/// What a run may write: sources, and a target folder twice (its archive is made inside too).
pub const SANDBOX_DISK_BYTES_MAX: u64 = 12 << 30;

/// What a run may print: the logs of its commands, or an archive of its target folder.
pub const SANDBOX_OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// What is kept of a program's complaint.
pub const COMPLAINT_BYTES_MAX: usize = 8 << 10;

/// All files of a commit together: what a run unpacks for each candidate.
pub const SNAPSHOT_BYTES_MAX: u64 = 512 << 20;

/// One command inside the sandbox.
pub const STEP_TIME_MAX: Duration = Duration::from_secs(20 * 60);

/// What is read of one command's output. Beyond it nothing is proved.
pub const LOG_BYTES_MAX: u64 = 8 << 20;

/// What is kept of a gate's output for its reader: its end.
pub const EVIDENCE_BYTES_MAX: usize = 12 << 10;

/// Downloading what a workspace depends on.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(10 * 60);

/// What `cargo metadata` may print about the packages of one workspace.
pub const METADATA_BYTES_MAX: usize = 32 << 20;

/// Files that are laid out for cargo to read manifests from.
pub const FETCH_FILES_MAX: usize = 50_000;

/// The target folder of a base commit, as an archive.
pub const BASE_BYTES_MAX: u64 = 8 << 30;

/// Base commits whose target folders are kept, the last used ones.
pub const BASES_MAX: usize = 3;

/// Files that a patch may change: most fixes of panics change one.
pub const PATCH_FILES_MAX: usize = 2;

/// Lines that a patch may change beside its test: the median of human fixes is 12.
pub const PATCH_LINES_MAX: usize = 30;

/// How long an approval may hold: what was right a week ago may not be.
pub const APPROVAL_TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long it holds where nobody says otherwise: a day's work.
pub const APPROVAL_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Candidates for one failing place: each is compiled and run, which takes its time.
pub const CANDIDATES_MAX: usize = 8;
