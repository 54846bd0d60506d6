//! The configuration from the outside: a file and the environment.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use naq_core::{Error, ErrorKind, Result};

use crate::builder::ServiceManagerBuilder;

/// No configuration is longer; a path to something else is refused instead of read to the end.
const MAX_FILE: u64 = 1 << 20;

impl ServiceManagerBuilder {
    /// Changes the configuration by a TOML file, of at most 1 MiB.
    ///
    /// Later sources win, key by key: call this before
    /// [`config_from_env`](ServiceManagerBuilder::config_from_env) to let the
    /// environment have the last word.
    ///
    /// # Errors
    /// `Config` when the file can't be read, and for everything that
    /// [`NaqConfig::with_toml_str`](naq_core::config::NaqConfig::with_toml_str) refuses.
    pub fn config_file(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let told = |error: Error| error.with("file", path.display().to_string());
        let text = read(path).map_err(|error| {
            told(Error::new(ErrorKind::Config, "config_file", "can't read the configuration"))
                .with_source(error)
        })?;
        self.config = self.config.with_toml_str(&text).map_err(told)?;
        Ok(self)
    }

    /// Changes the configuration by the `NAQ_…` variables of this process.
    ///
    /// # Errors
    /// `Config` for a variable that is no Unicode, and for everything that
    /// [`NaqConfig::with_vars`](naq_core::config::NaqConfig::with_vars) refuses.
    pub fn config_from_env(mut self) -> Result<Self> {
        let mut vars = Vec::new();
        // Not `vars()`: that panics on any variable, ours or not, that is no Unicode.
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("NAQ_")) else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                Error::new(ErrorKind::Config, "config_from_env", "must be Unicode text")
                    .with("variable", name)
            })?;
            vars.push((name.to_owned(), value));
        }
        self.config = self.config.with_vars(vars)?;
        Ok(self)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(io::Error::other("the file is longer than 1 MiB"));
    }
    Ok(text)
}
