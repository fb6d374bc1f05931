//! Command lines of all programs.

use std::process::{Command, Output};

const PROGRAMS: [&str; 5] = [
    env!("CARGO_BIN_EXE_rspregistrar"),
    env!("CARGO_BIN_EXE_rspserver"),
    env!("CARGO_BIN_EXE_rspterminal"),
    env!("CARGO_BIN_EXE_pingpongclient"),
    env!("CARGO_BIN_EXE_rspdemo"),
];

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().expect("the program starts")
}

#[test]
fn help_fits_a_screen_in_both_spellings() {
    for program in PROGRAMS {
        let help = run(program, &["--help"]);
        assert!(help.status.success(), "{program}");
        let text = String::from_utf8(help.stdout).unwrap();
        // With a line left for the prompt.
        assert!(text.lines().count() < 24, "{program}: {} lines", text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{program}");
        assert_eq!(run(program, &["-help"]).stdout, text.as_bytes(), "{program}");
        assert_eq!(run(program, &["-h"]).stdout, text.as_bytes(), "{program}");
        let all = run(program, &["--help-all"]);
        assert!(all.status.success() && all.stdout.len() > text.len(), "{program}");
    }
}

#[test]
fn a_wrong_option_is_told_in_one_line() {
    for program in PROGRAMS {
        for args in [
            ["--no-such-option"].as_slice(),
            &["-loglevel=10"],
            &["--loglevel"],
            &["-enrp=auto"],
            &["stray"],
        ] {
            let output = run(program, args);
            assert_eq!(output.status.code(), Some(2), "{program} {args:?}");
            assert!(output.stdout.is_empty(), "{program} {args:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(text.lines().count(), 1, "{program} {args:?}: {text}");
            assert!(text.contains("--help"), "{program} {args:?}: {text}");
        }
    }
}

#[test]
fn a_value_out_of_bounds_is_told_with_its_option() {
    let registrar = env!("CARGO_BIN_EXE_rspregistrar");
    let server = env!("CARGO_BIN_EXE_rspserver");
    for (program, args) in [
        (registrar, ["--maxhresitems", "0"]),
        (registrar, ["--serverannouncecycle", "0"]),
        (registrar, ["--endpointkeepalivetimeoutinterval", "0"]),
        (server, ["--rereginterval", "0"]),
        (server, ["--registrarconnecttimeout", "0"]),
        (server, ["--registrarresponsetimeout", "0"]),
    ] {
        let output = run(program, &args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains(args[0]) && text.contains("out of range") && text.lines().count() == 1,
            "{args:?}: {text}"
        );
    }
}

#[test]
fn times_beyond_all_clocks_are_refused() {
    for args in [
        ["--seconds", "18446744073709551615"],
        ["--kill-every", "18446744073709551615"],
    ] {
        let output = run(env!("CARGO_BIN_EXE_rspdemo"), &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(args[0]) && text.lines().count() == 1, "{args:?}: {text}");
    }
}

#[test]
fn an_address_that_is_not_ours_is_told_in_one_line() {
    for program in &PROGRAMS[..4] {
        let output = run(program, &["--local=192.0.2.1", "--registrar=127.0.0.1"]);
        let without_registrar = run(program, &["--local=192.0.2.1"]);
        // The registrar has no option --registrar.
        let output = if output.status.code() == Some(2) {
            without_registrar
        } else {
            output
        };
        assert_eq!(output.status.code(), Some(1), "{program}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("--local") && text.lines().count() == 1,
            "{program}: {text}"
        );
    }
}
