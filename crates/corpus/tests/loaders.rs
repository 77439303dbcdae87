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
    let mut found: Vec<_> = catalogue.tracks.iter().map(|t| (t.artist.as_str(), t.title.as_str())).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("", "Just a Title"),
            ("", "broken"),
            ("", "no extension"),
            ("Other Artist", "Other - Title"),
            ("Some Artist", "Some Title"),
            ("Tagged Artist", "Tagged Title"),
        ]
    );
    assert_eq!(catalogue.tracks.iter().find(|t| t.title == "Tagged Title").unwrap().album, "Album");
    assert!(catalogue.rejected.is_empty());
    assert_eq!(folder::load(root.path()).unwrap(), catalogue);
    assert!(folder::load(&root.path().join("nowhere")).is_err());
}

/// An MP3 of silence whose ID3v2.3 tag holds an artist and a title in these bytes, marked as Latin-1.
fn mp3(artist: &[u8], title: &[u8]) -> Vec<u8> {
    let frame =
        |name: &[u8; 4], text: &[u8]| [&name[..], &(text.len() as u32 + 1).to_be_bytes(), &[0, 0, 0], text].concat();
    let frames = [frame(b"TPE1", artist), frame(b"TIT2", title)].concat();
    let sound = [&[0xff, 0xfb, 0x90, 0x64][..], &[0; 413]].concat().repeat(10);
    [&b"ID3\x03\0\0\0\0"[..], &[(frames.len() >> 7) as u8, frames.len() as u8 & 0x7f], &frames, &sound].concat()
}

#[test]
fn tags_in_old_encodings_are_read_and_none_steers_a_terminal() {
    let root = tempfile::tempdir().unwrap();
    let tags: [(&[u8], &[u8], &str, &str); 6] = [
        // Shift-JIS, Windows-1251 and GBK.
        (b"\x89\x46\x91\xbd\x93\x63\x83\x71\x83\x4a\x83\x8b", b"\x8d\xf7\x97\xac\x82\xb5", "宇多田ヒカル", "桜流し"),
        (b"\xca\xe8\xed\xee", b"\xc3\xf0\xf3\xef\xef\xe0 \xea\xf0\xee\xe2\xe8", "Кино", "Группа крови"),
        (b"\xb4\xde\xbd\xa1", b"\xd2\xbb\xce\xde\xcb\xf9\xd3\xd0", "崔健", "一无所有"),
        // Latin-1, as it is marked.
        (b"Bj\xf6rk", b"J\xf3ga", "Björk", "Jóga"),
        (b"Caf\xe9 del Mar", b"Se\xf1or", "Café del Mar", "Señor"),
        (b"\x1b[31mRed\x1b[0m", b"one\r\ntwo\x9b", "[31mRed [0m", "one two›"),
    ];
    for (i, (artist, title, ..)) in tags.iter().enumerate() {
        fs::write(root.path().join(format!("{i}.mp3")), mp3(artist, title)).unwrap();
    }
    let mut catalogue = folder::load(root.path()).unwrap();
    catalogue.tracks.sort_by_key(|track| track.source.to_string());
    for (track, (.., artist, title)) in catalogue.tracks.iter().zip(tags) {
        assert_eq!((track.artist.as_str(), track.title.as_str()), (artist, title));
    }
    // One sound under six tags.
    let mut ids: Vec<u32> = catalogue.tracks.iter().map(|track| track.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (ids[0]..ids[0] + 6).collect::<Vec<_>>());
}

#[test]
fn every_sound_file_is_listed_or_rejected_by_the_name_of_its_format() {
    let root = tempfile::tempdir().unwrap();
    let wav = |name: &str| synth::write_wav(&root.path().join(name), &[0.1; 800], 8_000).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
    let decoded = "aif aifc aiff caf m4a mka mp1 oga opus w64 weba webm";
    for extension in decoded.split(' ') {
        write(&format!("a.{extension}"), b"not looked at");
    }
    // What it holds decides where its extension does not.
    write("b", b"caff\0\x01\0\0");
    write("b.dat", &mp3(b"", b"")[..]);
    wav("b.wma");
    let known = [
        ("ape", "Monkey's Audio"),
        ("dsf", "DSD"),
        ("mpc", "Musepack"),
        ("tta", "True Audio"),
        ("wma", "Windows Media Audio"),
        ("wv", "WavPack"),
    ];
    for (extension, _) in known {
        write(&format!("c.{extension}"), b"anything");
    }
    write("c.bin", b"wvpk and more");
    for (name, bytes) in
        [("d.mkv", &b"\x1a\x45\xdf\xa3 a film"[..]), ("d.jpg", b"\xff\xd8\xff\xe0"), ("d.txt", b"\xff\xfet\0")]
    {
        write(name, bytes);
    }
    let catalogue = folder::load(root.path()).unwrap();
    assert_eq!(catalogue.tracks.len(), decoded.split(' ').count() + 3);
    let reasons: Vec<String> = catalogue.rejected.iter().map(|r| format!("{}: {}", r.source, r.reason)).collect();
    for (extension, format) in known.into_iter().chain([("bin", "WavPack")]) {
        let is = |line: &&String| line.contains(&format!("c.{extension}: {format} is not decoded"));
        assert_eq!(reasons.iter().filter(is).count(), 1, "{extension}: {reasons:?}");
    }
    assert_eq!(reasons.len(), known.len() + 1);
}

#[cfg(unix)]
#[test]
fn pipes_are_rejected_without_opening_them() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a.wav", "b.txt"] {
        assert!(std::process::Command::new("mkfifo").arg(root.path().join(name)).status().unwrap().success());
    }
    // Opening one would hang here for ever: nobody writes.
    let catalogue = folder::load(root.path()).unwrap();
    assert!(catalogue.tracks.is_empty());
    assert_eq!(catalogue.rejected.len(), 1);
    assert!(catalogue.rejected[0].reason.contains("a pipe"), "{}", catalogue.rejected[0].reason);
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
