//! The web login on a soft token: a browser and an application made of curl, and everything that goes wrong between them.

use std::{collections::HashMap, fs, process::Command};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    clinician::{ADA, ADA_SIGNS, claims},
    network::{self, ALL},
    support::{Desk, NO_CARD, PIN, json},
};

pub(crate) const WEB: &str = r#"
[clinicians]
token_required = "always"
issuer = "https://login.example"
[web]
unix = "web.sock"
[[web.clients]]
id = "page"
name = "Page <7>"
redirect_uris = ["https://page.example/back", "http://127.0.0.1:9/back"]
scopes = ["openid", "prescription.sign", "patient/Observation.rs"]
[[web.clients]]
id = "ward"
name = "Ward"
redirect_uris = ["https://ward.example/back"]
scopes = ["openid", "prescription.sign", "patient/Observation.rs"]
audience = "https://ward.example"
secret_sha256 = "SECRET"
"#;
pub(crate) const SECRET: &str = "a long secret of the ward: 81f3";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// A parameter of the address that the browser is sent to.
    pub(crate) fn sent(&self, name: &str) -> Option<String> {
        assert_eq!(self.status, 303, "{}", self.body);
        let query = self.headers["location"].split_once('?').unwrap().1;
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The value of a field of the form.
    pub(crate) fn field(&self, name: &str) -> String {
        let from = self.body.split(&format!("name=\"{name}\" value=\"")).nth(1);
        from.unwrap_or_else(|| panic!("no {name}: {}", self.body)).split('"').next().unwrap().to_owned()
    }
}

fn desk() -> Desk {
    Desk::configured(&[ADA_SIGNS, ADA], &WEB.replace("SECRET", &hex::encode(Sha256::digest(SECRET))))
}

fn curl(desk: &Desk, path: &str, more: &[&str]) -> Answer {
    let mut curl = Command::new("curl");
    curl.arg("--unix-socket").arg(desk.path("web.sock"));
    answer(curl.args(more).arg(format!("http://login.example{path}")), path)
}

/// What a server answers to curl.
pub(crate) fn answer(curl: &mut Command, path: &str) -> Answer {
    let output = curl.args(["-s", "-i", "--max-time", "60"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (head, body) =
        text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {text} {:?}", output.stderr));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

fn post(desk: &Desk, path: &str, fields: &[(&str, &str)], headers: &[&str]) -> Answer {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut more: Vec<&str> = pairs.iter().flat_map(|pair| ["--data-urlencode", pair]).collect();
    more.extend(headers.iter().flat_map(|header| ["-H", header]));
    curl(desk, path, &more)
}

fn authorize(desk: &Desk, client: &str, scope: &str) -> Answer {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", client);
    query.append_pair("redirect_uri", &format!("https://{client}.example/back")).append_pair("scope", scope);
    query.append_pair("state", "st&ate").append_pair("nonce", "n-1");
    query.append_pair("code_challenge", CHALLENGE).append_pair("code_challenge_method", "S256");
    curl(desk, &format!("/authorize?{}", query.finish()), &[])
}

/// The login page of an application in a browser.
struct Page {
    page: Answer,
    cookie: String,
}

impl Page {
    fn open(desk: &Desk, client: &str, scope: &str) -> Page {
        let page = authorize(desk, client, scope);
        assert_eq!(page.status, 200, "{}", page.body);
        let cookie = page.headers["set-cookie"].split(';').next().unwrap();
        let cookie = format!("Cookie: {cookie}");
        Page { page, cookie }
    }

    fn submit(&self, desk: &Desk, pin: &str) -> Answer {
        self.send(desk, pin, &[&self.cookie, "Origin: https://login.example", "Sec-Fetch-Site: same-origin"])
    }

    fn send(&self, desk: &Desk, pin: &str, headers: &[&str]) -> Answer {
        let (login, card) = (self.page.field("login"), self.page.field("card"));
        post(desk, "/login", &[("login", &login), ("card", &card), ("pin", pin), ("do", "log-in")], headers)
    }

    /// Logs in and answers the code.
    fn code(&self, desk: &Desk) -> String {
        self.submit(desk, PIN).sent("code").unwrap()
    }
}

fn exchange(desk: &Desk, code: &str, more: &[(&str, &str)]) -> Answer {
    let grant = [("grant_type", "authorization_code"), ("code", code)];
    post(desk, "/token", &[&grant[..], more].concat(), &[])
}

const PAGE: [(&str, &str); 3] =
    [("client_id", "page"), ("code_verifier", VERIFIER), ("redirect_uri", "https://page.example/back")];

fn basic() -> String {
    // Colons and blanks are form-encoded first.
    let secret: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    format!("Authorization: Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("ward:{secret}")))
}

#[tokio::test]
async fn a_page_without_a_server_logs_a_clinician_in_who_then_signs() {
    let desk = desk();
    let opened = Page::open(&desk, "page", "openid prescription.sign patient/Observation.read user/Task.r");
    let headers = &opened.page.headers;
    assert_eq!(
        headers["content-security-policy"],
        "default-src 'none'; style-src 'self'; form-action 'self' https://page.example; frame-ancestors 'none'; base-uri 'none'"
    );
    assert!(headers["set-cookie"].starts_with("__Host-browser="), "{headers:?}");
    assert!(headers["set-cookie"].ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600; Secure"));
    assert_eq!(
        (headers["cache-control"].as_str(), headers["referrer-policy"].as_str()),
        ("no-store", "same-origin")
    );
    assert!(opened.page.body.contains("<strong>Page &lt;7&gt;</strong>"), "{}", opened.page.body);

    let wrong = opened.submit(&desk, "99999999");
    assert!(wrong.body.contains("role=\"alert\">Die PIN ist falsch."), "{}", wrong.body);
    let sent = opened.submit(&desk, PIN);
    assert!(sent.headers["location"].starts_with("https://page.example/back?code="), "{:?}", sent.headers);
    assert_eq!(sent.sent("state").as_deref(), Some("st&ate"));
    assert_eq!(sent.sent("iss").as_deref(), Some("https://login.example"));

    let answer = exchange(&desk, &sent.sent("code").unwrap(), &PAGE);
    assert_eq!(
        (answer.status, answer.headers["cache-control"].as_str()),
        (200, "no-store"),
        "{}",
        answer.body
    );
    let answer = answer.json();
    assert_eq!(
        (&answer["token_type"], &answer["scope"]),
        (&json!("Bearer"), &json!("openid prescription.sign"))
    );
    let refused = json!([
        { "scope": "user/Task.r", "refused_by": "client" },
        { "scope": "patient/Observation.rs", "refused_by": "consent" },
    ]);
    assert_eq!(answer["refused_scopes"], refused);
    assert!(answer["refresh_token"].is_null());
    let token = answer["access_token"].as_str().unwrap();
    let (access, id) = (claims(token), claims(answer["id_token"].as_str().unwrap()));
    assert_eq!(
        (&access["idNummer"], &access["professionOID"]),
        (&json!("1-T-1"), &json!("1.2.276.0.76.4.30"))
    );
    assert_eq!((&access["client_id"], &access["aud"]), (&json!("page"), &json!("page")));
    assert_eq!((&id["nonce"], &id["aud"], &id["sub"]), (&json!("n-1"), &json!("page"), &access["sub"]));
    assert_eq!(id["iss"], "https://login.example");

    // The same token as AuthenticateClinician's: its holder's card signs.
    std::fs::write(desk.path("token"), token).unwrap();
    let mut sign = desk.client_command(&["sign", "--json", "--pin-env", "TEST_PIN"]);
    sign.arg(desk.path("prescription.xml")).arg("--out").arg(desk.path("out.p7s")).args(NO_CARD);
    let signed = sign.arg("--token").arg(desk.path("token")).env("TEST_PIN", PIN).output().unwrap();
    assert!(signed.status.success(), "{}", json(&signed));

    let records = desk.records().await;
    let kinds: Vec<(&str, &str)> =
        records.iter().map(|(call, outcome, _)| (&call[..], &outcome[..])).collect();
    let expected =
        [("WebLogin", "PIN_WRONG"), ("WebLogin", "OK"), ("WebToken", "OK"), ("SignPrescription", "OK")];
    assert_eq!(kinds, expected);
    assert!(records[2].2.starts_with("client page; granted: prescription.sign; professions "), "{records:?}");
}

#[test]
fn a_code_serves_once_and_the_second_time_ends_what_came_of_it() {
    let desk = desk();
    let code = Page::open(&desk, "ward", "openid prescription.sign").code(&desk);
    let redeem = |code: &str| {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        post(&desk, "/token", &fields, &[&basic()])
    };
    let first = redeem(&code);
    assert_eq!(first.status, 200, "{}", first.body);
    let token = first.json()["access_token"].as_str().unwrap().to_owned();
    let look = || post(&desk, "/introspect", &[("token", &token)], &[&basic()]).json();
    assert_eq!((&look()["active"], &look()["aud"]), (&json!(true), &json!("https://ward.example")));
    let again = redeem(&code);
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(look(), json!({ "active": false }), "a code that was used twice was stolen");

    let code = Page::open(&desk, "ward", "openid").code(&desk);
    let token = redeem(&code).json()["access_token"].as_str().unwrap().to_owned();
    let look = || post(&desk, "/introspect", &[("token", &token)], &[&basic()]).json();
    assert_eq!(post(&desk, "/revoke", &[("token", &token), ("client_id", "page")], &[]).status, 200);
    assert_eq!(look()["active"], true, "another client's token was revoked");
    assert_eq!(post(&desk, "/revoke", &[("token", &token)], &[&basic()]).status, 200);
    assert_eq!(look()["active"], false);
}

#[test]
fn a_stolen_code_is_worth_nothing() {
    let desk = desk();
    let other = "a".repeat(43);
    let wrongs: [&[(&str, &str)]; 4] = [
        &[("client_id", "page"), ("code_verifier", &other)],
        &[("client_id", "page")],
        &[("client_id", "page"), ("code_verifier", VERIFIER), ("redirect_uri", "http://127.0.0.1:9/back")],
        &[("client_id", "ward"), ("client_secret", SECRET), ("code_verifier", VERIFIER)],
    ];
    let errors = ["invalid_grant", "invalid_request", "invalid_grant", "invalid_grant"];
    for (number, (wrong, error)) in wrongs.into_iter().zip(errors).enumerate() {
        let code = Page::open(&desk, "page", "openid").code(&desk);
        assert_eq!(exchange(&desk, &code, wrong).json()["error"], error, "{number}");
        let right = exchange(&desk, &code, &PAGE);
        // Tries of its own client use a code up; other clients cannot take it away.
        let expected = if [0, 2].contains(&number) { 400 } else { 200 };
        assert_eq!(right.status, expected, "{number}: {}", right.body);
    }
    assert_eq!(exchange(&desk, "unknown", &PAGE).json()["error"], "invalid_grant");
}

#[test]
fn a_form_from_elsewhere_uses_no_pin() {
    let desk = desk();
    let page = Page::open(&desk, "page", "openid");
    let other = Page::open(&desk, "page", "openid").cookie;
    let foreign = [page.cookie.as_str(), "Origin: https://evil.example"];
    let cross = [page.cookie.as_str(), "Sec-Fetch-Site: cross-site"];
    let cases: [&[&str]; 5] = [&[], &[&other], &["Cookie: __Host-browser=x"], &foreign, &cross];
    for headers in cases {
        let refused = page.send(&desk, PIN, headers);
        assert_eq!(refused.status, 400, "{headers:?}: {}", refused.body);
    }
    let over =
        post(&desk, "/login", &[("login", "unknown"), ("do", "log-in"), ("pin", PIN)], &[&page.cookie]);
    assert_eq!(over.status, 400);
    assert!(!desk.log().contains("call=\"WebLogin\""), "a card was used");
    assert!(page.code(&desk).len() == 43, "the login itself was not disturbed");
}

#[test]
fn three_wrong_pins_or_a_cancel_end_the_login() {
    let desk = desk();
    let page = Page::open(&desk, "page", "openid");
    for _ in 0..2 {
        assert_eq!(page.submit(&desk, "99999999").status, 200);
    }
    let ended = page.submit(&desk, "99999999");
    assert_eq!(
        (ended.sent("error").as_deref(), ended.sent("state").as_deref()),
        (Some("access_denied"), Some("st&ate"))
    );
    assert_eq!(page.submit(&desk, PIN).status, 400, "the login goes on");

    let page = Page::open(&desk, "page", "openid");
    let login = page.page.field("login");
    let cancelled = post(&desk, "/login", &[("login", &login), ("do", "cancel")], &[&page.cookie]);
    assert_eq!(cancelled.sent("error").as_deref(), Some("access_denied"));
    assert_eq!(page.submit(&desk, PIN).status, 400, "the login goes on");
}

#[tokio::test]
async fn wrong_pins_on_the_page_count_for_the_card_whatever_application_they_are_for() {
    let web = WEB.replace("SECRET", &hex::encode(Sha256::digest(SECRET)));
    let desk = Desk::configured(&[ADA_SIGNS, ADA], &format!("{web}[limits]\nwrong_pins_per_card = 2\n"));
    for application in ["page", "ward"] {
        let wrong = Page::open(&desk, application, "openid").submit(&desk, "99999999");
        assert!(wrong.body.contains("Die PIN ist falsch."), "{application}: {}", wrong.body);
    }
    let limited = Page::open(&desk, "page", "openid").submit(&desk, PIN);
    assert!(limited.body.contains("Zu viele falsche PINs"), "{}", limited.body);
    // The other ways to this card are closed, too.
    let refused = desk.sign("prescription.xml", PIN);
    assert_eq!(json(&refused)["error"]["reason"], "TOKEN_REQUIRED");
    let mut prove = desk.client_command(&["authenticate", "--json", "--pin-env", "TEST_PIN"]);
    assert_eq!(json(&prove.env("TEST_PIN", PIN).output().unwrap())["error"]["reason"], "PIN_RATE_LIMITED");
    let outcomes: Vec<String> = desk.records().await.into_iter().map(|(_, outcome, _)| outcome).collect();
    assert_eq!(outcomes[..3], ["PIN_WRONG", "PIN_WRONG", "PIN_RATE_LIMITED"]);
}

#[test]
fn an_application_and_a_program_of_one_name_do_not_share_their_wrong_pins() {
    let web = WEB.replace("SECRET", &hex::encode(Sha256::digest(SECRET))).replace("\"always\"", "\"never\"");
    let clients = ALL.split("[clinicians]").next().unwrap();
    let limits = "[limits]\nwrong_pins_per_client = 1\n";
    let desk = Desk::on_network(&[ADA_SIGNS, ADA], &format!("{clients}{web}{limits}"));
    assert!(Page::open(&desk, "ward", "openid").submit(&desk, "99999999").body.contains("falsch"));
    let limited = Page::open(&desk, "ward", "openid").submit(&desk, PIN);
    assert!(limited.body.contains("Zu viele falsche PINs"), "{}", limited.body);
    assert_eq!(
        Page::open(&desk, "page", "openid").code(&desk).len(),
        43,
        "the other application is not limited"
    );
    assert_eq!(network::reason(&network::sign(&desk, "ward", &[])), "", "the program is not limited");
}

#[test]
fn what_the_patient_consented_to_is_said_by_applications_with_a_secret_only() {
    let desk = desk();
    let ask = |client: &str| Page::open(&desk, client, "patient/Observation.read").code(&desk);
    let consent = [("consent", "patient/Observation.r")];
    let refused = exchange(&desk, &ask("page"), &[&PAGE[..], &consent].concat());
    assert_eq!(refused.json()["error"], "invalid_request", "{}", refused.body);

    let code = ask("ward");
    let ward = [("client_id", "ward"), ("client_secret", SECRET), ("code_verifier", VERIFIER)];
    let answer = exchange(&desk, &code, &[&ward[..], &consent].concat()).json();
    assert_eq!(answer["scope"], "patient/Observation.r", "{answer}");
    assert_eq!(
        answer["refused_scopes"],
        json!([{ "scope": "patient/Observation.s", "refused_by": "consent" }])
    );
    assert!(answer["id_token"].is_null(), "nobody asked for one");
}

#[test]
fn applications_prove_who_they_are() {
    let desk = desk();
    let grant = [("grant_type", "authorization_code"), ("code", "c"), ("code_verifier", VERIFIER)];
    let wrong = [
        vec![("client_id", "ward")],
        vec![("client_id", "ward"), ("client_secret", "wrong")],
        vec![("client_id", "page"), ("client_secret", SECRET)],
        vec![("client_id", "nobody")],
        vec![],
    ];
    for more in wrong {
        let answer = post(&desk, "/token", &[&grant[..], &more].concat(), &[]);
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{more:?}");
    }
    let forged = "Authorization: Basic d2FyZDp3cm9uZw==";
    let answer = post(&desk, "/token", &grant, &[forged]);
    assert_eq!((answer.status, answer.headers["www-authenticate"].as_str()), (401, "Basic realm=\"token\""));
    let public = post(&desk, "/introspect", &[("token", "t"), ("client_id", "page")], &[]);
    assert_eq!(public.status, 401, "introspection is for clients with a secret");
    let twice = [&grant[..], &[("client_secret", SECRET)]].concat();
    assert_eq!(post(&desk, "/token", &twice, &[&basic()]).json()["error"], "invalid_request");
}

#[test]
fn applications_find_out_what_there_is() {
    let desk = desk();
    let metadata = curl(&desk, "/.well-known/oauth-authorization-server", &[]).json();
    assert_eq!(metadata["issuer"], "https://login.example");
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(curl(&desk, "/.well-known/openid-configuration", &[]).json(), metadata);
    let keys = curl(&desk, "/jwks", &["-H", "Origin: https://page.example"]);
    assert_eq!(keys.headers["access-control-allow-origin"], "https://page.example");
    assert_eq!(keys.json()["keys"][0]["crv"], "P-384");
    assert!(keys.json()["keys"][0]["d"].is_null());
    let foreign = curl(&desk, "/jwks", &["-H", "Origin: https://evil.example"]);
    assert!(!foreign.headers.contains_key("access-control-allow-origin"));

    assert_eq!(curl(&desk, "/nothing", &[]).status, 404);
    assert_eq!(curl(&desk, "/token", &[]).status, 405);
    assert_eq!(curl(&desk, "/login", &["--json", "{}"]).status, 415);
    let large = format!("login={}", "x".repeat(20_000));
    assert_eq!(curl(&desk, "/login", &["-d", &large]).status, 413);
    assert_eq!(curl(&desk, "/authorize?client_id=page&client_id=ward", &[]).status, 400);
    assert_eq!(curl(&desk, "/authorize?client_id=%3Cscript%3E", &[]).status, 400);
}

#[test]
fn the_log_shows_neither_pin_nor_code_nor_secret() {
    let desk = desk();
    let page = Page::open(&desk, "ward", "openid prescription.sign");
    page.submit(&desk, "86420975");
    let code = page.code(&desk);
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let answer = post(&desk, "/token", &fields, &[&basic()]).json();
    let token = answer["access_token"].as_str().unwrap();
    let log = desk.log();
    assert!(log.contains("WebLogin") && log.contains("WebToken"), "{log}");
    let cookie = page.cookie.split('=').nth(1).unwrap();
    let signature = token.rsplit('.').next().unwrap();
    for secret in [PIN, "86420975", &code, VERIFIER, SECRET, cookie, signature, &page.page.field("login")] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert!(!BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap().is_empty());
}

#[test]
fn a_taken_socket_is_named_by_the_key_that_wants_it() {
    let desk = desk();
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    let second = config.replace("\"s.sock\"", "\"second.sock\"").replace("audit.db", "second.db");
    for (taken, config) in [("listen.unix", config), ("web.unix", second)] {
        fs::write(desk.path("config.toml"), config).unwrap();
        let said = desk.serve_command(&[]).output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success(), "{text}");
        let error = text.lines().find(|line| line.starts_with("signer-service: ")).unwrap_or_default();
        assert!(error.starts_with(&format!("signer-service: {taken}: ")), "{text}");
        assert!(error.ends_with("another service is listening there"), "{text}");
    }
    assert!(!desk.path("second.sock").exists());
}
