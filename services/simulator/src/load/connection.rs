//! A bare HTTP/1.1 connection: writes a request that is rendered already, reads the answer. Half the work of a full client, which leaves
//! more of the machine to the server that is measured.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::error::{Error, Result};

/// The largest answer that is read.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;
/// The most headers in an answer.
const HEADERS_MAX: usize = 64;

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    host: String,
    port: u16,
}

/// An answer, as far as it is of use.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The server closes the connection after it.
    pub(super) closes: bool,
}

impl Authority {
    /// The authority of a plain base URL.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::Url { url: text.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        if url.scheme() != "http" || url.path() != "/" {
            return Err(refuse("the load speaks plain http to the root of a server"));
        }
        let host = url.host_str().ok_or_else(|| refuse("it names no host"))?.to_owned();
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80) })
    }

    pub(super) async fn connect(&self) -> io::Result<Connection> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// A whole POST of JSON.
    pub(super) fn post(&self, path: &str, header: Option<(&str, &str)>, body: &[u8]) -> Vec<u8> {
        let extra = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        let (host, port, length) = (&self.host, self.port, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n{extra}content-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }
}

/// One connection, with one request at a time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head) = Head::parse(&self.buffer)? else { continue };
            let end = head.length + head.body_length;
            if end > ANSWER_MAX_BYTES {
                return Err(io::Error::other("the answer is too large"));
            }
            while self.buffer.len() < end {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(Reply { status: head.status, body: self.buffer[head.length..end].to_vec(), closes: head.closes });
        }
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    length: usize,
    body_length: usize,
    closes: bool,
}

impl Head {
    /// Reads a head; none while it has not come whole.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes).map_err(io::Error::other)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if bytes.len() > ANSWER_MAX_BYTES => return Err(io::Error::other("the head is too large")),
            httparse::Status::Partial => return Ok(None),
        };
        let mut head = Self { status: response.code.unwrap_or(0), length, body_length: 0, closes: false };
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).map_err(io::Error::other)?;
                head.body_length = text.trim().parse().map_err(io::Error::other)?;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.closes = header.value.eq_ignore_ascii_case(b"close");
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(io::Error::other("the load reads answers with a content-length only"));
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_come() {
        let text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        for end in 0..text.len() - 2 {
            assert_eq!(Head::parse(&text[..end]).unwrap(), None);
        }
        let head = Head { status: 202, length: text.len() - 2, body_length: 2, closes: true };
        assert_eq!(Head::parse(text).unwrap(), Some(head));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"garbage garbage\r\n\r\n").is_err());
    }

    #[test]
    fn only_plain_roots_are_taken() {
        assert!(Authority::parse("http://127.0.0.1:8081").is_ok());
        assert!(Authority::parse("https://127.0.0.1").is_err());
        assert!(Authority::parse("http://127.0.0.1/prefix").is_err());
    }
}
