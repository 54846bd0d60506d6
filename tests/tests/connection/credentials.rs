//! Every way to authenticate, and what is told of those who can't.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::config::ServerConfig;
use naq_core::connection::{Connection, ConnectionState};
use naq_core::secret::Secret;
use naq_tests::accounts::Operator;
use naq_tests::server::{NatsServer, User};
use naq_tests::wait;
use nkeys::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{PATIENCE, connect, lazy, quick, refusal};

async fn is_let_in(server: ServerConfig) {
    connect(quick(), server).await.unwrap().round_trip(PATIENCE).await.unwrap();
}

async fn is_refused(server: ServerConfig) {
    let refused = refusal(quick(), server);
    let error = wait::within("a refusal", Duration::from_secs(5), refused).await;
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

/// What can't be read or is no key is told before the server is asked.
async fn is_misconfigured(server: ServerConfig) {
    let refused = refusal(quick(), server);
    let error = wait::within("a refusal", Duration::from_secs(5), refused).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}

fn file(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("secret");
    fs::write(&path, content).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_by_url_by_configuration_and_by_file() {
    let server = NatsServer::builder().user(User::new("ann", "s3cret/@")).start().await;
    let at = |url: String| ServerConfig::default().with_url(url);
    let folder = TempDir::new().unwrap();
    is_let_in(at(server.url_as("ann", "s3cret%2F%40"))).await;
    let ann = at(server.url()).with_user("ann".to_owned());
    is_let_in(ann.clone().with_password(Secret::from("s3cret/@"))).await;
    is_let_in(ann.clone().with_password_file(file(&folder, "s3cret/@\n"))).await;

    is_refused(ann.clone().with_password(Secret::from("s3cret"))).await;
    is_misconfigured(ann.with_password_file(PathBuf::from("/nonexistent/s"))).await;
    is_refused(at(server.url_as("bob", "s3cret"))).await;
    is_refused(at(server.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_by_url_by_configuration_and_by_file() {
    let server = NatsServer::builder().token("s3cret").start().await;
    let folder = TempDir::new().unwrap();
    let at = |url: String| ServerConfig::default().with_url(url);
    is_let_in(at(server.url().replace("nats://", "nats://s3cret@"))).await;
    is_let_in(at(server.url()).with_token(Secret::from("s3cret"))).await;
    is_let_in(at(server.url()).with_token_file(file(&folder, "s3cret"))).await;
    is_refused(at(server.url()).with_token(Secret::from("s3cret2"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey_by_its_seed() {
    let pair = KeyPair::new_user();
    let server = NatsServer::builder().user(User::nkey(&pair.public_key())).start().await;
    let at = || ServerConfig::default().with_url(server.url());
    is_let_in(at().with_nkey_seed(Secret::from(pair.seed().unwrap()))).await;
    is_refused(at().with_nkey_seed(Secret::from(KeyPair::new_user().seed().unwrap()))).await;
    is_misconfigured(at().with_nkey_seed(Secret::from("s3cret"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_by_its_parts_and_by_a_credentials_file() {
    let operator = Operator::generate();
    let server = NatsServer::builder().operator(&operator).start().await;
    let credentials = operator.user("ann");
    let folder = TempDir::new().unwrap();
    let at = || ServerConfig::default().with_url(server.url());
    is_let_in(at().with_creds_file(file(&folder, &credentials.to_file()))).await;
    let by_parts = at()
        .with_nkey_seed(Secret::from(credentials.seed.as_str()))
        .with_jwt(Secret::from(credentials.jwt.as_str()));
    is_let_in(by_parts).await;

    let stranger = Operator::generate().user("ann");
    is_refused(at().with_creds_file(file(&folder, &stranger.to_file()))).await;
    is_misconfigured(at().with_creds_file(file(&folder, "nothing of the kind"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_connection_with_wrong_credentials_says_so_instead_of_waiting() {
    let server = NatsServer::builder().user(User::new("ann", "s3cret")).start().await;
    let config = ServerConfig::default().with_url(server.url_as("ann", "wrong"));
    let connection = connect(lazy(), config).await.unwrap();
    let error =
        wait::within("an answer", Duration::from_secs(5), connection.jetstream().stream_info("S"))
            .await
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error:?}");
    assert_eq!(connection.state(), ConnectionState::AuthFailed);
}

/// Gives the user another password and has the server read its configuration anew.
fn change_password(server: &NatsServer, from: &str, to: &str) {
    let path = server.config_file();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(&path, text.replace(from, to)).unwrap();
    let pid = Pid::from_raw(server.pid().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
}

async fn reaches(connection: &dyn Connection, state: ConnectionState) {
    let what = format!("the state {state}");
    wait::until(&what, PATIENCE, async || connection.state() == state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_revoked_at_run_time_are_a_state_and_rotated_ones_are_read_anew() {
    let server = NatsServer::builder().user(User::new("ann", "s3cret1")).start().await;
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "s3cret1");
    let config = ServerConfig::default()
        .with_url(server.url())
        .with_user("ann".to_owned())
        .with_password_file(path);
    let connection = connect(quick(), config).await.unwrap();
    let jetstream = connection.jetstream();
    crate::make_stream(&*jetstream).await;

    change_password(&server, "s3cret1", "s3cret2");
    reaches(&*connection, ConnectionState::AuthFailed).await;
    let error = jetstream.publish(crate::numbered(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error:?}");
    let error = connection.round_trip(PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error:?}");

    file(&folder, "s3cret2");
    reaches(&*connection, ConnectionState::Connected).await;
    assert_eq!(jetstream.publish(crate::numbered(1)).await.unwrap().sequence, 1);
}
