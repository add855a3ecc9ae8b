//! The card side of `docs/card-socket.md`.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use super::slot::{Client, Reply};
use super::{Address, Plug, PlugError, Slot, Wake};

const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const ATR: u8 = 0x04;
const BEGIN: u8 = 0x05;
const END: u8 = 0x06;
const STATUS: u8 = 0x07;
/// No class byte: what follows is a control code and its input, for the reader.
const CONTROL: u8 = 0xFF;

/// Answer to BEGIN and END.
const DONE: [u8; 1] = [0x00];

/// Listens for clients; each gets a thread of its own.
pub(super) fn plug(slot: &Slot, address: &Address) -> Result<Plug, PlugError> {
    let fail = |source| PlugError::Listen { address: address.clone(), source };
    let (listener, file, address) = Listener::bind(address).map_err(fail)?;
    let listener = Arc::new(listener);
    let stop = Arc::new(AtomicBool::new(false));
    let clients = Arc::new(Clients::default());
    let waker = Waker { listener: listener.clone(), clients: clients.clone(), _file: file };
    let thread = {
        let (slot, stop) = (slot.clone(), stop.clone());
        std::thread::spawn(move || accept(&listener, &slot, &stop, &clients))
    };
    Ok(Plug { address, stop, wake: Arc::new(waker), thread: Some(thread) })
}

fn accept(listener: &Listener, slot: &Slot, stop: &Arc<AtomicBool>, clients: &Arc<Clients>) {
    while !stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok(mut stream) if !stop.load(Ordering::SeqCst) => {
                let Ok(number) = clients.add(&stream) else { continue };
                let (client, clients) = (slot.client(stop), clients.clone());
                std::thread::spawn(move || {
                    serve(&mut stream, client);
                    clients.remove(number);
                });
            }
            Ok(_) => {}
            // Out of file descriptors, or a client that went away at once: the next one may be luckier.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    // Also those that were let in while the plug was being taken out.
    clients.end_all();
}

/// Answers one client until it hangs up or breaks the protocol.
fn serve(stream: &mut Stream, mut client: Client) {
    let mut message = Vec::new();
    while receive(stream, &mut message).is_ok() {
        let answer = match message.as_slice() {
            [POWER_OFF | POWER_ON] => continue,
            [RESET] => {
                client.reset();
                continue;
            }
            [ATR] => client.atr(),
            [BEGIN] => vec![u8::from(client.begin())],
            [END] => {
                client.end();
                DONE.to_vec()
            }
            [STATUS] => status(&client),
            [_, _, _, _, ..] => {
                let reply = match message.as_slice() {
                    [CONTROL, order @ ..] => client.control(order),
                    command => client.transmit(command),
                };
                match reply {
                    Reply::Answer(answer) => answer,
                    Reply::Lost => Vec::new(),
                    Reply::Silence => continue,
                }
            }
            _ => return,
        };
        if send(stream, &answer).is_err() {
            return;
        }
    }
}

fn status(client: &Client) -> Vec<u8> {
    let (present, insertions) = client.status();
    let mut answer = vec![u8::from(present)];
    answer.extend(insertions.to_be_bytes());
    answer
}

/// Reads one message: two bytes of length, then that many bytes.
pub(super) fn receive(stream: &mut impl Read, message: &mut Vec<u8>) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    message.resize(usize::from(u16::from_be_bytes(length)), 0);
    stream.read_exact(message)
}

/// Writes one message in a single call, so that no half of it waits for an acknowledgement.
pub(super) fn send(stream: &mut impl Write, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| ErrorKind::InvalidData)?;
    stream.write_all(&[length.to_be_bytes().as_slice(), message].concat())
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    fn bind(address: &Address) -> std::io::Result<(Listener, Option<SocketFile>, Address)> {
        match address {
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile::of(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                Ok((Listener::Unix(listener), Some(file), address.clone()))
            }
            Address::Tcp(host) | Address::Vpcd(host) => {
                let listener = TcpListener::bind(host)?;
                let bound = Address::Tcp(listener.local_addr()?.to_string());
                Ok((Listener::Tcp(listener), None, bound))
            }
        }
    }

    fn accept(&self) -> std::io::Result<Stream> {
        match self {
            Listener::Unix(listener) => Ok(Stream::Unix(listener.accept()?.0)),
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }

    /// Ends a wait in [`Listener::accept`], whatever became of the address, and takes no client from now on.
    fn close(&self) {
        // A listener that is closed already needs no closing.
        let _ = match self {
            Listener::Unix(listener) => SockRef::from(listener).shutdown(Shutdown::Both),
            Listener::Tcp(listener) => SockRef::from(listener).shutdown(Shutdown::Both),
        };
    }
}

/// The name of a Unix socket in the file system. Dropping it removes the name, unless it names something else by now.
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> std::io::Result<SocketFile> {
        let file = std::fs::symlink_metadata(path)?;
        Ok(SocketFile { path: path.to_path_buf(), device: file.dev(), inode: file.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |file: std::fs::Metadata| file.dev() == self.device && file.ino() == self.inode;
        if std::fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // Without the right to remove it, it stays as after a kill: the next run replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket nobody listens on any more; one in use stays, as does any other file, and makes the bind fail.
fn remove_stale(path: &Path) -> std::io::Result<()> {
    if !std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(buffer),
            Stream::Tcp(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Connections that are open, so that they can be ended from outside.
#[derive(Default)]
struct Clients {
    open: Mutex<(u64, BTreeMap<u64, Stream>)>,
}

impl Clients {
    fn add(&self, stream: &Stream) -> std::io::Result<u64> {
        let copy = match stream {
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let number = open.0;
        open.1.insert(number, copy);
        Ok(number)
    }

    fn remove(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }

    fn end_all(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            // A connection that is gone already needs no ending.
            let _ = match stream {
                Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
                Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            };
        }
    }
}

/// Ends the wait for clients, and hangs up on those there are.
struct Waker {
    listener: Arc<Listener>,
    clients: Arc<Clients>,
    _file: Option<SocketFile>,
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

impl Wake for Waker {
    fn wake(&self) {
        self.listener.close();
        self.clients.end_all();
    }
}
