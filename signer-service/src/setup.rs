//! The commands that prepare a service: configuration and certificates.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{
    cli::{ClientCertificateArgs, InitArgs, ServerCertificateArgs, ServerNames},
    config,
    tls::authority::{Authority, Issued},
};

/// Days that the first client's certificate lasts.
const FIRST_CLIENT_DAYS: u32 = 397;

/// `init`: configuration, authority, the service's certificate, the first client's.
///
/// # Errors
/// Something is there already, or cannot be written.
pub fn init(args: &InitArgs) -> anyhow::Result<String> {
    let (path, tls) = (args.dir.join("config.toml"), args.dir.join("tls"));
    let shown = || path.display().to_string();
    fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).with_context(shown)?;
    let authority = Authority::open(&tls)?;
    let server = authority.server(&names(&args.server), args.server.server_days)?;
    let client = authority.client(&args.client, FIRST_CLIENT_DAYS)?;
    let text = config::DEFAULT_TEXT.replacen("[clients]\n", &section(&args.client, &client, true), 1);
    file.write_all(text.as_bytes()).with_context(shown)?;
    Ok(format!(
        "written: {}\nauthority: {}\nservice: {}\nclient {}: {}\nNow choose [listen] tls, if callers are on other machines, \
         and keep {} elsewhere.",
        path.display(),
        tls.join("ca.pem").display(),
        server.certificate.display(),
        args.client,
        client.certificate.display(),
        tls.join("ca.key").display()
    ))
}

/// `client-certificate`: certificate and key, and the lines of the configuration for it, with no permissions.
///
/// # Errors
/// The client has one already, or it cannot be written.
pub fn client_certificate(args: &ClientCertificateArgs) -> anyhow::Result<String> {
    let issued = authority(&args.dir)?.client(&args.name, args.days)?;
    Ok(format!(
        "certificate: {}\nkey: {}\nFor the configuration (permissions are for you to add; then reload the service):\n\n{}",
        issued.certificate.display(),
        issued.key.display(),
        section(&args.name, &issued, false)
    ))
}

/// `server-certificate`: a new one over the same key; the authority is made if there is none.
///
/// # Errors
/// It cannot be written.
pub fn server_certificate(args: &ServerCertificateArgs) -> anyhow::Result<String> {
    let issued = Authority::open(&args.dir)?.server(&names(&args.server), args.server.server_days)?;
    Ok(format!("certificate: {}\nkey: {}", issued.certificate.display(), issued.key.display()))
}

/// The authority of a folder that has one: a client's certificate from a new one would be of no use.
fn authority(folder: &Path) -> anyhow::Result<Authority> {
    let key: PathBuf = folder.join("ca.key");
    anyhow::ensure!(key.exists(), "{}: expected the key of the authority, found none", key.display());
    Ok(Authority::open(folder)?)
}

fn section(name: &str, client: &Issued, everything: bool) -> String {
    let list = if everything { "[\"*\"]" } else { "[]" };
    format!(
        "[clients.{name:?}]\ncertificates = [\"sha256:{}\"]\ncalls = {list}\ncards = {list}\nreaders = {list}\n",
        client.fingerprint
    )
}

fn names(wanted: &ServerNames) -> Vec<String> {
    if !wanted.names.is_empty() {
        return wanted.names.clone();
    }
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(Some(machine.trim().to_owned()).filter(|name| !name.is_empty() && name != "(none)"));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn init_args(dir: &Path) -> InitArgs {
        let server = ServerNames { names: vec!["signer.example".to_owned()], server_days: 30 };
        InitArgs { dir: dir.to_owned(), client: "ward-7".to_owned(), server }
    }

    #[test]
    fn what_init_writes_is_a_configuration_whose_first_client_may_do_everything() {
        let folder = tempfile::tempdir().unwrap();
        init(&init_args(folder.path())).unwrap();
        let config = Config::load(&folder.path().join("config.toml")).unwrap();
        let client = config.clients.get("ward-7").unwrap();
        assert_eq!((client.certificates.len(), client.calls.as_slice()), (1, &["*".to_owned()][..]));
        assert!(crate::tls::ServerTls::load(&config.tls).is_ok());
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        init(&init_args(folder.path())).unwrap();
        let before = fs::read(folder.path().join("tls/ca.pem")).unwrap();
        assert!(init(&init_args(folder.path())).is_err());
        let again = ClientCertificateArgs { name: "ward-7".into(), dir: folder.path().join("tls"), days: 3 };
        let error = client_certificate(&again).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(fs::read(folder.path().join("tls/ca.pem")).unwrap(), before);
    }

    #[test]
    fn a_further_client_gets_a_section_without_permissions() {
        let folder = tempfile::tempdir().unwrap();
        init(&init_args(folder.path())).unwrap();
        let further =
            ClientCertificateArgs { name: "ward.8".into(), dir: folder.path().join("tls"), days: 3 };
        let said = client_certificate(&further).unwrap();
        let section = said.split_once("\n\n").unwrap().1;
        let text = fs::read_to_string(folder.path().join("config.toml")).unwrap();
        fs::write(folder.path().join("config.toml"), format!("{text}\n{section}")).unwrap();
        let config = Config::load(&folder.path().join("config.toml")).unwrap();
        assert!(config.clients.get("ward.8").unwrap().calls.is_empty());
    }

    #[test]
    fn a_clients_name_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        init(&init_args(folder.path())).unwrap();
        for name in ["../evil", "", "ca", "server", ".hidden", "a b"] {
            let args = ClientCertificateArgs { name: name.into(), dir: folder.path().join("tls"), days: 3 };
            assert!(client_certificate(&args).is_err(), "{name:?}");
        }
    }
}
