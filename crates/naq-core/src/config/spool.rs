//! The section `events.spool`: what is kept on disk of what the server doesn't take.

use std::path::PathBuf;
use std::time::Duration;

use super::Size;
use super::section::section;
use super::setting::choice;

choice! {
    /// Which events go to the spool.
    pub enum SpoolMode = "`overflow` or `always`" {
        /// Those that the server doesn't take, or doesn't take in time.
        #[default]
        Overflow = "overflow",
        /// Every event, before it is sent: accepted means on disk.
        Always = "always",
    }
}

choice! {
    /// When a spool makes the disk keep what was written to its files.
    ///
    /// Whatever is chosen, the end of the process alone (`kill -9`, a panic, out
    /// of memory) loses nothing: the operating system has it. The choice is about
    /// the end of the machine: a power cut, a crash of the kernel.
    pub enum SpoolFsync = "`always`, `interval` or `never`" {
        /// Before a write is answered; nothing that was accepted is lost.
        Always = "always",
        /// As often as `spool.fsync_interval`; the events of the last interval
        /// may be lost.
        #[default]
        Interval = "interval",
        /// When the operating system does it by itself; the events of half a
        /// minute or so may be lost.
        Never = "never",
    }
}

section! {
    /// The section `events.spool`: what the server doesn't take goes to disk
    /// and survives the end of the program.
    pub struct SpoolConfig {
        /// The folder of the spool; without one there is none.
        dir (with_dir): Option<PathBuf> = None;
        /// Which events go to it.
        mode (with_mode): SpoolMode = SpoolMode::Overflow;
        /// How many bytes of disk it may take; then the overflow policy applies.
        max_bytes (with_max_bytes): Size = Size::from_gib(1),
            Size::from_mib(1)..=Size::from_gib(1 << 14);
        /// When it makes the disk keep what was written; it matters when the machine ends, not the program.
        fsync (with_fsync): SpoolFsync = SpoolFsync::Interval;
        /// How often `spool.fsync = "interval"` does so.
        fsync_interval (with_fsync_interval): Duration = Duration::from_millis(100),
            Duration::from_millis(1)..=Duration::from_secs(60);
    }
}

impl SpoolConfig {
    /// A spool in this folder, the rest as by default.
    #[must_use]
    pub fn in_folder(dir: impl Into<PathBuf>) -> Self {
        Self::default().with_dir(dir.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::NaqConfig;

    use super::*;

    #[test]
    fn a_section_within_a_section_is_read_from_files_and_variables() {
        let config = NaqConfig::from_toml_str(
            "[events.spool]\ndir = \"/var/spool/naq\"\nmode = \"always\"\nmax_bytes = \"2MiB\"\n",
        )
        .unwrap()
        .with_vars([("NAQ_EVENTS_SPOOL_FSYNC", "never"), ("NAQ_EVENTS_SPOOL_MAX_BYTES", "3MiB")])
        .unwrap();
        let spool = &config.events.spool;
        assert_eq!(spool.dir.as_deref(), Some(std::path::Path::new("/var/spool/naq")));
        assert_eq!((spool.mode, spool.fsync), (SpoolMode::Always, SpoolFsync::Never));
        assert_eq!(spool.max_bytes, Size::from_mib(3));
    }

    #[test]
    fn what_is_wrong_within_it_is_named_by_its_whole_path() {
        let read = |text: &str| NaqConfig::from_toml_str(text).unwrap_err().to_string();
        let told = read("[events.spool]\ndirr = \"x\"\nmax_bytes = 1\nfsync = \"now\"\n");
        for part in [
            "`events.spool.dirr` is not a known key; did you mean `dir`?",
            "`events.spool.max_bytes` must be from 1MiB to 16TiB",
            "`events.spool.fsync` must be `always`, `interval` or `never`",
        ] {
            assert!(told.contains(part), "{part} is missing in {told}");
        }
        assert!(read("[events]\nspool = 1\n").contains("`events.spool` must be a table of keys"));
    }

    #[test]
    fn the_policy_that_needs_a_spool_is_refused_without_one() {
        let text = "[events]\noverflow = \"spool\"\n";
        let error = NaqConfig::from_toml_str(text).unwrap_err().to_string();
        assert!(error.contains("`events.overflow` needs `spool.dir`"), "{error}");
        let text = format!("{text}[events.spool]\ndir = \"x\"\n");
        assert!(NaqConfig::from_toml_str(&text).is_ok());
    }
}
