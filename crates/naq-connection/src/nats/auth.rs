//! Who we are to a server, proved anew at each connect.

use std::fmt;
use std::path::PathBuf;

use async_nats::Auth;
use naq_core::config::ServerConfig;
use naq_core::secret::Secret;
use nkeys::KeyPair;

use super::address::UrlCredentials;

/// A secret, or the file that holds it; a file is read at each connect, so
/// that a rotated secret needs no restart.
#[derive(Debug, Clone)]
enum Held {
    Here(Secret),
    File(PathBuf),
}

/// The way to authenticate.
#[derive(Debug, Clone)]
pub(crate) struct Credentials(Way);

/// Why credentials can't be used, in words without secrets.
#[derive(Debug)]
pub(crate) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

#[derive(Debug, Clone)]
enum Way {
    CredsFile(PathBuf),
    NKey { seed: Held, jwt: Option<Held> },
    UserPassword { user: String, password: Held },
    Token(Held),
}

impl Credentials {
    /// Those of the configuration, else those of the URL.
    pub(crate) fn choose(config: &ServerConfig, url: Option<UrlCredentials>) -> Option<Self> {
        Self::of_config(config).or_else(|| {
            Some(Self(match url? {
                UrlCredentials::UserPassword(user, password) => {
                    Way::UserPassword { user, password: Held::Here(password) }
                }
                UrlCredentials::Token(token) => Way::Token(Held::Here(token)),
            }))
        })
    }

    fn of_config(config: &ServerConfig) -> Option<Self> {
        if let Some(path) = &config.creds_file {
            return Some(Self(Way::CredsFile(path.clone())));
        }
        if let Some(seed) = held(config.nkey_seed.as_ref(), config.nkey_seed_file.as_ref()) {
            let jwt = held(config.jwt.as_ref(), config.jwt_file.as_ref());
            return Some(Self(Way::NKey { seed, jwt }));
        }
        if let Some(user) = &config.user {
            let password = held(config.password.as_ref(), config.password_file.as_ref());
            let password = password.unwrap_or_else(|| Held::Here(Secret::from("")));
            return Some(Self(Way::UserPassword { user: user.clone(), password }));
        }
        held(config.token.as_ref(), config.token_file.as_ref()).map(|token| Self(Way::Token(token)))
    }

    /// Answers a server's challenge.
    ///
    /// # Errors
    /// In words without secrets: a file that can't be read, a key that is none.
    pub(crate) async fn prove(&self, nonce: Vec<u8>) -> Result<Auth, Unusable> {
        let mut auth = Auth::new();
        match &self.0 {
            Way::CredsFile(path) => {
                let text = read(path).await?;
                let (jwt, seed) = creds_parts(text.expose()).ok_or_else(|| {
                    Unusable(format!("{} is no credentials file", path.display()))
                })?;
                sign(&mut auth, seed, &nonce)?;
                auth.nkey = None;
                auth.jwt = Some(jwt.to_owned());
            }
            Way::NKey { seed, jwt } => {
                sign(&mut auth, seed.load().await?.expose(), &nonce)?;
                if let Some(jwt) = jwt {
                    auth.nkey = None;
                    auth.jwt = Some(jwt.load().await?.expose().trim().to_owned());
                }
            }
            Way::UserPassword { user, password } => {
                auth.username = Some(user.clone());
                auth.password = Some(password.load().await?.expose().to_owned());
            }
            Way::Token(token) => auth.token = Some(token.load().await?.expose().to_owned()),
        }
        Ok(auth)
    }
}

impl Held {
    async fn load(&self) -> Result<Secret, Unusable> {
        match self {
            Self::Here(secret) => Ok(secret.clone()),
            Self::File(path) => read(path).await,
        }
    }
}

fn held(secret: Option<&Secret>, file: Option<&PathBuf>) -> Option<Held> {
    secret.cloned().map(Held::Here).or_else(|| file.cloned().map(Held::File))
}

async fn read(path: &PathBuf) -> Result<Secret, Unusable> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Secret::from_file_text(text)),
        Err(error) => Err(Unusable(format!("can't read {}: {error}", path.display()))),
    }
}

fn sign(auth: &mut Auth, seed: &str, nonce: &[u8]) -> Result<(), Unusable> {
    // nkeys' own errors name the rule, never the seed.
    let pair = KeyPair::from_seed(seed.trim())
        .map_err(|error| Unusable(format!("the NKey seed is not valid: {error}")))?;
    let signature =
        pair.sign(nonce).map_err(|error| Unusable(format!("the NKey can't sign: {error}")))?;
    auth.nkey = Some(pair.public_key());
    auth.signature = Some(signature);
    Ok(())
}

/// The JWT and the seed of a credentials file: each the line behind one that
/// begins with `-----BEGIN`.
fn creds_parts(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.lines().map(str::trim);
    let mut part = || {
        lines.find(|line| line.starts_with("-----BEGIN"))?;
        lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with('-'))
    };
    Some((part()?, part()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_has_a_jwt_and_a_seed() {
        let text = "-----BEGIN NATS USER JWT-----\r\neyJ0.a.b\r\n------END NATS USER JWT------\r\n\
                    \r\n*** IMPORTANT ***\r\n\r\n-----BEGIN USER NKEY SEED-----\r\nSUAX\r\n\
                    ------END USER NKEY SEED------\r\n";
        assert_eq!(creds_parts(text), Some(("eyJ0.a.b", "SUAX")));
        assert_eq!(creds_parts("eyJ0.a.b\nSUAX"), None);
    }

    #[tokio::test]
    async fn an_nkey_signs_the_challenge() {
        let pair = KeyPair::new_user();
        let seed = Secret::from(pair.seed().unwrap());
        let config = ServerConfig::default().with_nkey_seed(seed);
        let auth =
            Credentials::choose(&config, None).unwrap().prove(b"nonce".into()).await.unwrap();
        assert_eq!(auth.nkey, Some(pair.public_key()));
        pair.verify(b"nonce", &auth.signature.unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_missing_file_is_told_by_its_path() {
        let config = ServerConfig::default().with_token_file(PathBuf::from("/nonexistent/token"));
        let credentials = Credentials::choose(&config, None).unwrap();
        let error = credentials.prove(Vec::new()).await.err().unwrap();
        assert!(error.to_string().contains("/nonexistent/token"), "{error}");
    }

    #[tokio::test]
    async fn the_configuration_wins_over_the_url() {
        let url = UrlCredentials::Token(Secret::from("of-the-url"));
        let config = ServerConfig::default().with_token(Secret::from("of-the-config"));
        let auth = Credentials::choose(&config, Some(url.clone())).unwrap();
        assert_eq!(auth.prove(Vec::new()).await.unwrap().token.as_deref(), Some("of-the-config"));
        let auth = Credentials::choose(&ServerConfig::default(), Some(url)).unwrap();
        assert_eq!(auth.prove(Vec::new()).await.unwrap().token.as_deref(), Some("of-the-url"));
    }
}
