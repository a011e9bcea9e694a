//! Patches that hold and patches that do not, on a real crate in a real sandbox.

use std::sync::{Arc, Mutex, Weak};

use super::*;
use crate::fix::Way;
use crate::repository::testing::TestRepository;
use crate::validate::score::{Assessment, Ground, HIGH_RISK, assess};

const SOURCE: &str = r#"//! A shop.

/// The fee for so many kilograms.
pub fn fee(kilograms: usize) -> Option<u64> {
    let fees = [490, 590, 690];
    note(kilograms);
    let fee = fees[kilograms];
    Some(fee)
}

fn note(kilograms: usize) {
    assert!(kilograms < 1_000, "a parcel and no ship");
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_parcel_costs_something() {
        assert_eq!(super::fee(1), Some(590));
    }

    #[test]
    #[should_panic(expected = "a parcel and no ship")]
    fn a_ship_is_no_parcel() {
        super::fee(5_000);
    }
}
"#;

const FAILING: &str = "fees[kilograms]";
const GOOD: &str = "*fees.get(kilograms)?";
const MESSAGE: &str = "index out of bounds: the len is 3 but the index is 7";
const MODULE: &str = "bugsage_case_00000000";

/// A crate whose base is built once for all tests that run at the same time.
struct Shop {
    repository: TestRepository,
    folder: TestRepository,
}

impl Shop {
    fn open() -> Arc<Self> {
        static SHARED: Mutex<Weak<Shop>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        if let Some(shop) = shared.upgrade() {
            return shop;
        }
        let repository = TestRepository::new();
        repository.write(
            "Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        );
        let lock = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n";
        repository.write("Cargo.lock", lock);
        repository.commit_file("src/lib.rs", SOURCE, "a shop");
        let shop = Arc::new(Shop {
            repository,
            folder: TestRepository::without_git(),
        });
        // Whoever comes first builds the base; the others wait for it here.
        shop.prove(&SOURCE.replace(FAILING, GOOD), 7);
        *shared = Arc::downgrade(&shop);
        shop
    }

    /// Puts a new text of the failing file through the gates, with a reproduction for `kilograms`.
    fn prove(&self, after: &str, kilograms: usize) -> Vec<Verdict> {
        let test = format!(
            "\n#[cfg(test)]\nmod {MODULE} {{\n    #[test]\n    fn fee_does_not_panic() {{\n        \
             let _ = super::fee({kilograms});\n    }}\n}}\n"
        );
        let after = format!("{after}{test}");
        let change = Change {
            path: "src/lib.rs",
            before: SOURCE,
            after: &after,
        };
        self.prove_changes(&[change], &format!("{SOURCE}{test}"))
    }

    fn prove_changes(&self, changes: &[Change<'_>], old_with_test: &str) -> Vec<Verdict> {
        let repository = self.repository.open();
        let base = repository.head().unwrap();
        let task = Task {
            base: &base,
            path: "src/lib.rs",
            changes,
            reproduction: Some(Reproduction {
                module: MODULE,
                old_with_test,
                message: MESSAGE,
                line: 7,
                column: Some(15),
            }),
        };
        let workshop = Workshop::new(self.folder.path()).unwrap();
        prove(&task, &repository, &workshop).unwrap()
    }
}

fn refusal(verdicts: &[Verdict]) -> (Gate, &str) {
    let refused = verdicts.last().expect("a verdict");
    assert_eq!(refused.passed, Some(false), "{verdicts:#?}");
    (refused.gate, &refused.detail)
}

fn assessed(after: &str, verdicts: &[Verdict]) -> Assessment {
    let change = Change {
        path: "src/lib.rs",
        before: SOURCE,
        after,
    };
    assess(&Ground {
        way: Some(Way::Propagate),
        changes: &[change],
        test_module: None,
        verdicts,
        half_done: None,
        holds_recorded_text: false,
        analysis: 0.9,
        function: "shop::fee",
    })
}

#[test]
fn a_good_patch_passes_every_gate_and_each_keeps_its_evidence() {
    let shop = Shop::open();
    let after = SOURCE.replace(FAILING, GOOD);

    let verdicts = shop.prove(&after, 7);

    let gates: Vec<Gate> = verdicts.iter().map(|verdict| verdict.gate).collect();
    use Gate::{Check, Clippy, Diff, Green, Red, Suite};
    assert_eq!(gates, [Diff, Red, Check, Green, Suite, Clippy]);
    for verdict in &verdicts {
        assert_eq!(verdict.passed, Some(true), "{verdict:#?}");
        if verdict.gate != Diff {
            let command = verdict.command.as_deref().unwrap();
            assert!(command.starts_with("cargo "), "{command}");
            assert!(
                verdict
                    .output
                    .as_ref()
                    .is_some_and(|output| !output.is_empty())
            );
            assert!(verdict.seconds > 0.0);
        }
    }
    assert!(verdicts[1].output.as_deref().unwrap().contains(MESSAGE));
    assert!(
        verdicts[4].detail.contains("2 tests of"),
        "{}",
        verdicts[4].detail
    );
    assert!(assessed(&after, &verdicts).risk < HIGH_RISK);
}

#[test]
fn a_patch_that_does_not_compile_is_refused() {
    let verdicts = Shop::open().prove(&SOURCE.replace(FAILING, "fees.get(kilograms)?"), 7);

    let (gate, detail) = refusal(&verdicts);
    assert_eq!(gate, Gate::Check);
    assert!(detail.contains("mismatched types"), "{detail}");
}

#[test]
fn a_patch_that_breaks_a_test_is_refused() {
    let verdicts = Shop::open().prove(&SOURCE.replace(FAILING, "*fees.get(kilograms + 1)?"), 7);

    let (gate, detail) = refusal(&verdicts);
    assert_eq!(gate, Gate::Suite);
    assert!(detail.contains("a_parcel_costs_something"), "{detail}");
}

#[test]
fn a_patch_that_leaves_the_failure_is_refused() {
    let verdicts = Shop::open().prove(&SOURCE.replace(FAILING, "fees[kilograms + 0]"), 7);

    let (gate, detail) = refusal(&verdicts);
    assert_eq!(gate, Gate::Green);
    assert!(detail.contains("index out of bounds"), "{detail}");
}

#[test]
fn a_patch_with_a_new_warning_is_refused() {
    let unused = format!("{{ let unused = 1; {GOOD} }}");
    let verdicts = Shop::open().prove(&SOURCE.replace(FAILING, &unused), 7);

    let (gate, detail) = refusal(&verdicts);
    assert_eq!(gate, Gate::Clippy);
    assert!(detail.contains("unused"), "{detail}");
}

#[test]
fn a_patch_that_edits_a_manifest_is_refused() {
    let shop = Shop::open();
    let change = Change {
        path: "Cargo.toml",
        before: "",
        after: "[dependencies]\nevil = \"1\"\n",
    };

    let verdicts = shop.prove_changes(&[change], SOURCE);

    assert_eq!(refusal(&verdicts).0, Gate::Diff);
}

#[test]
fn a_patch_that_removes_an_assertion_is_refused() {
    let assertion = "    assert!(kilograms < 1_000, \"a parcel and no ship\");\n";
    let after = SOURCE
        .replace(FAILING, GOOD)
        .replace(assertion, "    let _ = kilograms;\n");

    let verdicts = Shop::open().prove(&after, 7);

    assert_eq!(refusal(&verdicts).0, Gate::Diff);
}

#[test]
fn a_patch_that_silences_by_a_default_is_of_high_risk() {
    let silenced = "fees.get(kilograms).copied().unwrap_or_default()";
    let after = SOURCE.replace(FAILING, silenced);

    let verdicts = Shop::open().prove(&after, 7);

    let assessment = assessed(&after, &verdicts);
    assert!(assessment.risk >= HIGH_RISK, "{assessment:?}");
}

#[test]
fn a_patch_that_passes_by_deleting_code_is_refused_or_of_high_risk() {
    let shop = Shop::open();
    let everything = SOURCE.replace(
        "    let fees = [490, 590, 690];\n    note(kilograms);\n    let fee = fees[kilograms];\n    Some(fee)\n",
        "    let _ = kilograms;\n    None\n",
    );
    let one_call = SOURCE
        .replace(FAILING, GOOD)
        .replace("    note(kilograms);\n", "");

    let all_gone = shop.prove(&everything, 7);
    let call_gone = shop.prove(&one_call, 7);

    assert!(is_over(&all_gone), "{all_gone:#?}");
    assert!(is_over(&call_gone) || assessed(&one_call, &call_gone).risk >= HIGH_RISK);
    // Where no test misses what is gone, the score does.
    assert!(assessed(&one_call, &[]).risk >= HIGH_RISK);
}

#[test]
fn an_input_that_does_not_fail_as_reported_is_no_reproduction() {
    let shop = Shop::open();
    let after = SOURCE.replace(FAILING, GOOD);

    let harmless = shop.prove(&after, 1);
    let elsewhere = shop.prove(&after, 5_000);

    assert_eq!(refusal(&harmless).0, Gate::Red);
    assert!(
        refusal(&harmless).1.contains("does not fail"),
        "{harmless:?}"
    );
    assert_eq!(refusal(&elsewhere).0, Gate::Red);
    assert!(
        refusal(&elsewhere).1.contains("otherwise than reported"),
        "{elsewhere:?}"
    );
}

#[test]
fn a_base_that_does_not_build_is_said_to_be_so() {
    let repository = TestRepository::new();
    let manifest = "[package]\nname = \"broken\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    repository.write("Cargo.toml", manifest);
    let lock = "version = 4\n\n[[package]]\nname = \"broken\"\nversion = \"0.1.0\"\n";
    repository.write("Cargo.lock", lock);
    repository.commit_file("src/lib.rs", "pub fn f() -> u8 { \"\" }\n", "broken");
    let folder = TestRepository::without_git();
    let opened = repository.open();
    let base = opened.head().unwrap();
    let change = Change {
        path: "src/lib.rs",
        before: "pub fn f() -> u8 { \"\" }\n",
        after: "pub fn f() -> u8 { 1 }\n",
    };
    let task = Task {
        base: &base,
        path: "src/lib.rs",
        changes: &[change],
        reproduction: None,
    };

    let error = prove(&task, &opened, &Workshop::new(folder.path()).unwrap()).unwrap_err();

    assert!(!error.is_retryable());
    assert!(error.to_string().contains("mismatched types"), "{error}");
}
