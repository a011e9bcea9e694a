//! What a run can do, and what it cannot.

use super::*;

fn run(script: &str, limits: Limits) -> (Ended, String) {
    let sandbox = Sandbox::find().expect("a sandbox");
    let job = Job {
        script,
        mounts: &[],
        environment: &[],
        limits,
    };
    let mut output = Vec::new();
    let ended = sandbox.run(&job, &mut output).unwrap();
    (ended, String::from_utf8_lossy(&output).into_owned())
}

fn small() -> Limits {
    Limits {
        wall: Duration::from_secs(60),
        memory_bytes: 512 << 20,
        processes: 64,
        file_bytes: 32 << 20,
        disk_bytes: 64 << 20,
        output_bytes: 1 << 20,
    }
}

#[test]
fn what_a_script_prints_and_how_it_ends_come_back() {
    let (ended, output) = run("echo out; echo no >&2; exit 3", small());

    assert_eq!(ended.end, End::Exited(3));
    assert_eq!(output, "out\n");
    assert_eq!(ended.complaint, "no\n");
}

#[test]
fn only_mounted_files_and_the_given_environment_are_there() {
    let file = std::env::temp_dir().join(format!("bugsage-mount-{}", std::process::id()));
    std::fs::write(&file, "mounted").unwrap();
    let mounts = [Mount::new(&file, "in/deep/file")];
    let job = Job {
        script: "cat /build/in/deep/file; echo; echo x > /build/in/deep/file; ls /; env | sort",
        mounts: &mounts,
        environment: &[("GIVEN", "yes")],
        limits: small(),
    };

    let mut output = Vec::new();
    Sandbox::find().unwrap().run(&job, &mut output).unwrap();

    let output = String::from_utf8(output).unwrap();
    assert!(output.starts_with("mounted\n"), "{output}");
    assert!(output.contains("GIVEN=yes\n"), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    assert!(!output.contains("root\n"), "{output}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mounted");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_run_ends_with_its_time_and_takes_all_its_processes_along() {
    let limits = Limits {
        wall: Duration::from_millis(500),
        ..small()
    };

    let (ended, _) = run("setsid sleep 4711 & setsid sleep 4711 & sleep 4711", limits);

    assert_eq!(ended.end, End::TooLong);
    assert_eq!(sleeping("4711"), 0);
}

#[test]
fn a_process_that_goes_into_the_background_ends_with_its_script() {
    let (ended, _) = run(
        "setsid sh -c 'trap \"\" TERM HUP; sleep 4712' >/dev/null 2>&1 & exit 0",
        small(),
    );

    assert_eq!(ended.end, End::Exited(0));
    assert_eq!(sleeping("4712"), 0);
}

#[test]
fn a_program_that_prints_without_end_is_cut_off() {
    let limits = Limits {
        output_bytes: 1000,
        ..small()
    };

    let (ended, output) = run("yes", limits);

    assert_eq!(ended.end, End::TooMuchOutput);
    assert_eq!(output.len(), 1000);
}

#[test]
fn words_of_others_stay_words() {
    let word = "a'; touch /build/tmp/x; echo '$(id)`id`\n\\";

    let (_, output) = run(
        &format!("printf %s {}; ls /build/tmp", quoted(word)),
        small(),
    );

    assert_eq!(output, word);
}

/// Processes that sleep for so long: the number names the test.
fn sleeping(seconds: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| line == format!("sleep\0{seconds}\0").as_bytes())
        .count()
}
