//! A screen that nobody sees, with windows and somebody who types.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};

use crate::desk::Desk;
use crate::programs::{program, run};
use crate::waiting::{until, until_some};

/// An X server with a window manager; both end with this value.
pub struct Screen {
    server: Child,
    manager: Child,
    display: String,
}

impl Screen {
    /// Starts both on a display number that the server chooses. It must not reset itself, as it does when its last
    /// client leaves: whoever looks for the manager may come and go before the manager is there, and the reset ends it.
    pub fn start(desk: &Desk) -> Screen {
        let number = desk.path("display");
        let told = File::create(&number).expect("the directory is writable");
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "3", "-noreset", "-screen", "0", "1000x700x24", "-nolisten", "tcp"]);
        let told = FdMapping { parent_fd: told.into(), child_fd: 3 };
        let server = quiet(server.fd_mappings(vec![told]).expect("one descriptor"));
        let display = until_some("the X server listens", || {
            let told = fs::read_to_string(&number).ok()?;
            Some(format!(":{}", told.strip_suffix('\n')?))
        });
        let manager = quiet(Command::new("openbox").env("DISPLAY", &display).env("HOME", desk.directory()));
        let screen = Screen { server, manager, display };
        // Without a manager nobody tells how many desktops there are.
        until("the window manager is there", || run(&mut screen.xdotool(&["get_num_desktops"])).success);
        screen
    }

    /// The value of `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The windows whose title has these words.
    pub fn windows(&self, title: &str) -> Vec<String> {
        let found = run(&mut self.xdotool(&["search", "--name", title]));
        found.stdout.lines().map(str::to_owned).collect()
    }

    /// Waits for a window with these words in its title that is none of those known.
    #[track_caller]
    pub fn window(&self, title: &str, known: &[String]) -> String {
        let what = format!("a window named {title}");
        until_some(&what, || self.windows(title).into_iter().find(|window| !known.contains(window)))
    }

    /// Types into a window, and the Enter key.
    pub fn type_into(&self, window: &str, text: &str) {
        let focused = || run(&mut self.xdotool(&["getwindowfocus"])).stdout.trim() == window;
        until("the window listens to the keyboard", || {
            run(&mut self.xdotool(&["windowactivate", window]));
            focused()
        });
        run(&mut self.xdotool(&["type", "--delay", "30", text])).expect_success();
        run(&mut self.xdotool(&["key", "Return"])).expect_success();
    }

    fn xdotool(&self, arguments: &[&str]) -> Command {
        let mut command = program("timeout", ["30", "xdotool"]);
        command.args(arguments).env("DISPLAY", &self.display);
        command
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.server] {
            // The server tidies up after itself if it is asked to end.
            run(&mut program("kill", [child.id().to_string()]));
            let _ = child.wait();
        }
    }
}

fn quiet(command: &mut Command) -> Child {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("scripts/setup test installs the screen's programs")
}
