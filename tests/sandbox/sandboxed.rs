//! Everything that needs a sandbox: the attempts, and what comes of them.

use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Operator, ended_as};
use crate::support::program::Ended;

/// Who gets through with it where there is no sandbox. The others may fail for other reasons.
#[derive(Clone, Copy, PartialEq)]
enum Without {
    Everybody,
    Root,
    /// It would do harm, or nobody can.
    Untried,
}
use Without::{Everybody, Root, Untried};

/// Attempts that must all fail in the sandbox, and succeed without one.
#[track_caller]
fn all_fail(operator: &Operator, ended: &Ended, attempts: &[(&str, Without)]) {
    let who = operator.name();
    ended_as(ended, "Exited(0)", who);
    for (word, _) in attempts {
        let outcome = ended.told(word);
        // What the filter does not answer to, it ends.
        let is_held = outcome.starts_with("held: ") || outcome == "ended: signal: 31 (SIGSYS)";
        assert!(is_held, "as {who}: {word}: {outcome}");
    }
    let is_tried = |without: Without| match without {
        Everybody => true,
        Root => operator.is_root,
        Untried => false,
    };
    let tried = attempts.iter().filter(|(_, without)| is_tried(*without));
    let tried: Vec<&str> = tried.map(|(word, _)| *word).collect();
    let direct = planted(operator, "direct", &tried).well();
    for word in tried {
        let outcome = direct.told(word);
        let succeeds = outcome.starts_with("broke out: ");
        assert!(succeeds, "as {who}, without a sandbox: {word}: {outcome}");
    }
}

const SECRET: &str = "correct-horse-battery-staple";

/// The words with secrets all around them.
fn planted(operator: &Operator, role: &str, words: &[&str]) -> Ended {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let secret = operator.folder.join("secret");
    let mounted = operator.folder.join("mounted");
    let mut probe = operator.probe(role, &words);
    for (name, path) in [("PROBE_OPEN_FILE", secret), ("PROBE_MOUNT", mounted)] {
        if path.exists() {
            probe = probe.env(name, path);
        }
    }
    probe
        .env("PROBE_SYSV_KEY", &operator.sysv_key)
        .env("SOME_TOKEN", SECRET)
        .run()
}

fn in_sandbox(operator: &Operator, attempts: &[(&str, Without)]) -> Ended {
    let words: Vec<&str> = attempts.iter().map(|(word, _)| *word).collect();
    planted(operator, "outside", &words).well()
}

#[test]
fn rights_are_gone_and_there_is_no_way_back_to_them() {
    let attempts = [
        ("rights=self", Everybody),
        ("rights=1", Root),
        ("becomes-root", Root),
        ("setuid-programs", Everybody),
        ("namespaces", Root),
        ("bubblewrap", Root),
        ("mounts", Root),
        ("device", Root),
        ("limits", Everybody),
        ("core-limit", Everybody),
        ("priority", Root),
        ("interface", Root),
    ];
    for operator in Operator::all() {
        let ended = in_sandbox(&operator, &attempts);

        all_fail(&operator, &ended, &attempts);
    }
}

#[test]
fn the_kernel_answers_to_nothing_that_a_build_has_no_use_for() {
    let attempts = [
        ("refused-calls", Everybody),
        ("keyring", Everybody),
        ("kernel-log", Root),
        ("terminal", Untried),
        ("calls-of-32-bit", Untried),
        // Sockets of virtual machines, raw ones, the kernel's ciphers, netlink, rare protocols.
        ("socket=40,1,0", Untried),
        ("socket=17,3,768", Root),
        ("socket=2,3,1", Root),
        ("socket=38,5,0", Untried),
        ("socket=16,3,9", Untried),
        ("socket=16,3,16", Everybody),
        ("socket=2,6,33", Untried),
        ("socket=10,1,132", Untried),
    ];
    for operator in Operator::all() {
        let ended = in_sandbox(&operator, &attempts);

        all_fail(&operator, &ended, &attempts);
    }
}

#[test]
fn nothing_of_this_machine_or_of_the_operator_can_be_read() {
    for operator in Operator::all() {
        operator.plant("secret", SECRET, 0o600);
        let for_all = operator.plant("for-all", SECRET, 0o644);
        let key = operator.plant(".ssh/id_ed25519", SECRET, 0o600);
        let credentials = operator.plant(".cargo/credentials.toml", SECRET, 0o600);
        let mut bystander = operator.bystander();
        let reads = |path: &std::path::Path| format!("reads={}", path.display());
        let backwards: String = SECRET.chars().rev().collect();
        let process = bystander.0.id();
        let words = [
            ("reads=/etc/shadow".to_owned(), Root),
            ("reads=/etc/passwd".to_owned(), Everybody),
            ("reads=/root".to_owned(), Root),
            ("reads=/sys".to_owned(), Untried),
            ("reads=/proc/kcore".to_owned(), Untried),
            ("reads=/dev/kmsg".to_owned(), Untried),
            (reads(&operator.folder), Everybody),
            (reads(&for_all), Everybody),
            (reads(&key), Everybody),
            (reads(&credentials), Everybody),
            (format!("finds={backwards}"), Everybody),
            (format!("signals={process}"), Everybody),
            (format!("traces={process}"), Everybody),
            (format!("sysv-of-host={}", operator.sysv_key), Everybody),
            (
                "lists=/:usr,bin,sbin,lib,lib32,lib64,libx32,etc,proc,dev,build,tmp".to_owned(),
                Everybody,
            ),
            (
                "lists=/etc:alternatives,ld.so.cache,ld.so.conf,ld.so.conf.d".to_owned(),
                Everybody,
            ),
            (
                "lists=/dev:console,core,fd,full,null,ptmx,pts,random,shm,stderr,stdin,stdout,tty,\
                 urandom,zero"
                    .to_owned(),
                Untried,
            ),
        ];
        let attempts: Vec<(&str, Without)> = words
            .iter()
            .map(|(word, without)| (&**word, *without))
            .collect();

        let ended = in_sandbox(&operator, &attempts);

        all_fail(&operator, &ended, &attempts);
        assert!(bystander.is_alive());
    }
}

#[test]
fn nothing_but_the_runs_own_memory_can_be_written() {
    for operator in Operator::all() {
        operator.plant("mounted", "as it was", 0o666);
        let for_all = operator.plant("for-all", "as it was", 0o666);
        let words = [
            (format!("writes={}", for_all.display()), Everybody),
            (format!("creates={}", operator.folder.display()), Everybody),
            ("writes=/build/mounted".to_owned(), Untried),
            ("writes=/build/probe".to_owned(), Untried),
            ("links=/build/mounted".to_owned(), Untried),
            ("links=/usr/bin/env".to_owned(), Untried),
            ("creates=/usr".to_owned(), Root),
            ("creates=/usr/local/bin".to_owned(), Root),
            ("creates=/etc".to_owned(), Root),
            ("creates=/".to_owned(), Root),
            ("creates=/dev".to_owned(), Untried),
            ("creates=/proc/sys".to_owned(), Untried),
            ("writes=/proc/sysrq-trigger".to_owned(), Untried),
            ("writes=/proc/sys/kernel/core_pattern".to_owned(), Untried),
            ("writes=/proc/sys/kernel/hostname".to_owned(), Untried),
            (format!("links={}", for_all.display()), Everybody),
        ];
        let attempts: Vec<(&str, Without)> = words
            .iter()
            .map(|(word, without)| (&**word, *without))
            .collect();
        let files = operator.files();

        let ended = in_sandbox(&operator, &attempts);

        assert_eq!(operator.files(), files, "as {}", operator.name());
        all_fail(&operator, &ended, &attempts);
    }
}

#[test]
fn no_packet_gets_out_and_the_local_interface_works() {
    for operator in Operator::all() {
        let tcp: Vec<TcpListener> = addresses()
            .into_iter()
            .map(|address| TcpListener::bind((address, 0)).expect("a port is free"))
            .collect();
        let udp: Vec<UdpSocket> = addresses()
            .into_iter()
            .map(|address| UdpSocket::bind((address, 0)).expect("a port is free"))
            .collect();
        let path = operator.folder.join("socket");
        let by_path = UnixListener::bind(&path).expect("the folder is writable");
        operator.give(&path, 0o777);
        let name = SocketAddr::from_abstract_name(&operator.mark).expect("is short");
        let abstract_one = UnixListener::bind_addr(&name).expect("nobody has the name");
        let mut words = vec![
            format!("sends=unix:{}", path.display()),
            format!("sends=abstract:{}", operator.mark),
        ];
        for listener in &tcp {
            words.push(format!(
                "sends=tcp:{}",
                listener.local_addr().expect("is bound")
            ));
        }
        for socket in &udp {
            words.push(format!(
                "sends=udp:{}",
                socket.local_addr().expect("is bound")
            ));
        }
        let attempts: Vec<&str> = words.iter().map(|word| &**word).collect();
        let received = || {
            let mut n_received = 0;
            for listener in &tcp {
                listener.set_nonblocking(true).expect("it can be told");
                n_received += usize::from(is_there(listener.accept()));
            }
            for socket in &udp {
                socket.set_nonblocking(true).expect("it can be told");
                n_received += usize::from(is_there(socket.recv(&mut [0; 8])));
            }
            for listener in [&by_path, &abstract_one] {
                listener.set_nonblocking(true).expect("it can be told");
                n_received += usize::from(is_there(listener.accept()));
            }
            n_received
        };

        let mut all = attempts.clone();
        all.extend(["loopback", "resolves=example.com"]);
        let ended = operator.outside(&all).run();

        ended_as(&ended, "Exited(0)", operator.name());
        assert!(ended.told("loopback").starts_with("works"), "{ended:#?}");
        assert!(
            ended.told("resolves=example.com").starts_with("held"),
            "{ended:#?}"
        );
        // Whatever the program inside believes.
        assert_eq!(received(), 0, "as {}: {ended:#?}", operator.name());
        let direct = operator.direct(&attempts).run().well();
        assert_eq!(received(), attempts.len(), "{direct:#?}");
    }
}

fn is_there<T>(received: std::io::Result<T>) -> bool {
    match received {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// Those that a program here could reach: local ones, and the machine's own where it has one.
fn addresses() -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = vec![[127, 0, 0, 1].into()];
    // Nothing is sent: the kernel says by which address it would.
    let own = |any: &str, far: &str| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(far).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    addresses.extend(UdpSocket::bind("[::1]:0").map(|_| IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])));
    addresses.extend(own("0.0.0.0:0", "192.0.2.1:9"));
    addresses.extend(own("[::]:0", "[2001:db8::1]:9"));
    addresses.dedup();
    addresses
}

#[test]
fn no_process_outlives_its_run() {
    for operator in Operator::all() {
        let who = operator.name();
        let mut bystander = operator.bystander();

        let daemon = operator.outside(&["daemon"]).run();
        ended_as(&daemon, "Exited(0)", who);
        assert!(daemon.told("daemon").starts_with("works"), "{daemon:#?}");
        let deaf = operator
            .outside(&["daemon", "deaf"])
            .env("PROBE_WALL_MS", "700")
            .run();
        ended_as(&deaf, "TooLong", who);
        let killing = operator.outside(&["daemon", "kills-everyone"]).run();
        ended_as(&killing, "Exited(137)", who);
        // As an ordinary user bubblewrap's first process can be had; its end still is everybody's.
        let taken = operator
            .outside(&["takes-over", "daemon", "deaf"])
            .env("PROBE_WALL_MS", "1000")
            .run();
        ended_as(&taken, "TooLong", who);

        assert!(bystander.is_alive());
        assert!(operator.living().is_empty(), "as {who}");
        let direct = operator.direct(&["daemon"]).run().well();
        assert!(direct.told("daemon").starts_with("works"), "{direct:#?}");
        assert_eq!(
            operator.living().len(),
            1,
            "a daemon lives where nobody ends it"
        );
    }
}

#[test]
fn the_end_of_whoever_started_a_run_is_the_runs() {
    for operator in Operator::all() {
        let running = operator.outside(&["daemon", "deaf"]).spawn();
        // Bubblewrap and the script, the probe and its words, four children, a daemon.
        until(|| operator.living().len() > 6);

        drop(running);

        until(|| operator.living().is_empty());
    }
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + crate::support::PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn processes_and_threads_are_no_more_than_allowed() {
    for operator in Operator::all() {
        for word in ["forks", "threads"] {
            let ended = operator.outside(&[word]).env("PROBE_PROCESSES", "24").run();

            ended_as(&ended, "Exited(0)", operator.name());
            let got: u64 = ended
                .told(&format!("{word}: got"))
                .parse()
                .expect("is a number");
            // The probe itself is some of them.
            assert!(
                (12..24).contains(&got),
                "as {}: {got} {word}",
                operator.name()
            );
            let direct = operator.direct(&[word]).run().well();
            let got = direct.told(&format!("{word}: got"));
            assert_eq!(got, "400", "it stops by itself there");
        }
    }
}

/// Memory that one story takes could be counted to another.
static MEMORY: Mutex<()> = Mutex::new(());

#[test]
fn memory_is_no_more_than_allowed_whatever_it_is_called() {
    const MEGABYTES: u64 = 128;
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    for operator in Operator::all() {
        for (word, megabytes_max) in [
            ("memory", MEGABYTES),
            ("memory-of-many", MEGABYTES),
            // It may be written where files may be too.
            ("memory-shared", MEGABYTES + 48 + 64),
            ("memory-zero", MEGABYTES + 48 + 64),
            ("memory-memfd", MEGABYTES),
            ("memory-sysv", MEGABYTES),
            ("memory-sockets", MEGABYTES),
        ] {
            let megabytes = MEGABYTES.to_string();
            let ended = operator
                .outside(&[word])
                .env("PROBE_MEMORY_MB", megabytes)
                .run();

            // Too much of it ends the run.
            if ended.told("end") == "TooMuchMemory" {
                ended_as(&ended, "TooMuchMemory", operator.name());
                continue;
            }
            ended_as(&ended, "Exited(0)", operator.name());
            let got: u64 = ended
                .told(&format!("{word}: got"))
                .parse()
                .expect("is a number");
            assert!(
                got <= megabytes_max,
                "as {}: {got} MiB by {word}",
                operator.name()
            );
        }
    }
}

#[test]
fn what_is_written_is_no_more_than_allowed() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    for operator in Operator::all() {
        for (word, least, most) in [
            ("files-tmp", 40, 48),
            ("files-shm", 60, 64),
            ("file", 16, 16),
        ] {
            let ended = operator.outside(&[word]).run();

            ended_as(&ended, "Exited(0)", operator.name());
            let got: u64 = ended
                .told(&format!("{word}: got"))
                .parse()
                .expect("is a number");
            assert!((least..=most).contains(&got), "{got} MiB by {word}");
        }
        // Empty files are memory of the kernel's.
        let ended = operator
            .outside(&["inodes"])
            .env("PROBE_MEMORY_MB", "64")
            .run();
        ended_as(&ended, "TooMuchMemory", operator.name());
    }
}

#[test]
fn what_is_printed_is_no_more_than_allowed() {
    for operator in Operator::all() {
        let ended = operator
            .outside(&["floods"])
            .env("PROBE_OUTPUT_BYTES", "1000")
            .run();

        ended_as(&ended, "TooMuchOutput", operator.name());
        assert!(ended.stdout.len() < 8_000, "{}", ended.stdout.len());
    }
}
