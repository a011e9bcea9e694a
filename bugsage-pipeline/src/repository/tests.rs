//! Hostile names, hostile repositories, and plain reading.

use super::testing::TestRepository;
use super::*;

fn hashes(commits: &[Commit]) -> Vec<&str> {
    commits.iter().map(|commit| commit.sha.as_str()).collect()
}

#[test]
fn a_location_that_cannot_be_read_says_whose_turn_it_is() {
    let folder = TestRepository::without_git();
    folder.write("file", "");

    let error = |location: &str| Repository::open(location).unwrap_err();
    assert!(matches!(
        error("https://example.org/shop.git"),
        RepositoryError::Remote { .. }
    ));
    assert!(matches!(
        error("git@example.org:shop.git"),
        RepositoryError::Remote { .. }
    ));
    assert!(matches!(
        error("/no/such/folder"),
        RepositoryError::NotFound { .. }
    ));
    assert!(matches!(
        error(&folder.location()),
        RepositoryError::NotARepository { .. }
    ));
    let file = format!("{}/file", folder.location());
    assert!(matches!(
        error(&file),
        RepositoryError::NotARepository { .. }
    ));
    assert!(!error("/no/such/folder").is_retryable());
}

#[test]
fn a_folder_within_a_repository_is_not_that_repository() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", "", "first");

    let error = Repository::open(&format!("{}/src", repository.location())).unwrap_err();

    assert!(
        matches!(error, RepositoryError::NotARepository { .. }),
        "{error}"
    );
}

#[test]
fn a_repository_without_a_commit_says_so() {
    let repository = TestRepository::new();

    let error = repository.open().head().unwrap_err();

    assert!(matches!(error, RepositoryError::NoCommit { .. }), "{error}");
}

#[test]
fn a_bare_clone_is_a_repository_too() {
    let repository = TestRepository::new();
    let sha = repository.commit_file("src/lib.rs", "fn a() {}\n", "first");
    let bare = TestRepository::without_git();
    bare.git(&["clone", "--quiet", "--bare", &repository.location(), "."]);

    let opened = bare.open();
    let tree = opened.tree(&opened.head().unwrap()).unwrap();

    assert_eq!(opened.head().unwrap().sha, sha);
    assert_eq!(
        opened.read(&tree, "src/lib.rs").unwrap().unwrap().text,
        "fn a() {}\n"
    );
}

#[test]
fn a_commit_is_known_by_hex_that_a_ref_leads_to() {
    let repository = TestRepository::new();
    let first = repository.commit_file("src/lib.rs", "", "first");
    let second = repository.commit_file("src/lib.rs", "//\n", "second");
    repository.git(&["reset", "--quiet", "--hard", &first]);
    // A branch whose name could be a commit's.
    repository.git(&["branch", "abcdef1", &first]);
    let opened = repository.open();

    let known = |name: &str| opened.commit(name).unwrap().map(|commit| commit.sha);
    assert_eq!(known(&first), Some(first.clone()));
    assert_eq!(known(&first[..7]), Some(first.clone()));
    assert_eq!(known(&first[..7].to_uppercase()), Some(first.clone()));
    assert_eq!(known(&second), None, "no ref leads there any more");
    for name in [
        "abcdef1",
        "main",
        "HEAD",
        "--output=x",
        "0123456",
        "HEAD~1",
        &first[..6],
        &format!("{first}0"),
        "",
    ] {
        assert_eq!(known(name), None, "{name}");
    }
}

#[test]
fn a_detached_head_counts_as_reachable() {
    let repository = TestRepository::new();
    let first = repository.commit_file("src/lib.rs", "", "first");
    repository.git(&["checkout", "--quiet", "--detach"]);
    let second = repository.commit_file("src/lib.rs", "//\n", "second");
    let opened = repository.open();

    assert_eq!(opened.commit(&second).unwrap().unwrap().sha, second);
    assert_eq!(opened.commit(&first).unwrap().unwrap().sha, first);
}

#[test]
fn a_version_is_known_by_its_tag_and_is_never_an_option() {
    let repository = TestRepository::new();
    let sha = repository.commit_file("src/lib.rs", "", "first");
    repository.git(&["tag", "v1.2.0"]);
    repository.git(&["tag", "--annotate", "--message", "two", "v2.0.0-rc.1+7"]);
    let opened = repository.open();

    let known = |version: &str| opened.tagged(version).unwrap().map(|commit| commit.sha);
    assert_eq!(known("1.2.0"), Some(sha.clone()));
    assert_eq!(known("2.0.0-rc.1+7"), Some(sha));
    for version in [
        "",
        "1.3.0",
        "1.2.0^{tree}",
        "--all",
        "1.2.0 --all",
        "../heads/main",
        "*",
    ] {
        assert_eq!(known(version), None, "{version}");
    }
}

#[test]
fn commits_carry_what_people_need_and_nothing_of_their_text_is_believed() {
    let repository = TestRepository::new();
    let first = repository.commit_file("src/lib.rs", "", "first");
    let second = repository.commit_file("src/lib.rs", "//\n", "Überschrift \u{1}0123\tx");
    let opened = repository.open();

    let head = opened.head().unwrap();
    let first = opened.commit(&first).unwrap().unwrap();

    assert_eq!(head.sha, second);
    assert_eq!((head.author.as_str(), head.first), ("Ada", false));
    assert!(head.subject.starts_with("Überschrift"), "{}", head.subject);
    assert!(
        head.date.starts_with("2023-11-") && head.date.ends_with('Z'),
        "{}",
        head.date
    );
    assert!(first.first);
    assert_eq!(
        hashes(&opened.between(&first, &head).unwrap()),
        [second.as_str()]
    );
    assert!(opened.is_ancestor(&first, &head).unwrap());
    assert!(!opened.is_ancestor(&head, &first).unwrap());
}

#[test]
fn only_plain_rust_sources_of_the_tree_can_be_read() {
    let repository = TestRepository::new();
    repository.write("src/lib.rs", "fn a() {}\n");
    repository.write("--output=x/src/lib.rs", "fn b() {}\n");
    repository.write("secret.txt", "secret");
    repository.write("latin.rs", b"// \xe9\n");
    repository.write("large.rs", "x".repeat(limits::SOURCE_BYTES_MAX + 1));
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", repository.path().join("link.rs")).unwrap();
    repository.commit("first");
    repository.write("uncommitted.rs", "");
    let opened = repository.open();
    let tree = opened.tree(&opened.head().unwrap()).unwrap();

    let read = |path: &str| opened.read(&tree, path).unwrap().map(|source| source.text);
    assert_eq!(read("src/lib.rs").unwrap(), "fn a() {}\n");
    assert_eq!(read("--output=x/src/lib.rs").unwrap(), "fn b() {}\n");
    assert_eq!(read("latin.rs"), Err(Unusable::NotText));
    assert_eq!(read("large.rs"), Err(Unusable::TooLarge));
    for path in [
        "secret.txt",
        "link.rs",
        "uncommitted.rs",
        "../x.rs",
        "/etc/passwd",
        "src",
        "",
    ] {
        assert_eq!(read(path), Err(Unusable::Absent), "{path}");
    }
    assert!(
        opened
            .blame(&tree, "--output=x/src/lib.rs", 1, 1)
            .unwrap()
            .lines
            .contains_key(&1)
    );
    assert!(!repository.path().join("x").exists());
}

#[test]
fn blame_and_history_tell_who_changed_which_lines() {
    let repository = TestRepository::new();
    let file = "src/lib.rs";
    let first = repository.commit_file(file, "fn a() {\n    one();\n    two();\n}\n", "first");
    let second = repository.commit_file(file, "fn a() {\n    one();\n    zwei();\n}\n", "second");
    let third = repository.commit_file(file, "fn a() {\n    zwei();\n}\n", "third");
    let fourth =
        repository.commit_file(file, "fn a() {\n        zwei();\n}\nfn b() {}\n", "fourth");
    let opened = repository.open();
    let head = opened.head().unwrap();
    let tree = opened.tree(&head).unwrap();

    let blame = opened.blame(&tree, file, 1, 2).unwrap();
    let history = opened.history_of_lines(&tree, file, (1, 3), None).unwrap();
    let since = opened.commit(&second).unwrap().unwrap();
    let recent = opened
        .history_of_lines(&tree, file, (1, 3), Some(&since))
        .unwrap();

    assert_eq!(
        blame.lines.into_values().collect::<Vec<_>>(),
        [&*first, &*second]
    );
    assert_eq!(hashes(&history), [&*fourth, &*third, &*second, &*first]);
    assert_eq!(
        hashes(&recent),
        [&*fourth, &*third],
        "a line that was taken away counts"
    );
    assert_eq!(
        hashes(&opened.history_of_file(&tree, file, Some(&since)).unwrap()).len(),
        2
    );
    assert!(opened.blame(&tree, file, 90, 95).unwrap().lines.is_empty());
    assert!(
        opened
            .history_of_lines(&tree, file, (90, 95), None)
            .unwrap()
            .is_empty()
    );
    assert!(
        opened
            .blame(&tree, "src/other.rs", 1, 1)
            .unwrap()
            .lines
            .is_empty()
    );
}

#[cfg(unix)]
#[test]
fn nothing_that_a_repository_configures_is_run() {
    use std::os::unix::fs::PermissionsExt;

    let repository = TestRepository::new();
    let file = "src/lib.rs";
    repository.write(".gitattributes", "*.rs diff=canary filter=canary\n");
    repository.commit_file(file, "fn a() {}\n", "first");
    repository.commit_file(file, "fn b() {}\n", "second");
    let canary = repository.path().join("canary");
    let script = repository.path().join("program");
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho ran >> {}\n", canary.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let program = script.to_str().unwrap();
    for hook in [
        "post-checkout",
        "reference-transaction",
        "post-index-change",
    ] {
        let path = repository.path().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(&script, path).unwrap();
    }
    for (key, value) in [
        ("core.fsmonitor", program),
        ("core.pager", program),
        ("pager.log", program),
        ("pager.blame", program),
        ("core.sshCommand", program),
        ("core.editor", program),
        ("diff.external", program),
        ("diff.canary.textconv", program),
        ("diff.canary.command", program),
        ("filter.canary.smudge", program),
        ("filter.canary.clean", program),
        ("gpg.program", program),
        ("log.showSignature", "true"),
        ("diff.orderFile", "/no/such/file"),
        ("alias.log", &format!("!{program}")),
        ("remote.origin.url", &format!("ext::{program}")),
        ("remote.origin.promisor", "true"),
        ("extensions.partialClone", "origin"),
        ("core.hooksPath", ".git/hooks"),
    ] {
        repository.git(&["config", key, value]);
    }

    let opened = repository.open();
    let head = opened.head().unwrap();
    let tree = opened.tree(&head).unwrap();
    opened.commit(&head.sha).unwrap().unwrap();
    opened.tagged("1.0.0").unwrap();
    opened.commit("0123456789").unwrap();
    opened.read(&tree, file).unwrap().unwrap();
    assert_eq!(opened.blame(&tree, file, 1, 1).unwrap().lines.len(), 1);
    assert_eq!(
        opened
            .history_of_lines(&tree, file, (1, 1), None)
            .unwrap()
            .len(),
        2
    );
    assert_eq!(opened.history_of_file(&tree, file, None).unwrap().len(), 2);
    opened.is_shallow().unwrap();

    assert!(!canary.exists(), "{:?}", std::fs::read_to_string(&canary));
}

#[test]
fn a_missing_list_of_commits_to_pass_over_costs_only_the_blame() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", "fn a() {}\n", "first");
    repository.git(&["config", "blame.ignoreRevsFile", "/no/such/file"]);
    let opened = repository.open();
    let tree = opened.tree(&opened.head().unwrap()).unwrap();

    assert!(
        opened
            .blame(&tree, "src/lib.rs", 1, 1)
            .unwrap()
            .lines
            .is_empty()
    );
    assert_eq!(
        opened
            .history_of_lines(&tree, "src/lib.rs", (1, 1), None)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_shallow_clone_says_so() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", "", "first");
    repository.commit_file("src/lib.rs", "//\n", "second");
    let clone = TestRepository::without_git();
    let url = format!("file://{}", repository.location());
    clone.git(&["clone", "--quiet", "--depth=1", &url, "."]);

    let opened = clone.open();

    assert!(opened.is_shallow().unwrap());
    assert!(opened.head().unwrap().first);
    assert!(!repository.open().is_shallow().unwrap());
}

#[test]
fn output_beyond_the_bound_is_refused() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", &"x".repeat(100_000), "first");

    let error = repository
        .open()
        .git_at_most(&["cat-file", "blob", "HEAD:src/lib.rs"], 10);

    assert!(matches!(
        error,
        Err(RepositoryError::TooLarge {
            limit_bytes: 10,
            ..
        })
    ));
}
