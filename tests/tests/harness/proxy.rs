//! The fault proxy, on a server that echoes.

use std::io::ErrorKind;

use naq_tests::proxy::{Direction, FaultProxy};

use super::*;

/// Long enough to notice something that shouldn't come, short enough to wait.
const A_MOMENT: Duration = Duration::from_millis(100);

async fn proxied() -> (FaultProxy, TcpStream) {
    let proxy = FaultProxy::start(echo_server().await).await;
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

async fn nothing_arrives(stream: &mut TcpStream) {
    let read = tokio::time::timeout(A_MOMENT, stream.read_u8()).await;
    assert!(read.is_err(), "something arrived: {read:?}");
}

async fn arrives(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    wait::within("bytes", DEADLINE, stream.read_exact(&mut read)).await.unwrap();
    assert_eq!(read, bytes);
}

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    let (proxy, mut stream) = proxied().await;
    let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut from, mut to) = stream.split();
    let mut back = vec![0; sent.len()];
    let (written, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut back));
    written.unwrap();
    read.unwrap();
    assert!(back == sent, "the bytes were changed");
    assert_eq!(proxy.passed(Direction::ToServer), 300_000);
    assert_eq!(proxy.passed(Direction::ToClient), 300_000);
    assert_eq!((proxy.open(), proxy.accepted()), (1, 1));
}

#[tokio::test]
async fn one_sides_end_is_passed_on_and_then_the_others() {
    let (proxy, mut stream) = proxied().await;
    stream.write_all(b"last words").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    wait::within("the end", DEADLINE, stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"last words");
    wait::until("the connection's end", DEADLINE, async || proxy.open() == 0).await;
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_takes_what_comes() {
    let (proxy, mut stream) = proxied().await;
    exchange(&mut stream, b"a").await;
    proxy.cut();
    assert_eq!(wait::within("the end", DEADLINE, stream.read(&mut [0; 8])).await.unwrap(), 0);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut next, b"b").await, b"b");
}

#[tokio::test]
async fn a_reset_is_an_error_to_the_client() {
    let (proxy, mut stream) = proxied().await;
    exchange(&mut stream, b"a").await;
    proxy.reset();
    let error = wait::within("the reset", DEADLINE, stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_cut_after_n_bytes_lets_exactly_n_pass_once() {
    let (proxy, mut stream) = proxied().await;
    exchange(&mut stream, b"abc").await;
    proxy.cut_after(Direction::ToClient, 4);
    stream.write_all(b"defghij").await.unwrap();
    let mut back = Vec::new();
    wait::within("the cut", DEADLINE, stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"defg");
    assert_eq!(proxy.passed(Direction::ToClient), 7);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut next, b"whole again").await, b"whole again");
}

#[tokio::test]
async fn what_a_black_hole_holds_arrives_when_it_heals() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let (proxy, mut stream) = proxied().await;
        exchange(&mut stream, b"a").await;
        proxy.black_hole(direction);
        stream.write_all(b"held").await.unwrap();
        nothing_arrives(&mut stream).await;
        proxy.heal();
        arrives(&mut stream, b"held").await;
    }
}

#[tokio::test]
async fn what_a_black_hole_holds_is_lost_by_a_cut() {
    let (proxy, mut stream) = proxied().await;
    exchange(&mut stream, b"a").await;
    proxy.black_hole(Direction::ToServer);
    stream.write_all(b"lost").await.unwrap();
    nothing_arrives(&mut stream).await;
    proxy.cut();
    proxy.heal();
    wait::until("the connection's end", DEADLINE, async || proxy.open() == 0).await;
    assert_eq!(proxy.passed(Direction::ToServer), 1);
}

#[tokio::test]
async fn what_is_stranded_arrives_after_its_client_has_gone_and_holds_up_nobody_else() {
    // One goes in order, the other one resets its connection.
    for resets in [false, true] {
        let (proxy, mut stream) = proxied().await;
        exchange(&mut stream, b"a").await;
        proxy.strand();
        let held = [7; 100_000];
        stream.write_all(&held).await.unwrap();
        nothing_arrives(&mut stream).await;
        if resets {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(exchange(&mut next, b"b").await, b"b");
        assert_eq!((proxy.open(), proxy.passed(Direction::ToServer)), (2, 2));
        proxy.heal();
        let all = 2 + held.len() as u64;
        wait::until("what was stranded", DEADLINE, async || {
            proxy.passed(Direction::ToServer) == all && proxy.open() == 1
        })
        .await;
        assert_eq!(exchange(&mut next, b"c").await, b"c");
    }
}

#[tokio::test]
async fn a_delay_holds_back_and_does_not_add_up() {
    let (proxy, mut stream) = proxied().await;
    let delay = Duration::from_millis(80);
    proxy.delay(Direction::ToServer, delay);
    let start = Instant::now();
    for byte in [b"a", b"b", b"c", b"d"] {
        stream.write_all(byte).await.unwrap();
        tokio::task::yield_now().await;
    }
    arrives(&mut stream, b"abcd").await;
    let took = start.elapsed();
    assert!(took >= delay && took < delay * 3, "took {took:?}");
}

#[tokio::test]
async fn a_throttle_sets_the_rate() {
    let (proxy, mut stream) = proxied().await;
    proxy.throttle(Direction::ToClient, 100_000);
    let start = Instant::now();
    assert_eq!(exchange(&mut stream, &[7; 20_000]).await.len(), 20_000);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(150), "20,000 bytes took {took:?} at 100,000/s");
}

#[tokio::test]
async fn a_refusing_proxy_takes_nobody_until_it_heals() {
    let (proxy, mut stream) = proxied().await;
    exchange(&mut stream, b"a").await;
    proxy.refuse(true);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(wait::within("the refusal", DEADLINE, refused.read_u8()).await.is_err());
    assert_eq!(exchange(&mut stream, b"still open").await, b"still open");
    proxy.heal();
    let mut taken = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut taken, b"b").await, b"b");
}

#[tokio::test]
async fn a_nats_client_comes_back_through_the_proxy() {
    let server = NatsServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let options = async_nats::ConnectOptions::new().ignore_discovered_servers();
    let client = options.connect(proxy.url()).await.unwrap();
    round_trip(&client).await;
    proxy.reset();
    wait::until("a second connection", DEADLINE, async || proxy.accepted() == 2).await;
    wait::within("an answer", DEADLINE, round_trip(&client)).await;
}

#[tokio::test]
async fn a_reset_after_n_bytes_lets_exactly_n_pass_and_is_an_error() {
    let (proxy, mut stream) = proxied().await;
    exchange(&mut stream, b"abc").await;
    proxy.reset_after(Direction::ToServer, 2);
    stream.write_all(b"defg").await.unwrap();
    let mut back = Vec::new();
    let error = wait::within("the reset", DEADLINE, stream.read_to_end(&mut back)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.passed(Direction::ToServer), 5);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(exchange(&mut next, b"whole again").await, b"whole again");
}
