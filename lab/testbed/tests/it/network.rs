//! The proxy, in front of an echo.

use std::time::{Duration, Instant};

use pulse_testbed::proxy::Proxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.map(drop).unwrap_or_default();
            });
        }
    });
    port
}

async fn open(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

async fn answers(stream: &mut TcpStream) -> bool {
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    answer == *b"hello"
}

#[tokio::test]
async fn what_is_sent_arrives_until_the_network_is_cut_and_again_when_it_is_whole() {
    let mut proxy = Proxy::start(echo().await).await;
    let mut stream = open(&proxy).await;
    assert!(answers(&mut stream).await);
    proxy.cut().await;
    assert_eq!(stream.read(&mut [0; 5]).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let refused = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.heal().await;
    assert!(answers(&mut open(&proxy).await).await);
}

#[tokio::test]
async fn in_a_stalled_network_all_is_silent_and_nothing_is_lost() {
    let mut proxy = Proxy::start(echo().await).await;
    let mut stream = open(&proxy).await;
    assert!(answers(&mut stream).await);
    proxy.stall().await;
    let mut fresh = open(&proxy).await;
    for stream in [&mut stream, &mut fresh] {
        stream.write_all(b"hello").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(silence.is_err(), "{silence:?}");
    }
    proxy.heal().await;
    for stream in [&mut stream, &mut fresh] {
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
    }
}

#[tokio::test]
async fn a_long_way_takes_its_time_both_ways() {
    let mut proxy = Proxy::start(echo().await).await;
    let mut stream = open(&proxy).await;
    proxy.delay(Duration::from_millis(50)).await;
    let started = Instant::now();
    assert!(answers(&mut stream).await);
    assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_end_is_carried_through() {
    let proxy = Proxy::start(echo().await).await;
    let mut stream = open(&proxy).await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"hello");
}
