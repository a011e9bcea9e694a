//! The command line, read into one [`Command`].

use crate::bench;
use crate::prove::{self, Extent, Proof};

/// What `help` prints, and what follows a word that is not understood.
pub(crate) const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci                     the whole gate, the same on a laptop and on a server
  tidy                   the house rules that no other tool checks
  api [--accept]         what an app can name of the SDK, beside bugsage-sdk/public-api.txt;
                         --accept writes that file
  bench [NAME] [--json]  the bench programs: codec, fingerprint, ingest, service, scale, sweep, hook,
                         symbols, wire, delivery, fix; --json prints one document, an object by name
  grouping [--json]      how well the grouping rules do on the corpus in tests/corpus, beside those of
                         others; --record [BUILD] makes the corpus again first, --compare BUILD tells
                         whether that would change it
  prove NAME [--slice]   a proof that takes up to an hour: kills, offline, crashes, power,
                         faults, rot, duplicates, bombs, loom, sanitizers, fuzz, soak;
                         --slice is as much of it as the gate has time for
  help                   this text";

/// One run of this program.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Ci,
    Tidy,
    Api {
        accept: bool,
    },
    /// With what the program itself understands.
    Grouping(Vec<String>),
    Prove(Proof, Extent),
    Bench {
        names: Vec<&'static str>,
        json: bool,
    },
    Help,
}

impl Command {
    /// Reads the words behind `cargo xtask`, or says in one line what is wrong with them.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let words: Vec<String> = words.into_iter().collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match *words.as_slice() {
            [] => Err("no command given".to_owned()),
            ["ci"] => Ok(Command::Ci),
            ["tidy"] => Ok(Command::Tidy),
            ["api"] => Ok(Command::Api { accept: false }),
            ["api", "--accept"] => Ok(Command::Api { accept: true }),
            ["help" | "--help" | "-h"] => Ok(Command::Help),
            ["bench", ref rest @ ..] => bench_of(rest),
            ["grouping", ref rest @ ..] => Ok(Command::Grouping(
                rest.iter().map(|word| (*word).to_owned()).collect(),
            )),
            ["prove", name] => proof_of(name, Extent::Whole),
            ["prove", name, "--slice"] => proof_of(name, Extent::Slice),
            ["prove"] => Err(format!("which proof? There are {}", proofs())),
            ["prove", _, word, ..] => Err(format!("unexpected argument `{word}`")),
            ["api", "--accept", word, ..] | ["ci" | "tidy" | "api" | "help", word, ..] => {
                Err(format!("unexpected argument `{word}`"))
            }
            [word, ..] => Err(format!("unknown command `{word}`")),
        }
    }
}

fn proof_of(name: &str, extent: Extent) -> Result<Command, String> {
    let known = prove::NAMES.iter().find(|(known, _)| *known == name);
    let proof = known.map(|(_, proof)| Command::Prove(*proof, extent));
    proof.ok_or_else(|| format!("unknown proof `{name}`, there are {}", proofs()))
}

fn proofs() -> String {
    let names: Vec<&str> = prove::NAMES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn bench_of(words: &[&str]) -> Result<Command, String> {
    let mut names = Vec::new();
    let mut json = false;
    for &word in words {
        if word == "--json" && !json {
            json = true;
        } else if word.starts_with('-') || !names.is_empty() {
            return Err(format!("unexpected argument `{word}`"));
        } else if let Some(name) = bench::NAMES.iter().find(|name| **name == word) {
            names.push(*name);
        } else {
            let known = bench::NAMES.join(", ");
            return Err(format!("unknown bench `{word}`, there are {known}"));
        }
    }
    if names.is_empty() {
        names = bench::NAMES.to_vec();
    }
    Ok(Command::Bench { names, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_bench_without_a_name_means_all_of_them() {
        assert_eq!(
            parse("bench --json"),
            Ok(Command::Bench {
                names: bench::NAMES.to_vec(),
                json: true
            })
        );
        assert_eq!(
            parse("bench hook"),
            Ok(Command::Bench {
                names: vec!["hook"],
                json: false
            })
        );
    }

    #[test]
    fn a_word_that_is_not_understood_is_named() {
        for (line, wrong) in [
            ("", "no command given"),
            ("cj", "unknown command `cj`"),
            ("ci --fast", "unexpected argument `--fast`"),
            ("api --write", "unexpected argument `--write`"),
            ("api --accept all", "unexpected argument `all`"),
            (
                "bench speed",
                "unknown bench `speed`, there are codec, fingerprint, ingest, service, scale, sweep, hook, symbols, wire, delivery, fix",
            ),
            (
                "prove speed",
                "unknown proof `speed`, there are kills, offline, crashes, power, faults, rot, duplicates, bombs, \
                 loom, sanitizers, fuzz, soak",
            ),
            ("prove fuzz twice", "unexpected argument `twice`"),
            ("bench hook codec", "unexpected argument `codec`"),
            ("bench --json --json", "unexpected argument `--json`"),
        ] {
            assert_eq!(parse(line), Err(wrong.to_owned()), "{line}");
        }
    }
}
