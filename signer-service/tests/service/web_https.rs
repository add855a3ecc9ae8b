//! The login page over HTTPS: the certificate that browsers see, when it is read again, and who gets no connection.

use std::{fs, process::Command};

use sha2::{Digest, Sha256};

use crate::{
    clinician::{ADA, ADA_SIGNS},
    network::{self, ALL, hang_up, logged},
    support::{Desk, PIN},
    web::{Answer, CHALLENGE, SECRET, VERIFIER, WEB, answer},
};

/// A desk whose login page speaks HTTPS.
fn desk_on_https() -> Desk {
    let web = WEB.replace("unix = \"web.sock\"", "tls = \"127.0.0.1:0\"");
    let clients = ALL.split("[clinicians]").next().unwrap();
    let web = format!("{clients}{}", web.replace("SECRET", &hex::encode(Sha256::digest(SECRET))));
    Desk::on_network(&[ADA_SIGNS, ADA], &web)
}

/// Where the login page is, and how a browser that trusts the desk's authority gets there by its public name.
fn browse(desk: &Desk, path: &str, more: &[&str]) -> Answer {
    let port = logged(desk, "web login address=").rsplit_once(':').unwrap().1.trim().to_owned();
    let there = format!("login.example:443:127.0.0.1:{port}");
    let mut curl = Command::new("curl");
    curl.arg("--cacert").arg(desk.path("pki/tls/ca.pem")).args(["--connect-to", &there]);
    answer(curl.args(more).arg(format!("https://login.example{path}")), path)
}

/// The serial number of the certificate that the login page shows now.
fn shown(desk: &Desk) -> String {
    let port = logged(desk, "web login address=").rsplit_once(':').unwrap().1.trim().to_owned();
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "login.example"]);
    let said = client.stdin(std::process::Stdio::null()).output().unwrap();
    fs::write(desk.path("shown"), said.stdout).unwrap();
    desk.tool("openssl", &["x509", "-in", "shown", "-noout", "-serial"])
}

#[test]
fn browsers_log_in_over_https_and_see_a_new_certificate_at_once() {
    let mut desk = desk_on_https();
    let renew = |desk: &Desk| {
        let mut renew = desk.client_command(&["server-certificate", "--server-name", "login.example"]);
        assert!(renew.arg("--dir").arg(desk.path("pki/tls")).output().unwrap().status.success());
    };
    // The certificate of init does not name the page's host.
    let mut refused = Command::new("curl");
    let port = logged(&desk, "web login address=").rsplit_once(':').unwrap().1.trim().to_owned();
    refused.arg("-s").arg("--cacert").arg(desk.path("pki/tls/ca.pem"));
    refused.args([
        "--connect-to",
        &format!("login.example:443:127.0.0.1:{port}"),
        "https://login.example/jwks",
    ]);
    assert_eq!(refused.output().unwrap().status.code(), Some(60), "curl did not miss the name");
    let before = shown(&desk);
    renew(&desk);
    hang_up(&mut desk, "permissions were read again");
    assert_ne!(shown(&desk), before);

    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", "page");
    query
        .append_pair("redirect_uri", "https://page.example/back")
        .append_pair("scope", "openid prescription.sign");
    query.append_pair("code_challenge", CHALLENGE).append_pair("code_challenge_method", "S256");
    let page = browse(&desk, &format!("/authorize?{}", query.finish()), &[]);
    assert_eq!(page.status, 200, "{}", page.body);
    let cookie = format!("Cookie: {}", page.headers["set-cookie"].split(';').next().unwrap());
    let fields = [
        ("login", page.field("login")),
        ("card", page.field("card")),
        ("pin", PIN.into()),
        ("do", "log-in".into()),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut more: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field]).collect();
    more.extend(["-H", &cookie, "-H", "Origin: https://login.example"]);
    let code = browse(&desk, "/login", &more).sent("code").unwrap();
    let code = format!("code={code}");
    let grant = [
        "-d",
        "grant_type=authorization_code",
        "-d",
        &code,
        "-d",
        "client_id=page",
        "-d",
        "redirect_uri=https://page.example/back",
        "-d",
        &format!("code_verifier={VERIFIER}"),
    ];
    let token = browse(&desk, "/token", &grant).json();
    assert_eq!(token["scope"], "openid prescription.sign", "{token}");

    // What cannot be used changes nothing; what can is taken up without being told.
    let kept = shown(&desk);
    fs::write(desk.path("pki/tls/server.pem"), "nonsense").unwrap();
    hang_up(&mut desk, "certificates stay as they were");
    assert_eq!(shown(&desk), kept);
    assert_eq!(browse(&desk, "/jwks", &[]).status, 200);
    renew(&desk);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while shown(&desk) == kept {
        // Browsers that come all the time do not keep the new certificate away.
        assert!(std::time::Instant::now() < patience, "{}", desk.log());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn who_speaks_no_https_to_the_login_page_gets_nothing() {
    let desk = desk_on_https();
    let port = logged(&desk, "web login address=").rsplit_once(':').unwrap().1.trim().to_owned();
    let mut plain = Command::new("curl");
    let plain = plain.args([
        "-s",
        "-i",
        "--max-time",
        "20",
        "--http0.9",
        &format!("http://127.0.0.1:{port}/authorize?pin=40917263"),
    ]);
    let said = plain.output().unwrap();
    assert!(!String::from_utf8_lossy(&said.stdout).contains("HTTP/1.1"), "{said:?}");
    for version in ["--tls-max 1.0", "--tls-max 1.1", "--tls-max 1.2"] {
        let mut old = Command::new("curl");
        old.args(["-s", "--cacert"]).arg(desk.path("pki/tls/ca.pem")).args(version.split(' '));
        old.arg(format!("https://localhost:{port}/jwks"));
        assert_eq!(old.output().unwrap().status.code(), Some(35), "{version}");
    }
    assert!(!desk.log().contains(PIN));
}

#[test]
fn check_looks_at_the_login_pages_certificate_and_key() {
    let desk = desk_on_https();
    let config = fs::read_to_string(desk.path("config.toml")).unwrap();
    // Only browsers use them.
    fs::write(desk.path("config.toml"), config.replace("tls = '127.0.0.1:0'\n", "")).unwrap();
    let check = || {
        let said = desk.serve_command(&["--check"]).output().unwrap();
        (said.status.success(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    let (good, said) = check();
    assert!(good && said.contains("\nweb login: https 127.0.0.1:0\ncertificate: until 20"), "{said}");
    assert!(!said.contains("\ntls: "), "{said}");

    let [certificate, key] = ["server.pem", "server.key"].map(|name| desk.path(&format!("pki/tls/{name}")));
    let kept = [&certificate, &key].map(|file| fs::read(file).unwrap());
    fs::copy(desk.path("pki/tls/ward.key"), &key).unwrap();
    let (good, said) = check();
    assert!(!good && said.contains("tls.certificate and tls.key: "), "{said}");
    fs::write(&key, &kept[1]).unwrap();
    let authority = desk.path("pki/tls/ca").display().to_string();
    network::openssl_client(&desk, "server", &authority, "0", "serverAuth");
    std::thread::sleep(std::time::Duration::from_secs(2)); // it lasts no day, and ends with the second
    let (good, said) = check();
    assert!(!good && said.contains("tls.certificate: ") && said.contains("got one that ended"), "{said}");
    for (file, kept) in [&certificate, &key].into_iter().zip(&kept) {
        fs::write(file, kept).unwrap();
    }
    assert!(check().0);
}
