//! Libraries as they lie on disk: FMA's published layout, and folders of music.

use std::fs;
use std::path::Path;

use lofty::config::WriteOptions;
use lofty::tag::{Accessor, Tag, TagExt, TagType};
use sordino_corpus::fma::{self, Subset};
use sordino_corpus::{CorpusError, Source, folder, synth};

const HEADERS: &str = ",album,artist,artist,set,set,track,track\n,title,bio,name,split,subset,license,title\n\
                       track_id,,,,,,,\n";

/// FMA in small: three tracks, one reported silent, one without audio, and rows that make a reader stumble.
fn write_fma(root: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (audio, csv) = (root.join("fma_medium"), root.join("tracks.csv"));
    for id in [2_u32, 140, 1_486, 20_005, 48_389] {
        let folder = audio.join(format!("{:03}", id / 1_000));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{id:06}.mp3")), b"any bytes").unwrap();
    }
    let rows = "2,AWOL,\"<p>two\nlines, \"\"quoted\"\"</p>\",AWOL,training,small,CC BY-NC-SA 3.0,Food\n\
                20005,,,Späte Band,test,medium,CC BY 4.0,\"Two\nlines\"\n\
                140,,,Alec K.,training,large,CC BY,Queen\n\
                1486,,,Bad,training,medium,CC BY,Undecodable\n\
                48389,,,Bad,training,medium,CC BY,Silent\n\
                777,,,Nobody,training,small,CC BY,Missing\n\
                2,,,AWOL,training,small,CC BY,Again\n\
                x9,,,Nobody,training,small,CC BY,Not a number\n\
                778,,,Nobody,training,tiny,CC BY,Unknown subset\n";
    fs::write(&csv, format!("{HEADERS}{rows}")).unwrap();
    (audio, csv)
}

#[test]
fn fma_is_read_as_published() {
    let root = tempfile::tempdir().unwrap();
    let (audio, csv) = write_fma(root.path());
    let ids = |subset| fma::load(&audio, &csv, subset).unwrap().tracks.iter().map(|t| t.id).collect::<Vec<_>>();
    assert_eq!(ids(Subset::Small), [2]);
    assert_eq!(ids(Subset::Medium), [2, 20_005]);
    assert_eq!(ids(Subset::Large), [2, 140, 20_005]);

    let medium = fma::load(&audio, &csv, Subset::Medium).unwrap();
    let track = &medium.tracks[1];
    assert_eq!((track.artist.as_str(), track.title.as_str()), ("Späte Band", "Two lines"));
    assert_eq!((track.album.as_str(), track.licence.as_str()), ("", "CC BY 4.0"));
    assert_eq!(track.source, Source::File(audio.join("020").join("020005.mp3")));

    let reasons: Vec<(Option<u32>, &str)> = medium.rejected.iter().map(|r| (r.id, r.reason.as_str())).collect();
    for (id, part) in [
        (Some(1_486), "undecodable"),
        (Some(48_389), "silent"),
        (Some(777), "missing"),
        (Some(2), "twice"),
        (None, "\"x9\""),
        (Some(778), "\"tiny\""),
    ] {
        assert!(reasons.iter().any(|(found, reason)| *found == id && reason.contains(part)), "{part}: {reasons:?}");
    }
    assert_eq!(reasons.len(), 6);
}

#[test]
fn other_tables_are_not_taken_for_fma() {
    let root = tempfile::tempdir().unwrap();
    let (audio, csv) = write_fma(root.path());
    let load = || fma::load(&audio, &csv, Subset::Medium);
    for (text, part) in [
        ("", "the end of the file"),
        ("track_id,title\n1,Song\n2,Song\n", "track_id"),
        (&HEADERS.replace("subset", "part"), "(set, subset)"),
    ] {
        fs::write(&csv, text).unwrap();
        let error = load().unwrap_err();
        assert!(matches!(error, CorpusError::Format { .. }) && error.to_string().contains(part), "{error}");
    }
    fs::remove_file(&csv).unwrap();
    assert!(matches!(load(), Err(CorpusError::Io { .. })));
    assert!(matches!(fma::load(&root.path().join("nowhere"), &csv, Subset::Small), Err(CorpusError::Io { .. })));
    assert!("full".parse::<Subset>().is_err());
}

#[test]
fn a_folder_is_read_with_its_tags_names_and_order() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let wav = |name: &str| synth::write_wav(&path(name), &[0.1; 800], 8_000).unwrap();
    wav("b/Some Artist - Some Title.wav");
    wav("b/03 - Other_Artist - Other - Title.WAV");
    wav("a/07 - Just a Title.wav");
    wav("c/tagged.wav");
    wav("c/no extension");
    let mut tag = Tag::new(TagType::RiffInfo);
    tag.set_title("Tagged\nTitle".into());
    tag.set_artist("Tagged Artist".into());
    tag.set_album("Album".into());
    tag.save_to_path(path("c/tagged.wav"), WriteOptions::default()).unwrap();
    fs::write(path("c/broken.mp3"), b"ID3\x04\0\0\x7f\x7f\x7f\x7f").unwrap();
    fs::write(path("c/cover.jpg"), b"\xff\xd8\xff\xe0 a picture").unwrap();
    fs::write(path("c/._hidden.mp3"), b"not music").unwrap();
    fs::write(path("notes.txt"), b"not music either").unwrap();

    let catalogue = folder::load(root.path()).unwrap();
    let found: Vec<_> = catalogue.tracks.iter().map(|t| (t.id, t.artist.as_str(), t.title.as_str())).collect();
    assert_eq!(
        found,
        [
            (1, "", "Just a Title"),
            (2, "Other Artist", "Other - Title"),
            (3, "Some Artist", "Some Title"),
            (4, "", "broken"),
            (5, "", "no extension"),
            (6, "Tagged Artist", "Tagged Title"),
        ]
    );
    assert_eq!(catalogue.tracks[5].album, "Album");
    assert!(catalogue.rejected.is_empty());
    assert_eq!(folder::load(root.path()).unwrap(), catalogue);
    assert!(folder::load(&root.path().join("nowhere")).is_err());
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_odd_names_are_listed() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let root = tempfile::tempdir().unwrap();
    let music = root.path().join("music");
    fs::create_dir(&music).unwrap();
    synth::write_wav(&music.join("song.wav"), &[0.1; 800], 8_000).unwrap();
    symlink(&music, music.join("again")).unwrap();
    symlink(root.path().join("gone.mp3"), music.join("dangling.mp3")).unwrap();
    fs::write(music.join(OsStr::from_bytes(b"bad \xff name.mp3")), b"ID3").unwrap();
    let catalogue = folder::load(&music).unwrap();
    assert_eq!(catalogue.tracks.len(), 1);
    assert_eq!(catalogue.rejected.len(), 2);
    assert!(catalogue.rejected.iter().any(|r| r.reason.contains("UTF-8")));
    assert!(catalogue.rejected.iter().any(|r| r.source.to_string().contains("dangling")));
}
