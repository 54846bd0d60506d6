//! The spool's files: private to the user, and their errors typed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use naq_core::{Error, ErrorKind, Result};

/// Makes a file that must not be there yet, for its owner alone.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create_new(true);
    private(&mut options);
    faults::check(faults::Op::Create)?;
    options.open(path)
}

/// Opens a file to add to it, or makes it, for its owner alone.
pub(super) fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true);
    private(&mut options);
    faults::check(faults::Op::Create)?;
    options.open(path)
}

/// Opens a file to read it.
pub(super) fn open(path: &Path) -> io::Result<Source> {
    File::open(path).map(|file| faults::source(path, file))
}

/// A file that is read.
#[cfg(not(test))]
pub(super) type Source = File;

/// A file that is read, as far as a test allows it.
#[cfg(test)]
pub(super) use faults::Source;

/// Makes a folder and those above it, for its owner alone, where they are not there yet.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

// Elsewhere a file inherits who may read it from its folder.
#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

/// Adds to a file of this length; where that fails, cuts it back to the length.
///
/// # Errors
/// Why writing failed, and whether what was written of it could be cut off again.
pub(super) fn extend(file: &mut File, length: u64, bytes: &[u8]) -> Result<(), Torn> {
    let written = match faults::check(faults::Op::Write) {
        Ok(()) => file.write_all(bytes),
        // As a disk that fills up does it: a part is written.
        Err(error) => file.write_all(&bytes[..bytes.len() / 2]).and(Err(error)),
    };
    written.map_err(|error| Torn { error, is_cut: cut(file, length).is_ok() })
}

/// Why something was not written.
#[derive(Debug)]
pub(super) struct Torn {
    pub(super) error: io::Error,
    /// Whether the file is as it was before.
    pub(super) is_cut: bool,
}

/// Writes over the beginning of a file, which takes no room of the disk.
pub(super) fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    faults::check(faults::Op::Overwrite)?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Cuts a file to this length.
pub(super) fn cut(file: &File, length: u64) -> io::Result<()> {
    faults::check(faults::Op::Cut)?;
    file.set_len(length)
}

/// Makes the disk keep what was written to a file.
pub(super) fn sync(file: &File) -> io::Result<()> {
    faults::check(faults::Op::Sync)?;
    file.sync_data()
}

/// Makes the disk keep which files a folder has.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // A folder can't be opened as a file elsewhere; there the file system does it.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Removes a file, which may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Why bytes that the disk doesn't give can't be set aside by themselves.
pub(super) fn unreadable(path: &Path) -> Error {
    let error = io::Error::other("some of its bytes can't be read");
    typed("spool_quarantine", path, error)
}

/// What an error of the disk means to whoever spools.
pub(super) fn typed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, message, hint) = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => (
            ErrorKind::LimitReached,
            "there is no room on the spool's disk",
            "free space on that disk, or set `spool.max_bytes` to what it can hold",
        ),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => (
            ErrorKind::PermissionDenied,
            "the spool's folder can't be written to",
            "give the user that runs this program the folder, or open the spool in another",
        ),
        Io::NotFound | Io::NotADirectory => (
            ErrorKind::NotFound,
            "a file or folder of the spool is gone",
            "see who removes files of the spool: what is removed there is lost",
        ),
        _ => (
            ErrorKind::Unavailable,
            "the spool's disk doesn't do what it should",
            "look for errors of the disk in the system's log",
        ),
    };
    Error::new(kind, operation, message)
        .with("path", path.display().to_string())
        .with_hint(hint)
        .with_source(error)
}

/// Failures of the disk that a test asks for.
pub(super) mod faults {
    /// What can fail.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::spool) enum Op {
        Create,
        Write,
        Overwrite,
        Cut,
        Sync,
    }

    #[cfg(not(test))]
    #[expect(clippy::unnecessary_wraps, reason = "it fails in tests")]
    pub(in crate::spool) fn check(_op: Op) -> std::io::Result<()> {
        Ok(())
    }

    #[cfg(not(test))]
    pub(in crate::spool) fn source(_path: &std::path::Path, file: std::fs::File) -> std::fs::File {
        file
    }

    #[cfg(test)]
    pub(in crate::spool) use planned::{check, fail};
    #[cfg(test)]
    pub(in crate::spool) use unreadable::{Source, broken, mend, source, tries};

    /// Bytes that a disk doesn't give.
    #[cfg(test)]
    mod unreadable {
        use std::cell::RefCell;
        use std::fs::File;
        use std::io::{self, Read, Seek, SeekFrom};
        use std::ops::Range;
        use std::path::{Path, PathBuf};

        thread_local! {
            static BROKEN: RefCell<Vec<(PathBuf, Range<u64>, u64)>> = const { RefCell::new(Vec::new()) };
        }

        /// From now on this thread can't read these bytes of the file.
        pub(in crate::spool) fn broken(path: &Path, bytes: Range<u64>) {
            BROKEN.with_borrow_mut(|broken| broken.push((path.to_owned(), bytes, 0)));
        }

        /// From now on all can be read.
        pub(in crate::spool) fn mend() {
            BROKEN.take();
        }

        /// How often it was tried to read what can't be.
        pub(in crate::spool) fn tries() -> u64 {
            BROKEN.with_borrow(|broken| broken.iter().map(|(.., tries)| tries).sum())
        }

        /// A file with the path that tells which bytes of it are broken.
        #[derive(Debug)]
        pub(in crate::spool) struct Source {
            path: PathBuf,
            file: File,
        }

        pub(in crate::spool) fn source(path: &Path, file: File) -> Source {
            Source { path: path.to_owned(), file }
        }

        impl Source {
            pub(in crate::spool) fn metadata(&self) -> io::Result<std::fs::Metadata> {
                self.file.metadata()
            }
        }

        impl Read for Source {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let here = self.file.stream_position()?;
                let mut room = buffer.len();
                BROKEN.with_borrow_mut(|broken| {
                    for (_, bytes, tries) in
                        broken.iter_mut().filter(|(path, ..)| *path == self.path)
                    {
                        if bytes.contains(&here) {
                            *tries += 1;
                            return Err(io::Error::other("the disk doesn't give this"));
                        }
                        if bytes.start > here {
                            room = room.min(usize::try_from(bytes.start - here).unwrap());
                        }
                    }
                    Ok(())
                })?;
                self.file.read(&mut buffer[..room])
            }
        }

        impl Seek for Source {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.file.seek(to)
            }
        }
    }

    #[cfg(test)]
    mod planned {
        use std::cell::RefCell;
        use std::io;

        use super::Op;

        thread_local! {
            static PLAN: RefCell<Vec<(Op, usize, io::ErrorKind)>> = const { RefCell::new(Vec::new()) };
        }

        /// Lets the operations of this kind fail on this thread, so many times, after `skip` good ones.
        pub(in crate::spool) fn fail(op: Op, skip: usize, times: usize, kind: io::ErrorKind) {
            PLAN.with_borrow_mut(|plan| {
                // `Interrupted` stands for one that goes well.
                plan.extend(std::iter::repeat_n((op, 0, io::ErrorKind::Interrupted), skip));
                plan.push((op, times, kind));
            });
        }

        pub(in crate::spool) fn check(op: Op) -> io::Result<()> {
            PLAN.with_borrow_mut(|plan| {
                let Some(at) = plan.iter().position(|(planned, ..)| *planned == op) else {
                    return Ok(());
                };
                let (_, times, kind) = &mut plan[at];
                let kind = *kind;
                *times = times.saturating_sub(1);
                if *times == 0 {
                    plan.remove(at);
                }
                if kind == io::ErrorKind::Interrupted { Ok(()) } else { Err(kind.into()) }
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_a_broken_one() {
        let kind = |io: io::ErrorKind| typed("spool_append", Path::new("/x"), io.into()).kind();
        assert_eq!(kind(io::ErrorKind::StorageFull), ErrorKind::LimitReached);
        assert_eq!(kind(io::ErrorKind::QuotaExceeded), ErrorKind::LimitReached);
        assert_eq!(kind(io::ErrorKind::PermissionDenied), ErrorKind::PermissionDenied);
        assert_eq!(kind(io::ErrorKind::NotFound), ErrorKind::NotFound);
        assert_eq!(kind(io::ErrorKind::Other), ErrorKind::Unavailable);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_full_device_of_linux_gives_the_error_of_a_full_disk() {
        let mut full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let error = extend(&mut full, 0, b"x").unwrap_err().error;
        let error = typed("spool_append", Path::new("/dev/full"), error);
        assert_eq!(error.kind(), ErrorKind::LimitReached);
        assert!(error.hint().is_some());
    }
}
