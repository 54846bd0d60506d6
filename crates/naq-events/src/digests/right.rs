//! Whether digests may be kept, found out before there is one to keep.

use naq_core::{Error, ErrorKind, Result};

use super::kept::Digests;
use crate::read::OpenLog;

impl Digests {
    /// Finds out whether these credentials may keep digests of a log. Keeps none.
    ///
    /// # Errors
    /// `PermissionDenied` where they may not.
    pub(crate) async fn check_right(&self, open: &OpenLog) -> Result<()> {
        let text = "the digests can't be kept with these credentials";
        let denied = Error::new(ErrorKind::PermissionDenied, "keep_digest", text);
        if !self.may_keep() {
            return Err(denied);
        }
        match self.store().put_in_vain(open.info.created, open.replicas()).await {
            Err(error) if error.is(ErrorKind::PermissionDenied) => Err(denied.with_source(error)),
            // Whatever else is in the way is told when there is one to keep.
            _ => Ok(()),
        }
    }
}
