//! A separate process that has the module loaded and does as told, line by line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::artefacts::module;

/// The running `token-driver`; see there for the lines that it understands.
pub struct Host {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Host {
    /// This project's module with a configuration file. `driver` is `env!("CARGO_BIN_EXE_token-driver")`.
    pub fn start(driver: &str, configuration: &Path) -> Host {
        Host::start_with(driver, &[("HPC_PKCS11_CONFIG", configuration.as_os_str())])
    }

    /// This project's module in an environment.
    pub fn start_with(driver: &str, environment: &[(&str, &std::ffi::OsStr)]) -> Host {
        let mut command = Command::new(driver);
        command.env("TOKEN_DRIVER_MODULE", module()).envs(environment.iter().copied());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the driver can be started");
        let say = child.stdin.take().expect("a pipe was asked for");
        let hear = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Host { child, say, hear }
    }

    /// One line in, one line out.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.say, "{line}").expect("the host listens");
        let mut answer = String::new();
        self.hear.read_line(&mut answer).expect("the host answers text");
        assert!(!answer.is_empty(), "the host died at: {line}: {:?}", self.child.try_wait());
        answer.trim_end().to_owned()
    }

    /// One line in, and the answer is no error.
    #[track_caller]
    pub fn succeed(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        assert!(!answer.starts_with("error"), "{answer}");
        answer
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
