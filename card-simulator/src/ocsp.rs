//! The OCSP responder of the test authority: HTTP (RFC 6960 appendix A.1), one POST per connection.
//!
//! What it says of a certificate stands in the authority's directory, `issued/<serial number>.status`: `good` (as
//! without the file), `revoked <RFC 3339 time>`, `unknown`, `stale`, `no-cert-hash` or `wrong-cert-hash`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pki::status;

/// Largest request body taken; real ones have about 120 bytes.
const LARGEST: u64 = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// A responder that answers until it is dropped.
pub struct OcspResponder {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OcspResponder {
    /// Answers for the authority in a directory, at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub fn start(authority: &Path, address: SocketAddr) -> io::Result<OcspResponder> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, authority) = (Arc::clone(&stopping), authority.to_path_buf());
        let thread = std::thread::spawn(move || serve(&listener, &authority, &stop));
        Ok(OcspResponder { address, stopping, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as certificates name it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for OcspResponder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees the flag.
        let woken = TcpStream::connect(self.address).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, authority: &Path, stopping: &AtomicBool) {
    for connection in listener.incoming() {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(connection), authority) = (connection, PathBuf::from(authority)) else { continue };
        std::thread::spawn(move || {
            // A client that hangs up or talks rubbish gets no answer; that is all there is to say.
            let _ = exchange(&connection, &authority);
        });
    }
}

fn exchange(connection: &TcpStream, authority: &Path) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(connection.take(LARGEST));
    let mut length = 0usize;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    let mut request = vec![0; length.min(LARGEST as usize)];
    reader.read_exact(&mut request)?;
    let mut out = connection;
    match status::answer(authority, &request) {
        Ok(response) => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nConnection: close\r\n";
            write!(out, "{head}Content-Length: {}\r\n\r\n", response.len())?;
            out.write_all(&response)
        }
        Err(_) => out.write_all(
            b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
    }
}
