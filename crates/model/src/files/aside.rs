//! [`Aside`]: a file that is written under another name, and gets its own when it is whole.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// A file that is written beside its place, under a hidden name that nobody else uses.
///
/// [`Aside::publish`] waits until it is on the disk and renames it into place: whoever looks, also after a kill or a power cut at
/// any moment, finds all of the old file or all of the new one. Dropped without that, it is removed and its place is as before.
/// What a kill leaves under the hidden name is removed by whoever next writes this place.
/// Several files that belong together can all be written before the first gets its name.
#[derive(Debug)]
pub struct Aside {
    file: File,
    _held: Option<File>,
    /// Where it is; nowhere once it has its name.
    here: Option<PathBuf>,
    place: PathBuf,
}

impl Aside {
    /// Begins the file that will be `place`, in a folder that must exist. It is as readable as any new file.
    ///
    /// # Errors
    /// [`io::Error`] where the folder cannot be written to, or `place` is there and is no regular file: a rename would put a
    /// file where a device or a folder was.
    pub fn create(place: &Path) -> io::Result<Self> {
        Self::begin(place, OpenOptions::new())
    }

    /// The same for a file that only its owner may read (mode 0600 on Unix, from its first byte on).
    ///
    /// # Errors
    /// Those of [`Aside::create`].
    pub fn create_private(place: &Path) -> io::Result<Self> {
        #[cfg_attr(not(unix), expect(unused_mut))]
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self::begin(place, options)
    }

    fn begin(place: &Path, mut options: OpenOptions) -> io::Result<Self> {
        // A link stays a link: what it leads to is replaced.
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        if let Ok(found) = fs::metadata(&place) {
            refuse_unless_regular(&found)?;
        }
        let prefix =
            hidden_prefix(&place, "part").ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it names no file"))?;
        clear_left(&place, &prefix);
        options.write(true).create_new(true);
        let (here, file, held) = unused(&place, &prefix, |here| options.open(here))?;
        Ok(Self { file, _held: held, here: Some(here), place })
    }

    /// Gives the file its name, in the place of one that may be there.
    ///
    /// # Errors
    /// [`io::Error`]; then the place is as before.
    pub fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(here) = &self.here {
            fs::rename(here, &self.place)?;
            self.here = None;
        }
        sync_folder(&self.place)
    }

    /// Gives the file its name where nothing has it yet.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where something is there, which stays; any other [`io::Error`].
    pub fn publish_new(self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(here) = &self.here {
            // A second name, and no rename: a rename would replace what another process has put there since anybody looked.
            match fs::hard_link(here, &self.place) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
                // File systems without hard links.
                Err(_) if !self.place.try_exists()? => return self.publish(),
                linked => linked?,
            }
        }
        // The hidden name goes when this is dropped.
        sync_folder(&self.place)
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(here) = &self.here {
            // Best effort: what kept it from its name is the error worth reporting.
            let _ = fs::remove_file(here);
        }
    }
}

/// `.<name>.<purpose>-`, with which the hidden names beside a place begin; nothing where the place ends in no name.
pub(crate) fn hidden_prefix(place: &Path, purpose: &str) -> Option<OsString> {
    let mut prefix = OsString::from(".");
    prefix.push(place.file_name()?);
    prefix.push(format!(".{purpose}-"));
    Some(prefix)
}

/// Makes something under a hidden name beside a place that nobody else uses, and takes hold of it: see [`clear_left`].
///
/// # Errors
/// Those of `make`, which must fail with [`ErrorKind::AlreadyExists`] where the name is taken.
pub(crate) fn unused<T>(
    place: &Path,
    prefix: &OsStr,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T, Option<File>)> {
    let mut number = 0_u32;
    loop {
        let mut name = prefix.to_owned();
        name.push(format!("{}-{number}", std::process::id()));
        let here = place.with_file_name(name);
        number += 1;
        match make(&here) {
            Ok(made) => {
                // Not every file system has locks, nor every system folders that can be opened: then what a kill leaves stays.
                let held = File::open(&here).ok().filter(|file| file.lock().is_ok());
                // Whoever clears up may have come between making and holding.
                if here.try_exists()? {
                    return Ok((here, made, held));
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes files and folders of this prefix beside a place that no living process holds: a lock ends with who took it.
///
/// Best effort: what cannot be looked at or removed stays.
pub(crate) fn clear_left(place: &Path, prefix: &OsStr) {
    let folder = place.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let numbers = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let ours = numbers.is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-'));
        // Neither a link, which would lead elsewhere, nor a pipe, which would be waited for.
        let Some(kind) = entry.file_type().ok().filter(|kind| ours && (kind.is_file() || kind.is_dir())) else {
            continue;
        };
        let left = File::open(entry.path()).ok().filter(|file| file.try_lock().is_ok());
        if left.is_some() {
            let _ = if kind.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

/// Writes a whole file with [`Aside`], and the folder that it is in where there is none.
///
/// # Errors
/// [`io::Error`]; then the place is as before.
pub fn write_file(place: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut aside = Aside::create(place)?;
    aside.write_all(bytes)?;
    aside.publish()
}

/// Opens a regular file that has at most `limit` bytes. Looks before it opens: a pipe would be waited for, for ever.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a pipe, a device or a folder, [`ErrorKind::FileTooLarge`] for a larger file, any other
/// [`io::Error`].
pub fn open_file(path: &Path, limit: u64) -> io::Result<File> {
    let found = fs::metadata(path)?;
    refuse_unless_regular(&found)?;
    if found.len() > limit {
        let sentence = format!("it has {} bytes, expected at most {limit}", found.len());
        return Err(Error::new(ErrorKind::FileTooLarge, sentence));
    }
    File::open(path)
}

/// Reads a regular file that has at most `limit` bytes.
///
/// # Errors
/// Those of [`open_file`].
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // No more than the limit, although the file may have grown since.
    open_file(path, limit)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file of text, of at most `limit` bytes.
///
/// # Errors
/// Those of [`open_file`], and [`ErrorKind::InvalidData`] for bytes that are no UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let text = String::from_utf8(read_file(path, limit)?);
    text.map_err(|_| Error::new(ErrorKind::InvalidData, "it is no text in UTF-8"))
}

fn refuse_unless_regular(found: &fs::Metadata) -> io::Result<()> {
    let sentence = match found {
        _ if found.is_file() => return Ok(()),
        _ if found.is_dir() => "it is a folder, expected a file",
        _ => "it is a pipe or a device, expected a regular file",
    };
    Err(Error::new(ErrorKind::InvalidInput, sentence))
}

/// Waits until a new name in its folder is on the disk. Not every system can say so, and then there is nothing to wait for.
pub(crate) fn sync_folder(place: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = place.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // A folder may be writable and not readable; its names are in place all the same.
        if let Ok(folder) = File::open(folder) {
            folder.sync_all()?;
        }
    }
    let _ = place;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_the_old_one_until_it_is_the_new_one() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("deep/er/file");
        write_file(&place, b"old").unwrap();
        let mut aside = Aside::create(&place).unwrap();
        aside.write_all(b"half of").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"old");
        drop(aside);
        assert_eq!((fs::read(&place).unwrap(), names(place.parent().unwrap())), (b"old".to_vec(), vec!["file".into()]));
        write_file(&place, b"new").unwrap();
        assert_eq!((fs::read(&place).unwrap(), names(place.parent().unwrap())), (b"new".to_vec(), vec!["file".into()]));
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("key");
        let (mut first, mut second) = (Aside::create_private(&place).unwrap(), Aside::create_private(&place).unwrap());
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        first.publish_new().unwrap();
        assert_eq!(second.publish_new().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&place).unwrap(), names(home.path())), (b"first".to_vec(), vec!["key".into()]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_a_kill_left_is_cleared_and_what_is_being_written_is_not() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("key");
        let writing = Aside::create(&place).unwrap();
        let [left, another, stranger] = [".key.part-1-0", ".other.part-1-0", ".key.part-mine"];
        for name in [left, another, stranger] {
            fs::write(home.path().join(name), b"half a key").unwrap();
        }
        write_file(&place, b"whole").unwrap();
        let held = writing.here.as_ref().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = [held.as_str(), another, stranger, "key"];
        expected.sort_unstable();
        assert_eq!(names(home.path()), expected);
        writing.publish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_what_is_no_file_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        let refused = |error: io::Error| (error.kind(), error.to_string());
        for odd in [Path::new("/dev/null"), home.path()] {
            let (kind, sentence) = refused(write_file(odd, b"x").unwrap_err());
            assert!(kind == ErrorKind::InvalidInput && sentence.contains("expected a"), "{sentence}");
            let (kind, sentence) = refused(read_file(odd, 9).unwrap_err());
            assert!(kind == ErrorKind::InvalidInput && sentence.contains("expected a"), "{sentence}");
        }
        let (kind, sentence) = refused(read_file(&file, 2).unwrap_err());
        assert!(kind == ErrorKind::FileTooLarge && sentence.contains("3 bytes, expected at most 2"), "{sentence}");
        assert_eq!(read_text(&file, 3).unwrap(), "new");
    }
}
