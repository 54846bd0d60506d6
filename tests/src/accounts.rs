//! Operator, account and users in NATS's decentralised JWT manner.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator with one account that may use JetStream, and any users of it.
pub struct Operator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("account", &self.account.public_key()).finish()
    }
}

/// One user's credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's JWT, signed by the account.
    pub jwt: String,
    /// The seed of the user's NKey (`SU…`): the secret.
    pub seed: String,
}

impl Credentials {
    /// The content of a `.creds` file.
    pub fn to_file(&self) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt, self.seed
        )
    }
}

impl Operator {
    /// New keys for everybody.
    pub fn generate() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }

    /// Credentials of a new user who may do everything in the account.
    pub fn user(&self, name: &str) -> Credentials {
        self.user_with(name, &json!({}), &json!({}))
    }

    /// Credentials of a new user with rights as in a user JWT: each of `publish`
    /// and `subscribe` an object with `allow` and `deny`.
    pub fn user_with(&self, name: &str, publish: &Value, subscribe: &Value) -> Credentials {
        let user = KeyPair::new_user();
        let claims = json!({
            "pub": publish, "sub": subscribe, "subs": -1, "data": -1, "payload": -1,
            "type": "user", "version": 2,
        });
        Credentials {
            jwt: sign(&self.account, &user.public_key(), name, &claims),
            seed: user.seed().expect("a fresh pair has its seed"),
        }
    }

    /// What a server's configuration says to trust this operator.
    pub(crate) fn server_config(&self) -> String {
        let operator = sign(
            &self.operator,
            &self.operator.public_key(),
            "operator",
            &json!({ "type": "operator", "version": 2 }),
        );
        let [system, account] = [(&self.system, "system", 0), (&self.account, "naq", -1)].map(
            |(pair, name, storage)| {
                let claims = json!({
                    "limits": {
                        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                        "wildcards": true, "conn": -1, "leaf": -1,
                        "mem_storage": storage, "disk_storage": storage,
                        "streams": storage, "consumer": storage,
                    },
                    "default_permissions": { "pub": {}, "sub": {} },
                    "type": "account", "version": 2,
                });
                let id = pair.public_key();
                format!("  {id}: \"{}\"", sign(&self.operator, &id, name, &claims))
            },
        );
        format!(
            "operator: \"{operator}\"\nsystem_account: {}\nresolver: MEMORY\n\
             resolver_preload: {{\n{system}\n{account}\n}}",
            self.system.public_key()
        )
    }
}

/// A JWT of NATS's kind: header, claims and an ed25519 signature by `issuer`.
fn sign(issuer: &KeyPair, subject: &str, name: &str, claims: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let body = json!({
        // Only has to differ between tokens; the subject is random.
        "jti": BASE32_NOPAD.encode(subject.as_bytes()),
        "iat": now.as_secs(),
        "iss": issuer.public_key(),
        "name": name,
        "sub": subject,
        "nats": claims,
    });
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let signed = [header, body].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signed = signed.join(".");
    let signature = issuer.sign(signed.as_bytes()).expect("a fresh pair signs");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}
