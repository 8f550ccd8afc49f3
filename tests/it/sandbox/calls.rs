//! Which system calls a sandbox may make, tried one by one.

use std::path::Path;
use std::process::Command;

use rbuild::sandbox::Access;
use rbuild::sandbox::MountSource;
use rbuild::sandbox::Security;

use super::Case;
use super::able;
use super::case;

const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// Makes the program that makes calls.
pub(crate) fn compile(program: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/probe/calls.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-static", "-O1", "-o"]).arg(program);
    assert!(compiler.arg(source).status().unwrap().success());
}

/// A sandbox that makes calls, written ABI:NUMBER:ARGUMENT:…, and prints their errors.
fn calling(calls: &[(&str, i32)]) -> Case {
    let mut args = vec!["/calls"];
    args.extend(calls.iter().map(|(call, _)| *call));
    let case = case(&args);
    let program = case.home.path().join("calls");
    compile(&program);
    let source = MountSource::Bind {
        path: program,
        access: Access::ReadOnly,
    };
    case.mount("/calls", source)
}

fn check(case: &Case, calls: &[(&str, i32)]) {
    let lines = calls.iter().map(|(call, error)| format!("{call} {error}"));
    assert_eq!(
        case.output().lines().collect::<Vec<_>>(),
        lines.collect::<Vec<_>>()
    );
}

#[test]
fn calls_are_answered_as_in_a_docker_container() {
    if !able() || !cfg!(target_arch = "x86_64") {
        return;
    }
    // Each of the refused ones gives another error, or none, where it is not filtered.
    let calls = [
        ("64:39", 0),                   // getpid
        ("64:250:-1", EPERM),           // keyctl
        ("64:248", EPERM),              // add_key
        ("64:272:0x10000000", EPERM),   // unshare(CLONE_NEWUSER)
        ("64:56:0x10000011", EPERM),    // clone(CLONE_NEWUSER | SIGCHLD)
        ("64:323", EPERM),              // userfaultfd
        ("64:425", EPERM),              // io_uring_setup
        ("64:298", EPERM),              // perf_event_open
        ("64:312", EPERM),              // kcmp
        ("64:135:0xffffffff", 0),       // personality, which asks
        ("64:135:0x0400000", EPERM),    // personality(ADDR_NO_RANDOMIZE)
        ("64:41:1:1", 0),               // socket(AF_UNIX, SOCK_STREAM)
        ("64:41:38:5", EPERM),          // socket(AF_ALG, SOCK_SEQPACKET)
        ("64:41:40:1", EPERM),          // socket(AF_VSOCK, SOCK_STREAM)
        ("64:41:0x100000001:1", EPERM), // the kernel would take this for AF_UNIX
        ("64:161", EFAULT),             // chroot
        ("64:435", ENOSYS),             // clone3
        ("64:470", ENOSYS),             // newer than the profile
        ("64:999", ENOSYS),             // newer than the kernel
    ];
    check(&calling(&calls), &calls);
}

#[test]
fn calls_of_32_bit_programs_are_answered_alike() {
    if !able() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let calls = [
        ("32:20", 0),                 // getpid
        ("32:288:-1", EPERM),         // keyctl
        ("32:310:0x10000000", EPERM), // unshare(CLONE_NEWUSER)
        ("32:120:0x10000011", EPERM), // clone(CLONE_NEWUSER | SIGCHLD)
        ("32:425", EPERM),            // io_uring_setup
        ("32:359:40:1", EPERM),       // socket(AF_VSOCK, SOCK_STREAM)
        ("32:222", EPERM),            // there is none of this number
        ("32:6:-1", EBADF),           // close
        ("32:435", ENOSYS),           // clone3
        ("32:999", ENOSYS),
    ];
    let case = calling(&calls[..1]);
    if case.run().stdout != "32:20 0\n" {
        return crate::support::skip("this kernel runs no 32-bit programs");
    }
    check(&calling(&calls), &calls);
}

#[test]
fn an_insecure_sandbox_may_make_every_call() {
    if !able() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let calls = [
        ("64:272:0x10000000", 0), // unshare(CLONE_NEWUSER)
        ("64:425", EINVAL),       // io_uring_setup
        ("64:999", ENOSYS),
    ];
    let mut case = calling(&calls);
    case.spec.security = Security::Insecure;
    let said = case.output();
    assert!(!said.contains(" 1\n"), "{said}");
    assert!(said.starts_with("64:272:0x10000000 0\n"), "{said}");
}

#[test]
fn a_capability_brings_its_calls() {
    if !able() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let mut calls = [("64:312", EPERM)];
    let mut case = calling(&calls);
    check(&case, &calls);
    case.spec.capabilities.push("CAP_SYS_PTRACE".to_owned());
    calls[0].1 = 3; // kcmp of process 0, which is none: ESRCH
    check(&case, &calls);
}
