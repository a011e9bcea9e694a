//! What the stages fix and validate make of a case.
//!
//! In: a case with its evidence and analysis. Out: candidates, then a patch, then its proof.
//! Never: a change of the case's state; [`crate::run`] does that.

use crate::analyze::with_tree;
use crate::case::{Case, Fix, Trial};
use crate::evidence::quote;
use crate::fix::{self, Edit, Site};
use crate::limits;
use crate::patch::{Change, Patch};
use crate::repository::{Repository, RepositoryError, Snapshot};
use crate::review::whole_patch;
use crate::validate::score::{self, Assessment};
use crate::validate::toolchain::{self, Toolchain};
use crate::validate::workshop::Workshop;
use crate::validate::workspace::Workspace;
use crate::validate::{self, Gate, Reproduction, Task, ValidateError, Verdict};

/// What came of writing candidates.
pub(crate) enum Written {
    /// Some.
    Candidates(Box<Fix>),
    /// None; the reason is for a person.
    Nothing {
        fix: Option<Box<Fix>>,
        reason: String,
    },
}

/// What came of a proof.
pub(crate) enum Proved {
    /// The patch passed every gate.
    Holds { reason: String },
    /// It did not; the next one is to be tried.
    Refused { reason: String },
}

/// Opens the case's repository.
pub(crate) fn repository(case: &Case) -> Result<Repository, RepositoryError> {
    let location = case
        .subject
        .as_ref()
        .and_then(|subject| subject.repository.as_deref());
    Repository::open(location.unwrap_or_default())
}

/// Writes the candidates for the failing place, at what is checked out now.
pub(crate) fn write(case: &Case, workshop: &Workshop) -> Result<Written, ValidateError> {
    let nothing = |reason: String| Ok(Written::Nothing { fix: None, reason });
    let (Some(evidence), Some(analysis)) = (&case.evidence, &case.analysis) else {
        return nothing("the case has no analysis; queue it again".to_owned());
    };
    let repository = repository(case)?;
    let base = repository.head()?;
    let place = &evidence.place;
    let snapshot = repository.snapshot(&base)?;
    let text_in = |snapshot: &Snapshot| -> Result<Option<String>, RepositoryError> {
        let content = repository.content(snapshot, &place.path)?;
        Ok(content.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let failed = text_in(&repository.snapshot(&evidence.commit.commit)?)?;
    let (Some(failed), Some(text)) = (failed, text_in(&snapshot)?) else {
        return nothing(format!(
            "{} is not in the commit that is checked out ({}); check whether the bug still is",
            place.path,
            &base.sha[..10]
        ));
    };
    let Some(line) = moved_to(&failed, place.line, &text) else {
        return nothing(format!(
            "`{}` has changed since the commit that failed ({}); check whether the bug still is, or \
             wait for a report of a newer release",
            analysis.function_or_file(),
            &evidence.commit.commit.sha[..10]
        ));
    };
    let toolchain = Toolchain::find(toolchain::channel(&repository, &snapshot)?.as_deref())?;
    let workspace = Workspace::find(&repository, &snapshot, &place.path, &toolchain, workshop)?;
    let package = workspace.package_of(&place.path);
    let proposal = fix::propose(&Site {
        text: &text,
        line,
        column: place.column,
        message: evidence.report.message.as_str(),
        recorded: &evidence.recorded,
        rust_version: package.and_then(|package| package.rust_version),
    });
    let (input, unreproduced) = match proposal.input {
        Ok(input) => (Some(input), None),
        Err(why) => (None, Some(why)),
    };
    let fix = Box::new(Fix {
        base,
        path: place.path.clone(),
        line,
        column: place.column,
        candidates: proposal.candidates,
        declined: proposal.declined,
        input,
        unreproduced,
        arguments: 0,
        candidate: 0,
        trials: Vec::new(),
    });
    if fix.candidates.is_empty() {
        let reason = no_candidate(&fix, &analysis.class);
        return Ok(Written::Nothing {
            fix: Some(fix),
            reason,
        });
    }
    Ok(Written::Candidates(fix))
}

/// The line of the failing place in another text of the file: the function around it must stand
/// there, letter for letter, once.
fn moved_to(failed: &str, line: u32, text: &str) -> Option<u32> {
    if failed == text {
        return Some(line);
    }
    let (first, last) = with_tree(failed, |tree| {
        tree.body_at(line)
            .map(|body| (body.first_line, body.last_line))
    })??;
    let function: Vec<&str> = failed
        .lines()
        .skip(first as usize - 1)
        .take((last - first) as usize + 1)
        .collect();
    let lines: Vec<&str> = text.lines().collect();
    let mut places = lines
        .windows(function.len())
        .enumerate()
        .filter(|(_, window)| *window == function.as_slice());
    let (at, _) = places.next()?;
    places
        .next()
        .is_none()
        .then(|| at as u32 + 1 + (line - first))
}

/// Says why the rules have nothing.
fn no_candidate(fix: &Fix, class: &str) -> String {
    match fix.declined.as_slice() {
        [] => format!("no rule writes a fix for {class}; a person has to"),
        declined => {
            let reasons: Vec<&str> = declined
                .iter()
                .take(limits::VALUES_MAX)
                .map(|declined| declined.reason.as_str())
                .collect();
            format!("no safe change is known: {}", reasons.join("; "))
        }
    }
}

/// The reason of a case all of whose candidates were refused.
pub(crate) fn nothing_held(case: &Case) -> String {
    let trials = case.fix.iter().flat_map(|fix| &fix.trials);
    let shown: Vec<String> = trials
        .take(limits::VALUES_MAX)
        .map(|trial| {
            let gate = trial.gate.as_str();
            format!(
                "candidate {} at {gate}: {}",
                trial.candidate + 1,
                trial.detail
            )
        })
        .collect();
    format!("no candidate held: {}", shown.join("; "))
}

/// The patch of the candidate that is next; `None` where none is left.
pub(crate) fn propose(case: &Case) -> Result<Option<Patch>, ValidateError> {
    let Some(fix) = &case.fix else {
        return Ok(None);
    };
    if fix.chosen().is_none() {
        return Ok(None);
    }
    let before = base_text(case, fix)?;
    let texts = Texts::of(case, fix, &before);
    Ok(texts.map(|texts| {
        let change = Change {
            path: &fix.path,
            before: &before,
            after: &texts.after,
        };
        Patch::new(&fix.base.sha, &[change])
    }))
}

fn base_text(case: &Case, fix: &Fix) -> Result<String, ValidateError> {
    let repository = repository(case)?;
    let snapshot = repository.snapshot(&fix.base)?;
    let content = repository
        .content(&snapshot, &fix.path)?
        .unwrap_or_default();
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// The failing file, before and after, with the reproduction.
struct Texts {
    after: String,
    old_with_test: Option<String>,
}

impl Texts {
    fn of(case: &Case, fix: &Fix, before: &str) -> Option<Self> {
        let candidate = fix.chosen()?;
        let test: Option<Edit> = reproduced(fix).and_then(|input| {
            let arguments = input.arguments.get(fix.arguments)?;
            let is_recorded = input.is_recorded(fix.arguments);
            Some(input.test(
                before,
                &module(case),
                arguments,
                candidate.outcome,
                is_recorded,
            ))
        });
        let mut edits = candidate.edits.clone();
        edits.extend(test.clone());
        Some(Texts {
            after: fix::splice::splice(before, &edits)?,
            old_with_test: match test {
                Some(test) => Some(fix::splice::splice(before, &[test])?),
                None => None,
            },
        })
    }
}

/// The input, as long as nothing has shown that it does not reproduce the failure.
fn reproduced(fix: &Fix) -> Option<&fix::Input> {
    fix.input.as_ref().filter(|_| fix.unreproduced.is_none())
}

/// The module of the reproduction: no other has its name.
fn module(case: &Case) -> String {
    let id = case.id.to_string().replace('-', "");
    format!("bugsage_case_{}", &id[id.len() - 8..])
}

/// Puts the case's patch through its gates, and notes what came of it.
pub(crate) fn prove(case: &mut Case, workshop: &Workshop) -> Result<Proved, ValidateError> {
    let (Some(fix), Some(evidence)) = (&case.fix, &case.evidence) else {
        return Ok(Proved::Refused {
            reason: "the case has no candidates".to_owned(),
        });
    };
    let before = base_text(case, fix)?;
    let repository = repository(case)?;
    // What is proved is the patch as it was saved, byte for byte.
    let texts = Texts::of(case, fix, &before);
    let patch = whole_patch(case).ok();
    let after = patch.and_then(|patch| patch.after(&fix.path, &before).ok());
    let (Some(texts), Some(after)) = (texts, after) else {
        return Ok(Proved::Refused {
            reason: "the saved patch is not the one that was written; it is written anew"
                .to_owned(),
        });
    };
    let module = module(case);
    let changes = [Change {
        path: &fix.path,
        before: &before,
        after: &after,
    }];
    let reproduction = texts
        .old_with_test
        .as_deref()
        .map(|old_with_test| Reproduction {
            module: &module,
            old_with_test,
            message: evidence.report.message.as_str(),
            line: fix.line,
            column: fix.column,
        });
    let task = Task {
        base: &fix.base,
        path: &fix.path,
        changes: &changes,
        reproduction,
    };
    let mut verdicts = validate::prove(&task, &repository, workshop)?;
    if let Some(why) = &fix.unreproduced {
        let at = verdicts.len().min(1);
        verdicts.splice(
            at..at,
            [Gate::Red, Gate::Green].map(|gate| not_tried(gate, why)),
        );
    }
    let refusal = verdicts
        .iter()
        .find(|verdict| verdict.passed == Some(false))
        .cloned();
    let assessment = refusal
        .is_none()
        .then(|| assessment(case, fix, &changes, &module, &verdicts));
    case.verdicts = verdicts;
    case.assessment = assessment;
    let Some(refusal) = refusal else {
        return Ok(Proved::Holds { reason: held(case) });
    };
    Ok(Proved::Refused {
        reason: next(case, &refusal),
    })
}

/// A gate that nothing could be shown by: it lets nobody through, and stops nobody.
fn not_tried(gate: Gate, why: &str) -> Verdict {
    Verdict {
        gate,
        passed: None,
        detail: format!("unreproduced: {why}"),
        command: None,
        output: None,
        seconds: 0.0,
    }
}

fn assessment(
    case: &Case,
    fix: &Fix,
    changes: &[Change<'_>],
    module: &str,
    verdicts: &[Verdict],
) -> Assessment {
    let analysis = case.analysis.as_ref();
    score::assess(&score::Ground {
        way: fix.chosen().map(|candidate| candidate.way),
        changes,
        test_module: Some(module),
        verdicts,
        half_done: fix
            .chosen()
            .and_then(|candidate| candidate.half_done.as_deref()),
        holds_recorded_text: reproduced(fix).is_some_and(|input| input.is_recorded(fix.arguments)),
        analysis: analysis.map_or(0.0, |analysis| analysis.confidence),
        function: analysis.map_or("", |analysis| analysis.function_or_file()),
    })
}

fn held(case: &Case) -> String {
    let fix = case.fix.as_ref();
    let claim = fix
        .and_then(|fix| fix.chosen())
        .map_or("", |candidate| &candidate.claim);
    let (confidence, risk) = case.assessment.as_ref().map_or((0.0, 1.0), |assessment| {
        (assessment.confidence, assessment.risk)
    });
    format!("{claim} (confidence {confidence:.2}, risk {risk:.2})")
}

/// Notes a refusal, and chooses what is tried next.
fn next(case: &mut Case, refusal: &Verdict) -> String {
    let Some(fix) = &mut case.fix else {
        return refusal.detail.clone();
    };
    if refusal.gate == Gate::Red {
        // The candidate is not to blame: the input does not show the failure.
        let lists = fix.input.as_ref().map_or(0, |input| input.arguments.len());
        if fix.arguments + 1 < lists {
            fix.arguments += 1;
            return format!("{}; the input as it was recorded is next", refusal.detail);
        }
        fix.unreproduced = Some(refusal.detail.clone());
        return format!(
            "{}; the patch goes on without a reproduction",
            refusal.detail
        );
    }
    fix.trials.push(Trial {
        candidate: fix.candidate,
        gate: refusal.gate,
        detail: quote(&refusal.detail),
    });
    fix.candidate += 1;
    let number = fix.candidate;
    format!(
        "candidate {number} refused at {}: {}",
        refusal.gate.as_str(),
        quote(&refusal.detail)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_where_its_function_moved_and_not_where_it_changed() {
        let failed = "fn a() {}\n\nfn pick(v: &[u8]) -> u8 {\n    v[9]\n}\n";
        let moved = "use x;\n\nfn a() {}\n\n// more\nfn pick(v: &[u8]) -> u8 {\n    v[9]\n}\n";
        let changed = "fn a() {}\n\nfn pick(v: &[u8]) -> u8 {\n    v[8]\n}\n";
        let twice = format!("{failed}\nmod b {{\n}}\n{failed}");

        assert_eq!(moved_to(failed, 4, failed), Some(4));
        assert_eq!(moved_to(failed, 4, moved), Some(7));
        assert_eq!(moved_to(failed, 4, changed), None);
        assert_eq!(moved_to(failed, 4, &twice), None);
    }
}
