//! Where the service listens: a Unix socket that only its owner may open.
//!
//! The socket appears under its name with its final permissions: it is made in a folder nobody else can enter and then
//! moved. A socket that a dead service left behind is replaced; a living one, or a file of another kind, is not.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Name of the socket before it is moved.
const HIDDEN: &str = "s";

/// A listening Unix socket; its file goes away with it.
#[derive(Debug)]
pub struct PrivateSocket {
    path: PathBuf,
    inode: u64,
}

/// Why the service cannot listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody answers there already.
    #[error("{0}: another service is listening there")]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{0}: expected a free name or a socket that nobody uses, got another kind of file")]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl PrivateSocket {
    /// Binds the socket with mode 0600.
    ///
    /// # Errors
    /// Another service lives there, or the system refuses.
    pub fn bind(path: &Path) -> Result<(PrivateSocket, UnixListener), ListenError> {
        refuse_occupied(path)?;
        let io = |source| ListenError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Short, because the name of a socket is limited to 107 bytes.
        let hidden = folder.join(format!(".{}", std::process::id()));
        // A service that was killed in here may have had the same number: in a container every one has.
        let _ = fs::remove_file(hidden.join(HIDDEN)).and_then(|()| fs::remove_dir(&hidden));
        DirBuilder::new().mode(0o700).create(&hidden).map_err(io)?;
        let bound = bind_hidden(&hidden.join(HIDDEN), path).map_err(io);
        fs::remove_dir_all(&hidden).map_err(io)?;
        let listener = bound?;
        let inode = fs::symlink_metadata(path).map_err(io)?.ino();
        Ok((PrivateSocket { path: path.to_owned(), inode }, listener))
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        // Only if the name still is this socket's: a successor may have replaced it.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn bind_hidden(hidden: &Path, path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(hidden)?;
    fs::set_permissions(hidden, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    fs::rename(hidden, path)?;
    Ok(listener)
}

/// Is the name free, or held by a socket that nobody listens on?
///
/// # Errors
/// Another service lives there, or a file of another kind has the name.
pub fn refuse_occupied(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ListenError::Io { path: path.to_owned(), source }),
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(ListenError::Io { path: path.to_owned(), source }),
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_socket_is_private_and_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let (socket, _listener) = PrivateSocket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (_socket, _listener) = PrivateSocket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_a_killed_service_left_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let hidden = folder.path().join(format!(".{}", std::process::id()));
        fs::create_dir(&hidden).unwrap();
        drop(UnixListener::bind(hidden.join("s")).unwrap());
        let path = folder.path().join("s.sock");
        let (_socket, _listener) = PrivateSocket::bind(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_living_service_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let _living = UnixListener::bind(&path).unwrap();
        assert!(matches!(PrivateSocket::bind(&path), Err(ListenError::InUse(_))));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(PrivateSocket::bind(&path), Err(ListenError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_successors_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let (first, listener) = PrivateSocket::bind(&path).unwrap();
        drop(listener);
        let (_second, _listener) = PrivateSocket::bind(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
    }
}
