//! Takes a case one stage further.
//!
//! In: a saved [`Case`], its repository and a folder to work in. Out: the same case, changed, for the
//! caller to save.
//! Never: the store, more than one stage, or a result that depends on anything but the case and the
//! repository. Only what a patch depends on may be downloaded.

use std::path::Path;

use bugsage_core::clock::Clock;

use crate::analyze::analyze;
use crate::apply::{ApplyError, apply};
use crate::case::{Case, State, Transition};
use crate::evidence::{Collected, collect};
use crate::limits;
use crate::repository::Repository;
use crate::stages::{self, Proved, Written};
use crate::validate::ValidateError;
use crate::validate::workshop::Workshop;

/// What a stage may use beside the case.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Tells when a transition was made. No stage's result depends on it.
    pub clock: &'a dyn Clock,
    /// Where patches are built and tried; it is made where it is missing.
    pub workshop: &'a Path,
}

/// What came of one call of [`advance`]. The case is to be saved in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The case moved on; there may be more to do.
    Moved(Transition),
    /// The case stands where no stage of this program takes it further: at its end, or before
    /// something that a person decides.
    Waits(State),
}

/// Why a stage came to no result. The case stands where it stood; its attempts are counted.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The caller's fault: a case starts from what is known about its issue.
    #[error("the case has no subject; fill in `subject` from the store, then advance it")]
    NoSubject,
    /// The caller's fault, or a newer version's: a saved case lacks what its state says it has.
    #[error("the case is {state} but has no {missing}; queue it again")]
    Incomplete {
        /// Where the case stands.
        state: State,
        /// What it should have.
        missing: &'static str,
    },
    /// The machine's fault: the repository could not be read now. Worth another try, later.
    #[error("attempt {attempt} of {attempts_max} failed: {source}")]
    Retry {
        /// How often this stage has failed in a row.
        attempt: u32,
        /// After how many the case fails.
        attempts_max: u32,
        /// What went wrong.
        source: ValidateError,
    },
}

impl Stopped {
    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Stopped::Retry { .. })
    }
}

/// Takes a case one stage further.
///
/// # Errors
///
/// [`Stopped::Retry`] asks for another call, later; save the case before, since it counts the
/// attempts. All others are mistakes of the caller.
pub fn advance(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    match case.state {
        State::Queued => freeze_evidence(case, environment),
        State::Analyzing => explain(case, environment),
        State::Analyzed => write_candidates(case, environment),
        State::Fixing => propose(case, environment),
        State::Validating => prove(case, environment),
        State::Applying => put_in_place(case, environment),
        state => Ok(Step::Waits(state)),
    }
}

/// From queued to analyzing: collects the evidence.
fn freeze_evidence(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    let subject = case.subject.as_ref().ok_or(Stopped::NoSubject)?;
    match collect(subject) {
        Ok(Collected::Evidence(evidence)) => {
            let reason = format!("evidence collected at commit {}", evidence.commit.short());
            case.evidence = Some(*evidence);
            Ok(enter(case, environment, State::Analyzing, reason))
        }
        Ok(Collected::Nothing { reason }) => {
            Ok(enter(case, environment, State::NeedsHuman, reason))
        }
        Err(error) => stop(case, environment, error.into()),
    }
}

/// From analyzing to analyzed: explains what happened.
fn explain(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    let state = case.state;
    let incomplete = |missing| Stopped::Incomplete { state, missing };
    let subject = case.subject.as_ref().ok_or(Stopped::NoSubject)?;
    let evidence = case.evidence.as_ref().ok_or(incomplete("evidence"))?;
    let location = subject
        .repository
        .as_deref()
        .ok_or(incomplete("repository"))?;
    let analyzed =
        Repository::open(location).and_then(|repository| analyze(subject, evidence, &repository));
    match analyzed {
        Ok(analysis) => {
            let reason = format!("{} in {}", analysis.class, analysis.function_or_file());
            case.analysis = Some(analysis);
            Ok(enter(case, environment, State::Analyzed, reason))
        }
        Err(error) => stop(case, environment, error.into()),
    }
}

/// From analyzed to fixing: writes what the rules have for the failing place.
fn write_candidates(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    let written = Workshop::new(environment.workshop)
        .map_err(ValidateError::from)
        .and_then(|workshop| stages::write(case, &workshop));
    match written {
        Ok(Written::Candidates(fix)) => {
            let count = fix.candidates.len();
            let candidates = if count == 1 {
                "candidate"
            } else {
                "candidates"
            };
            let reason = format!("{count} {candidates} at commit {}", short(&fix.base.sha));
            case.fix = Some(*fix);
            Ok(enter(case, environment, State::Fixing, reason))
        }
        Ok(Written::Nothing { fix, reason }) => {
            case.fix = fix.map(|fix| *fix);
            Ok(enter(case, environment, State::NeedsHuman, reason))
        }
        Err(error) => stop(case, environment, error),
    }
}

/// From fixing to validating: makes a patch of the next candidate.
fn propose(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    match stages::propose(case) {
        Ok(Some(patch)) => {
            let fix = case.fix.as_ref();
            let chosen = fix.and_then(|fix| fix.chosen());
            let reason = chosen.map_or_else(String::new, |candidate| candidate.claim.clone());
            case.patch = Some(patch);
            case.verdicts.clear();
            Ok(enter(case, environment, State::Validating, reason))
        }
        Ok(None) => {
            let reason = stages::nothing_held(case);
            Ok(enter(case, environment, State::NeedsHuman, reason))
        }
        Err(error) => stop(case, environment, error),
    }
}

/// From validating to ready, or back to fixing for the next candidate.
fn prove(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    let proved = Workshop::new(environment.workshop)
        .map_err(ValidateError::from)
        .and_then(|workshop| stages::prove(case, &workshop));
    match proved {
        Ok(Proved::Holds { reason }) => Ok(enter(case, environment, State::Ready, reason)),
        Ok(Proved::Refused { reason }) => Ok(enter(case, environment, State::Fixing, reason)),
        Err(error) => stop(case, environment, error),
    }
}

/// From applying to applied: writes the branch.
fn put_in_place(case: &mut Case, environment: &Environment<'_>) -> Result<Step, Stopped> {
    let applied = stages::repository(case)
        .map_err(ApplyError::from)
        .and_then(|repository| apply(case, &repository));
    match applied {
        Ok(branch) => {
            let reason = format!("branch {} at {}", branch.name, short(&branch.commit));
            case.branch = Some(branch);
            Ok(enter(case, environment, State::Applied, reason))
        }
        Err(ApplyError::Repository(error)) => stop(case, environment, error.into()),
        Err(refused) => {
            // The proof still holds; what is in the way is not in the patch.
            let reason = refused.to_string();
            case.approval = None;
            Ok(enter(case, environment, State::Ready, reason))
        }
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// What may pass by itself is tried again, some times; what does not is for a person to mend.
fn stop(
    case: &mut Case,
    environment: &Environment<'_>,
    error: ValidateError,
) -> Result<Step, Stopped> {
    if !error.is_retryable() {
        return Ok(enter(
            case,
            environment,
            State::NeedsHuman,
            error.to_string(),
        ));
    }
    case.attempts += 1;
    case.updated_at = environment.clock.now();
    if case.attempts >= limits::ATTEMPTS_MAX {
        let reason = format!("gave up after {} attempts: {error}", case.attempts);
        return Ok(enter(case, environment, State::Failed, reason));
    }
    Err(Stopped::Retry {
        attempt: case.attempts,
        attempts_max: limits::ATTEMPTS_MAX,
        source: error,
    })
}

fn enter(case: &mut Case, environment: &Environment<'_>, to: State, reason: String) -> Step {
    let transition = case.enter(to, environment.clock.now(), "system", reason);
    Step::Moved(transition.expect("stages move a case only along the table, as its tests prove"))
}

#[cfg(test)]
mod tests {
    use bugsage_core::clock::Timestamp;
    use bugsage_core::id::CaseId;

    use super::*;
    use crate::repository::testing::{EventBuilder, TestRepository, release, subject};
    use crate::subject::Subject;

    struct FixedClock(u64);

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0)
        }
    }

    fn case(subject: Subject) -> Case {
        let mut case = Case::new(CaseId::from_bytes([1; 16]), 1, 2, Timestamp(5));
        case.subject = Some(subject);
        case
    }

    fn step(case: &mut Case, at: u64) -> Result<Step, Stopped> {
        let clock = FixedClock(at);
        let workshop = TestRepository::without_git();
        let environment = Environment {
            clock: &clock,
            workshop: workshop.path(),
        };
        advance(case, &environment)
    }

    /// What a killed worker leaves behind: the document as it was saved.
    fn saved(case: &Case) -> Case {
        serde_json::from_str(&serde_json::to_string(case).unwrap()).unwrap()
    }

    fn without_times(case: &Case) -> serde_json::Value {
        let mut case = case.clone();
        case.updated_at = Timestamp(0);
        case.history
            .iter_mut()
            .for_each(|transition| transition.at = Timestamp(0));
        serde_json::to_value(case).unwrap()
    }

    fn shop() -> (TestRepository, Subject) {
        let repository = TestRepository::new();
        let source = "pub fn pick(v: &[u8], i: usize) -> u8 {\n    v[i]\n}\n";
        repository.commit_file("src/lib.rs", "pub fn pick() {}\n", "first");
        repository.git(&["tag", "v1.0.0"]);
        repository.commit_file("src/lib.rs", source, "second");
        repository.git(&["tag", "v1.1.0"]);
        let event = EventBuilder::panic("index out of bounds: the len is 1 but the index is 1")
            .release("shop@1.1.0")
            .at("src/lib.rs", 2, 5)
            .span("pick", &[("i", "1")])
            .build();
        let mut subject = subject(&repository, event);
        subject.releases = vec![
            release("shop@1.0.0", 1, false),
            release("shop@1.1.0", 2, true),
        ];
        (repository, subject)
    }

    #[test]
    fn a_case_goes_one_stage_at_a_time_until_a_person_is_needed() {
        let (_repository, subject) = shop();
        let mut case = case(subject);

        let states: Vec<State> = (10..13)
            .map(|at| {
                step(&mut case, at).unwrap();
                case.state
            })
            .collect();

        // The repository is no package, so no fix can be tried.
        assert_eq!(
            states,
            [State::Analyzing, State::Analyzed, State::NeedsHuman]
        );
        assert!(case.reason().unwrap().contains("belongs to no package"));
        assert_eq!(case.updated_at, Timestamp(12));
        assert!(matches!(
            step(&mut case, 20),
            Ok(Step::Waits(State::NeedsHuman))
        ));
        let analysis = case.analysis.unwrap();
        assert_eq!(analysis.class, "index_out_of_bounds");
        assert_eq!(analysis.suspect_commit.unwrap().subject, "second");
    }

    #[test]
    fn a_case_that_was_killed_between_stages_comes_to_the_same_end() {
        let (_repository, subject) = shop();
        let mut whole = case(subject.clone());
        step(&mut whole, 10).unwrap();
        step(&mut whole, 11).unwrap();

        for kill_before in 0..2 {
            let mut case = case(subject.clone());
            for stage in 0..2 {
                if stage == kill_before {
                    // This worker dies before it saves; another one starts from what was saved.
                    let mut lost = saved(&case);
                    step(&mut lost, 70).unwrap();
                }
                case = saved(&case);
                step(&mut case, 80 + stage).unwrap();
            }
            assert_eq!(without_times(&saved(&case)), without_times(&whole));
        }
    }

    #[test]
    fn a_later_commit_changes_nothing_for_a_case_whose_evidence_is_frozen() {
        let (repository, subject) = shop();
        let mut before = case(subject.clone());
        step(&mut before, 10).unwrap();
        let mut after = saved(&before);

        step(&mut before, 11).unwrap();
        repository.commit_file("src/lib.rs", "// gone\n", "third");
        step(&mut after, 11).unwrap();

        assert_eq!(without_times(&before), without_times(&after));
    }

    #[test]
    fn the_saved_document_has_the_field_names_that_tools_rely_on() {
        let (_repository, subject) = shop();
        let mut case = case(subject);
        step(&mut case, 10).unwrap();
        step(&mut case, 11).unwrap();

        let document = serde_json::to_value(&case).unwrap();

        for field in [
            "id", "project", "issue", "state", "subject", "evidence", "attempts", "history",
        ] {
            assert!(document.get(field).is_some(), "{field}");
        }
        for field in [
            "class",
            "root_cause",
            "function",
            "file",
            "line",
            "confidence",
            "reasons",
            "suspect_commit",
        ] {
            assert!(document["analysis"].get(field).is_some(), "{field}");
        }
        assert_eq!(document["state"], "analyzed");
        let message = &document["evidence"]["report"]["message"]["untrusted"];
        assert!(
            message.as_str().unwrap().starts_with("index out of bounds"),
            "{message}"
        );
    }

    #[test]
    fn a_case_without_usable_source_waits_for_a_person_and_says_for_what() {
        let (repository, subject) = shop();
        let reason = |change: &dyn Fn(&mut Subject)| {
            let mut subject = subject.clone();
            change(&mut subject);
            let mut case = case(subject);
            step(&mut case, 10).unwrap();
            assert_eq!(case.state, State::NeedsHuman);
            case.reason().unwrap().to_owned()
        };

        let none = reason(&|subject| subject.repository = None);
        let url = reason(&|subject| subject.repository = Some("https://example.org/a.git".into()));
        let gone = reason(&|subject| subject.repository = Some("/no/such/folder".into()));
        let empty = reason(&|subject| subject.samples.clear());
        let foreign = reason(&|subject| {
            subject.samples[0].location.as_mut().unwrap().file = "other/main.rs".into();
        });
        let short = reason(&|subject| subject.samples[0].location.as_mut().unwrap().line = 99);

        assert!(none.contains("has no repository"), "{none}");
        assert!(url.contains("is a URL"), "{url}");
        assert!(gone.contains("/no/such/folder"), "{gone}");
        assert!(empty.contains("no event"), "{empty}");
        assert!(foreign.contains("other/main.rs is not there"), "{foreign}");
        assert!(short.contains("src/lib.rs has no line 99"), "{short}");
        let unborn = TestRepository::new();
        let unborn = reason(&|subject| subject.repository = Some(unborn.location()));
        assert!(unborn.contains("has no commit"), "{unborn}");
        drop(repository);
    }

    #[test]
    fn a_repository_that_cannot_be_read_is_tried_again_and_then_given_up() {
        let (repository, subject) = shop();
        let mut case = case(subject);
        step(&mut case, 10).unwrap();
        // The objects are gone, the repository is still one.
        let objects = repository.path().join(".git/objects");
        std::fs::remove_dir_all(&objects).unwrap();
        std::fs::create_dir(&objects).unwrap();

        for attempt in 1..limits::ATTEMPTS_MAX {
            let stopped = step(&mut case, 20).unwrap_err();
            assert!(stopped.is_retryable(), "{stopped}");
            assert_eq!((case.state, case.attempts), (State::Analyzing, attempt));
        }
        step(&mut case, 30).unwrap();

        assert_eq!(case.state, State::Failed);
        assert!(
            case.reason().unwrap().contains("gave up after 5 attempts"),
            "{:?}",
            case.reason()
        );
    }

    #[test]
    fn a_caller_that_leaves_something_out_is_told() {
        let mut empty = Case::new(CaseId::from_bytes([1; 16]), 1, 2, Timestamp(5));
        assert!(matches!(step(&mut empty, 10), Err(Stopped::NoSubject)));

        let (_repository, subject) = shop();
        let mut torn = case(subject);
        torn.state = State::Analyzing;
        let stopped = step(&mut torn, 10).unwrap_err();
        assert!(matches!(
            stopped,
            Stopped::Incomplete {
                missing: "evidence",
                ..
            }
        ));
        assert!(!stopped.is_retryable());
    }

    // Everything named so needs a sandbox to run.
    mod sandboxed {
        use super::*;
        use crate::review::{Decision, approve, begin_to_apply};
        use crate::validate::sandbox::Sandbox;

        const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

        /// The shop as a package that builds, with a second failure that no rule mends.
        fn package() -> (TestRepository, Subject) {
            let (repository, subject) = shop();
            let manifest = "[package]\nname = \"shop\"\nversion = \"1.1.0\"\nedition = \"2024\"\n";
            repository.write("Cargo.toml", manifest);
            let lock = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"1.1.0\"\n";
            repository.write("Cargo.lock", lock);
            let source = "pub fn pick(v: &[u8], i: usize) -> Option<u8> {\n    Some(v[i])\n}\n";
            repository.commit_file("src/lib.rs", source, "as a package");
            repository.git(&["tag", "v1.2.0"]);
            let event = EventBuilder::panic("index out of bounds: the len is 1 but the index is 1")
                .release("shop@1.2.0")
                .at("src/lib.rs", 2, 10)
                .span("pick", &[("v", "[7]"), ("i", "1")])
                .build();
            let mut subject = Subject {
                samples: vec![event],
                ..subject
            };
            subject.releases.push(release("shop@1.2.0", 3, true));
            (repository, subject)
        }

        /// Runs a stage in a workshop that lasts.
        fn step_in(case: &mut Case, folder: &TestRepository, at: u64) -> Step {
            let clock = FixedClock(at);
            let environment = Environment {
                clock: &clock,
                workshop: folder.path(),
            };
            advance(case, &environment).unwrap()
        }

        /// Without what differs from one run of the same stage to the next.
        fn settled(case: &Case) -> serde_json::Value {
            let mut case = case.clone();
            for verdict in &mut case.verdicts {
                verdict.seconds = 0.0;
                verdict.output = None;
            }
            if let Some(approval) = &mut case.approval {
                approval.at = Timestamp(0);
                approval.expires_at = Timestamp(0);
            }
            without_times(&case)
        }

        #[test]
        fn a_case_that_was_killed_at_any_stage_comes_to_the_same_end_and_is_applied_once() {
            Sandbox::find().expect("a sandbox");
            let (repository, subject) = package();
            let folder = TestRepository::without_git();
            let head = repository.git(&["rev-parse", "HEAD"]).trim().to_owned();
            let whole = |killed_before: Option<State>| {
                let mut case = case(subject.clone());
                for at in 100..140 {
                    if Some(case.state) == killed_before {
                        // This worker dies before it saves; another one starts from what was saved.
                        step_in(&mut saved(&case), &folder, 70);
                    }
                    let step = step_in(&mut case, &folder, at);
                    case = saved(&case);
                    if let Step::Waits(State::Ready) = step {
                        let decision = Decision {
                            actor: "local:ada",
                            // The commit bears the time of the approval.
                            at: Timestamp(9_000_000),
                            head: &head,
                            sha256: None,
                        };
                        approve(&mut case, &decision, HOUR).unwrap();
                        begin_to_apply(&mut case, &decision).unwrap();
                    } else if matches!(step, Step::Waits(_)) {
                        break;
                    }
                }
                case
            };

            let expected = whole(None);
            assert_eq!(expected.state, State::Applied, "{:?}", expected.history);
            for state in [
                State::Queued,
                State::Analyzing,
                State::Analyzed,
                State::Fixing,
                State::Validating,
                State::Applying,
            ] {
                assert_eq!(settled(&whole(Some(state))), settled(&expected), "{state}");
            }
            let branch = expected.branch.unwrap().name;
            assert_eq!(
                repository.git(&["rev-list", "--count", &branch]).trim(),
                "4"
            );
        }
    }
}
