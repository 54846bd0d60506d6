//! The exit codes: what a script can tell from them.

use naq_core::ErrorKind;

/// How a run of the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line, the configuration or the input breaks a rule.
    Usage = 2,
    /// What was asked for isn't there.
    NotFound = 3,
    /// The server can't be reached, or doesn't answer in time.
    Unavailable = 4,
    /// Some of it was done, and the rest was told.
    Partly = 5,
}

impl Exit {
    /// The number that the process ends with.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument | ErrorKind::Config => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unavailable | ErrorKind::Timeout => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}
