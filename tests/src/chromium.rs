//! Chromium on a screen that nobody sees. Without a window it shows no PIN dialog and hangs.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::desk::{Desk, text_of};
use crate::nss::Database;
use crate::programs::{program, run};
use crate::screen::Screen;

/// The title of the PIN dialog.
const DIALOG: &str = "Unlock Security Device";

/// A running browser with its screen; both end with this value.
pub struct Chromium<'a> {
    desk: &'a Desk,
    child: Child,
    screen: Screen,
    dialogs: Vec<String>,
}

impl<'a> Chromium<'a> {
    /// Starts with an empty page. For the given servers the choice of a certificate is made already.
    pub fn start(desk: &'a Desk, ports: &[&str]) -> Chromium<'a> {
        let database = Database::create(desk, ".pki/nssdb");
        database.trust_servers();
        let chosen = ports
            .iter()
            .map(|port| (format!("https://localhost:{port},*"), json!({ "setting": { "filters": [{}] } })));
        let chosen: serde_json::Map<_, _> = chosen.collect();
        let exceptions = json!({ "auto_select_certificate": chosen });
        let preferences = json!({ "profile": { "content_settings": { "exceptions": exceptions } } });
        fs::create_dir_all(desk.path(&format!("{PROFILE}/Default"))).expect("the directory is writable");
        desk.file(&format!("{PROFILE}/Default/Preferences"), preferences.to_string());

        let screen = Screen::start(desk);
        let child = browser(desk, &screen, "about:blank").spawn().expect("chromium can be started");
        let chromium = Chromium { desk, child, screen, dialogs: Vec::new() };
        chromium.expect_title("about:blank");
        chromium
    }

    /// Opens a page in the running browser.
    pub fn open(&self, address: &str) {
        let said = run(&mut browser(self.desk, &self.screen, address));
        assert!(said.success, "{}", said.text());
    }

    /// Waits for the next PIN dialog and types.
    pub fn type_pin(&mut self, pin: &str) {
        let dialog = self.screen.window(DIALOG, &self.dialogs);
        self.screen.type_into(&dialog, pin);
        self.dialogs.push(dialog);
    }

    /// Waits for a page with this title and types into the field that has the cursor.
    pub fn type_into_page(&self, title: &str, text: &str) {
        let page = self.screen.window(&format!("{title} - Chromium"), &[]);
        self.screen.type_into(&page, text);
    }

    /// Waits until the browser shows a page with this title.
    #[track_caller]
    pub fn expect_title(&self, title: &str) {
        self.screen.window(&format!("{title} - Chromium"), &[]);
    }

    /// Whether a PIN dialog is open.
    pub fn asks(&self) -> bool {
        !self.screen.windows(DIALOG).is_empty()
    }
}

impl Drop for Chromium<'_> {
    fn drop(&mut self) {
        // The browser is a family of processes in a group of its own.
        run(&mut program("kill", ["--", &format!("-{}", self.child.id())]));
        let _ = self.child.wait();
    }
}

/// The profile's directory at the desk.
const PROFILE: &str = "chromium";

/// Root needs `--no-sandbox`; the others keep a new profile from greeting, reporting and updating.
fn browser(desk: &Desk, screen: &Screen, address: &str) -> Command {
    let mut command = Command::new("chromium");
    command.args(["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--disable-extensions", "--password-store=basic"]);
    command.arg(format!("--user-data-dir={}", text_of(&desk.path(PROFILE)))).arg(address);
    desk.dress(&mut command);
    command.env("DISPLAY", screen.display()).current_dir(desk.directory()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
