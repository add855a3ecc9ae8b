//! Foreign programs: run, and read what they said.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Both streams, for messages.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Panics with everything that was printed unless the program succeeded.
    #[track_caller]
    pub fn expect_success(self) -> Ran {
        self.expect_code(0)
    }

    /// Panics with everything that was printed unless the program ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "said:\n{}", self.text());
        self
    }
}

/// Runs a prepared command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    let name = command.get_program().to_string_lossy().into_owned();
    ended(command.output().unwrap_or_else(|error| panic!("{name} cannot be started: {error}")))
}

/// What is left of a program that ended.
pub fn ended(output: Output) -> Ran {
    let Output { status, stdout, stderr } = output;
    Ran {
        success: status.success(),
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// A program by name with its arguments.
pub fn program<A: AsRef<OsStr>>(name: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// A library in Debian's directory for this machine.
pub fn library(name: &str) -> String {
    let machine = run(&mut program("gcc", ["-print-multiarch"])).expect_success().stdout;
    format!("/usr/lib/{}/{name}", machine.trim())
}
