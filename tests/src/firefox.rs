//! Firefox ESR without a window, driven through Marionette.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::desk::Desk;
use crate::marionette::Marionette;
use crate::nss::Database;
use crate::waiting::{until, until_some};

/// Only the first lines matter to the card; the others keep a new profile from greeting, reporting and updating.
/// Speculative connections and page symbols are off so that a page is one connection and signatures can be counted.
const PREFERENCES: &str = r#"
user_pref("security.default_personal_cert", "Select Automatically");
user_pref("network.http.speculative-parallel-limit", 0);
user_pref("browser.chrome.site_icons", false);
user_pref("marionette.port", 0);
user_pref("remote.prefs.recommended", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("termsofuse.bypassNotification", true);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"#;

/// Answers each PIN dialog with the next PIN that it was given and cancels when it has no more.
const ANSWERER: &str = r#"
globalThis.askedFor = [];
globalThis.pins = [];
Services.prefs.setIntPref("security.dialog_enable_delay", 0);
Services.obs.addObserver(dialog => dialog.setTimeout(() => {
  const ui = dialog.Dialog.ui;
  askedFor.push(dialog.Dialog.args.text);
  if (pins.length == 0) { ui.button1.click(); return; }
  ui.password1Textbox.value = pins.shift();
  ui.button0.disabled = false;
  ui.button0.click();
}, 0), "common-dialog-loaded");
"#;

const TOKENS: &str = r#"
const done = arguments[arguments.length - 1];
Cc["@mozilla.org/security/pkcs11moduledb;1"].getService(Ci.nsIPKCS11ModuleDB).listModules().then(modules => {
  const slots = modules.filter(module => module.name == "hpc").flatMap(module => module.slots);
  const present = slots.filter(slot => slot.status != Ci.nsIPKCS11Slot.SLOT_NOT_PRESENT);
  done(present.map(slot => slot.tokenName));
}, error => done(String(error)));
"#;

const LOG_OUT: &str = r#"
const done = arguments[arguments.length - 1];
Cc["@mozilla.org/security/pkcs11moduledb;1"].getService(Ci.nsIPKCS11ModuleDB).listModules().then(modules => {
  const slots = modules.filter(module => module.name == "hpc").flatMap(module => module.slots);
  slots.forEach(slot => slot.getToken().logout());
  done(slots.length);
}, error => done(String(error)));
"#;

/// A running browser; it ends with this value.
pub struct Firefox {
    child: Child,
    marionette: Marionette,
}

impl Firefox {
    /// Starts with a profile that knows the module and trusts the test's servers.
    pub fn start(desk: &Desk) -> Firefox {
        let database = Database::create(desk, "firefox");
        database.trust_servers();
        let profile = database.place();
        fs::write(profile.join("user.js"), PREFERENCES).expect("the profile is writable");
        let mut child = browser(desk, profile).spawn().expect("firefox-esr can be started");
        let port_file = profile.join("MarionetteActivePort");
        let port = until_some("Firefox listens for its remote control", || {
            assert!(child.try_wait().expect("a child").is_none(), "Firefox ended: {}", log(desk));
            fs::read_to_string(&port_file).ok()?.parse().ok()
        });
        let mut marionette = Marionette::connect(port).expect("Firefox can be controlled");
        marionette.in_browser(ANSWERER, json!([])).expect("dialogs can be watched");
        Firefox { child, marionette }
    }

    /// What a person at the keyboard will answer to the next PIN dialogs.
    pub fn person_types(&mut self, pins: &[&str]) {
        self.marionette.in_browser("pins = arguments[0];", json!([pins])).expect("the browser takes scripts");
    }

    /// The texts of all PIN dialogs so far.
    pub fn asked_for(&mut self) -> Vec<String> {
        let asked = self.marionette.in_browser("return askedFor;", json!([]));
        serde_json::from_value(asked.expect("the browser takes scripts")).expect("a list of texts")
    }

    /// Names of the tokens that the browser sees in the module's slots.
    pub fn tokens(&mut self) -> Vec<String> {
        let tokens = self.marionette.in_browser_later(TOKENS, json!([])).expect("modules can be listed");
        serde_json::from_value(tokens).expect("a list of names")
    }

    /// Logs out of every token of the module, as the device manager's button does.
    pub fn log_out(&mut self) {
        let slots = self.marionette.in_browser_later(LOG_OUT, json!([])).expect("tokens can be logged out");
        assert!(slots.as_u64().is_some_and(|slots| slots > 0), "{slots}");
    }

    /// Opens a page; answers its text when it is there.
    pub fn page(&mut self, address: &str) -> String {
        self.marionette.command("Marionette:SetContext", json!({ "value": "content" })).expect("a context");
        self.marionette
            .command("WebDriver:Navigate", json!({ "url": address }))
            .expect("a page can be asked for");
        until_some(&format!("{address} is shown"), || {
            // While a PIN dialog is open every command is refused.
            let script = "return [document.readyState, document.URL, document.documentElement.innerText];";
            let seen = self.marionette.in_page(script).ok()?;
            let text = |index: usize| seen[index].as_str().unwrap_or_default();
            let failed = ["about:neterror", "about:certerror"].iter().any(|page| text(1).starts_with(page));
            assert!(!failed, "{address} failed: {} {}", text(1), text(2));
            (text(0) == "complete" && text(1) == address).then(|| text(2).to_owned())
        })
    }

    /// Ends the browser as a person does.
    pub fn quit(mut self) {
        let flags = json!({ "flags": ["eForceQuit"] });
        self.marionette.command("Marionette:Quit", flags).expect("the browser takes its leave");
        until("Firefox ends", || self.child.try_wait().expect("a child").is_some());
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn browser(desk: &Desk, profile: &Path) -> Command {
    let mut command = Command::new("firefox-esr");
    command.args(["--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile"]);
    command.arg(profile).current_dir(desk.directory());
    desk.dress(&mut command);
    let log = File::create(desk.path(LOG)).expect("the directory is writable");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file handle")).stderr(log);
    command
}

fn log(desk: &Desk) -> String {
    fs::read_to_string(desk.path(LOG)).unwrap_or_default()
}

/// Where the browser's own messages are.
const LOG: &str = "firefox.log";
