//! Which nats-server binaries there are, and where.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// A server version that naq is tested on, oldest first in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The oldest one supported.
    V2_10,
    /// API level 1: batched direct get, TTL of one message.
    V2_11,
    /// API level 2: atomic batches; unknown fields of a config are refused.
    V2_12,
    /// API level 4: fast ingest.
    V2_14,
    /// API level 5.
    V2_15,
}

impl Version {
    /// Every tested version, newest first.
    pub const ALL: [Self; 5] = [Self::V2_15, Self::V2_14, Self::V2_12, Self::V2_11, Self::V2_10];

    /// What a test runs on that doesn't ask for a version.
    pub const LATEST: Self = Self::V2_15;

    /// The exact version, as in `2.15.1`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::V2_10 => "2.10.26",
            Self::V2_11 => "2.11.11",
            Self::V2_12 => "2.12.8",
            Self::V2_14 => "2.14.6",
            Self::V2_15 => "2.15.1",
        }
    }

    /// The path of this version's binary: for the latest one `NATS_SERVER`, if
    /// set, else what `scripts/nats-server.py` put into the project's cache.
    ///
    /// # Panics
    /// When there is none, saying how to get it: a test that needs a server and
    /// has none has failed.
    pub fn binary(self) -> PathBuf {
        if self == Self::LATEST
            && let Some(path) = env::var_os("NATS_SERVER")
        {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "NATS_SERVER is set to {}, which is no file", path.display());
            return path;
        }
        let path = cache().join(self.number()).join("nats-server");
        assert!(
            path.is_file(),
            "this test needs nats-server {self} and there is none at {}: get it with \
             `python3 scripts/nats-server.py --all` (`just test` does that), or set NATS_SERVER \
             to the path of a binary for the tests that run on the latest version alone",
            path.display(),
        );
        path
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/nats-server")
}
