//! [`SoundFormat`]: the formats of sound files there are, and which of them are decoded here.

use crate::decode::begins_with_mpeg;

/// A format of sound files.
#[derive(Debug, PartialEq, Eq)]
pub struct SoundFormat {
    /// Its name, for messages.
    pub name: &'static str,
    /// Whether it is decoded here. Whether a given file is depends on the codec in it too.
    pub decoded: bool,
    extensions: &'static [&'static str],
    /// Signatures: in each, all of these bytes at these places.
    signatures: &'static [&'static [(usize, &'static [u8])]],
}

const fn decoded(
    name: &'static str,
    extensions: &'static [&'static str],
    signatures: &'static [&'static [(usize, &'static [u8])]],
) -> SoundFormat {
    SoundFormat { name, decoded: true, extensions, signatures }
}

const fn known(
    name: &'static str,
    extensions: &'static [&'static str],
    signatures: &'static [&'static [(usize, &'static [u8])]],
) -> SoundFormat {
    SoundFormat { name, decoded: false, extensions, signatures }
}

static MP3: SoundFormat = decoded("MP3", &["mp3", "mp2", "mp1", "mpa", "mpga"], &[&[(0, b"ID3")]]);

static FORMATS: [SoundFormat; 27] = [
    decoded("AAC", &["aac", "adts"], &[]),
    decoded("FLAC", &["flac", "fla"], &[&[(0, b"fLaC")]]),
    // Before the container that it comes in.
    known("Speex", &["spx"], &[&[(0, b"OggS"), (28, b"Speex   ")]]),
    decoded("Ogg", &["ogg", "oga", "opus"], &[&[(0, b"OggS")]]),
    decoded(
        "WAV",
        &["wav", "wave", "bwf", "rf64"],
        &[&[(0, b"RIFF"), (8, b"WAVE")], &[(0, b"RF64"), (8, b"WAVE")], &[(0, b"BW64"), (8, b"WAVE")]],
    ),
    decoded("W64", &["w64"], &[&[(0, b"riff\x2e\x91\xcf\x11")]]),
    decoded("AIFF", &["aiff", "aif", "aifc"], &[&[(0, b"FORM"), (8, b"AIFF")], &[(0, b"FORM"), (8, b"AIFC")]]),
    decoded("CAF", &["caf"], &[&[(0, b"caff")]]),
    decoded("MP4", &["m4a", "m4b", "m4r", "mp4"], &[&[(4, b"ftypM4A ")], &[(4, b"ftypM4B ")]]),
    decoded("Matroska or WebM", &["mka", "weba", "webm"], &[&[(0, b"\x1a\x45\xdf\xa3")]]),
    known("WavPack", &["wv"], &[&[(0, b"wvpk")]]),
    known("Monkey's Audio", &["ape"], &[&[(0, b"MAC ")]]),
    known("Windows Media Audio", &["wma", "asf"], &[&[(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")]]),
    known("DSD", &["dsf", "dff"], &[&[(0, b"DSD ")], &[(0, b"FRM8"), (12, b"DSD ")]]),
    known("True Audio", &["tta"], &[&[(0, b"TTA1")]]),
    known("Musepack", &["mpc", "mpp", "mp+"], &[&[(0, b"MPCK")], &[(0, b"MP+")]]),
    known("OptimFROG", &["ofr", "ofs"], &[&[(0, b"OFR ")]]),
    known("Shorten", &["shn"], &[&[(0, b"ajkg")]]),
    known("TAK", &["tak"], &[&[(0, b"tBaK")]]),
    known("AMR", &["amr", "awb"], &[&[(0, b"#!AMR")]]),
    known("RealAudio", &["ra", "rm", "ram"], &[&[(0, b".ra\xfd")], &[(0, b".RMF")]]),
    // Frames begin with these words (ETSI TS 102 366 and TS 102 114; DTS in either order of bytes, of 16 bits or 14).
    known("Dolby Digital", &["ac3", "ec3", "eac3"], &[&[(0, b"\x0b\x77")]]),
    known(
        "DTS",
        &["dts"],
        &[
            &[(0, b"\x7f\xfe\x80\x01")],
            &[(0, b"\xfe\x7f\x01\x80")],
            &[(0, b"\x1f\xff\xe8\x00")],
            &[(0, b"\xff\x1f\x00\xe8")],
        ],
    ),
    known("Sun Audio", &["au", "snd"], &[&[(0, b".snd")]]),
    known("Creative Voice", &["voc"], &[&[(0, b"Creative Voice File")]]),
    known("ATRAC or Audible", &["oma", "aa3", "at3", "aa", "aax"], &[]),
    known("big-endian WAV (RIFX)", &[], &[&[(0, b"RIFX"), (8, b"WAVE")]]),
];

impl SoundFormat {
    /// The format that a file's extension stands for, in any case and without its dot.
    pub fn of_extension(extension: &str) -> Option<&'static Self> {
        let extension = extension.to_ascii_lowercase();
        [&MP3].into_iter().chain(&FORMATS).find(|format| format.extensions.contains(&extension.as_str()))
    }

    /// The format that a file's first bytes are the signature of; 8 KiB are enough.
    pub fn of_content(head: &[u8]) -> Option<&'static Self> {
        let matches = |format: &&Self| {
            let holds = |&(at, bytes): &(usize, &[u8])| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
            format.signatures.iter().any(|signature| signature.iter().all(holds))
        };
        let found = [&MP3].into_iter().chain(&FORMATS).find(matches);
        // Without a tag an MP3 begins with a frame; two bytes of one are no signature, some frames in a row are.
        found.or_else(|| begins_with_mpeg(head).then_some(&MP3))
    }
}
