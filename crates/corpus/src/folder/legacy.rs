//! Text in an old encoding that a tag calls Latin-1.
//!
//! Versions 1 and 2.3 of ID3 know Latin-1 and UTF-16 only. Programs in Japan, Russia and China wrote what their system used
//! and called it Latin-1. Read as it is marked, every byte becomes one character of U+0000 to U+00FF, so the bytes can be
//! had back.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, WINDOWS_1252};

/// The encoding that the texts of one tag are in, where one of them cannot well be Latin-1. They are judged together: one
/// title alone may be too short to tell, and a program writes all of a tag in one encoding.
pub(super) fn encoding<'a>(texts: impl Iterator<Item = &'a str>) -> Option<&'static Encoding> {
    // Texts beyond Latin-1 were marked as something else, and rightly.
    let odd: Vec<Vec<u8>> = texts.filter_map(bytes).filter(|bytes| !is_plausible(bytes)).collect();
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for text in &odd {
        detector.feed(text, false);
        detector.feed(b"\n", false);
    }
    detector.feed(b"", true);
    let found = detector.guess(None, Utf8Detection::Allow);
    (!odd.is_empty()).then_some(found)
}

/// A text as it was meant: in the tag's encoding, or as Latin-1 with the punctuation that Windows put where Latin-1 has
/// control characters.
pub(super) fn read(text: &str, encoding: Option<&'static Encoding>) -> String {
    let Some(bytes) = bytes(text) else { return text.to_owned() };
    let meant = |encoding: &'static Encoding| encoding.decode_without_bom_handling_and_without_replacement(&bytes);
    match encoding.and_then(meant).or_else(|| meant(WINDOWS_1252)) {
        Some(meant) => meant.into_owned(),
        None => text.to_owned(),
    }
}

/// The bytes behind a text marked as Latin-1; `None` where they are ASCII, or where it was not Latin-1.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return None;
    }
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Whether bytes look like a Western European language: accented letters are few, and at most two stand together.
fn is_plausible(bytes: &[u8]) -> bool {
    if std::str::from_utf8(bytes).is_ok() {
        return false;
    }
    // In Windows's Latin-1, dashes, quotes and the like stand among the C1 controls.
    let is_mark = |byte: u8| matches!(byte, 0x85 | 0x8a | 0x8c | 0x8e | 0x91..=0x97 | 0x99..=0x9c | 0x9e | 0x9f);
    if bytes.iter().any(|&byte| (0x80..0xa0).contains(&byte) && !is_mark(byte)) {
        return false;
    }
    let high = bytes.iter().filter(|&&byte| byte >= 0xc0).count();
    let letters = high + bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let longest = bytes.split(|&byte| byte < 0x80).map(<[u8]>::len).max().unwrap_or(0);
    longest <= 2 && 2 * high <= letters
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_KR, GBK, SHIFT_JIS, UTF_8, WINDOWS_1251};

    use super::*;

    /// What a reader that believes the mark makes of bytes.
    fn marked(bytes: &[u8]) -> String {
        bytes.iter().map(|&byte| char::from(byte)).collect()
    }

    fn reads(texts: &[&str], written: &'static Encoding) {
        let marked: Vec<String> = texts.iter().map(|text| marked(&written.encode(text).0)).collect();
        let found = encoding(marked.iter().map(String::as_str));
        for (text, marked) in texts.iter().zip(&marked) {
            assert_eq!(read(marked, found), *text, "{} taken for {found:?}", written.name());
        }
    }

    #[test]
    fn old_encodings_are_read_as_they_were_meant() {
        reads(&["宇多田ヒカル", "桜流し"], SHIFT_JIS);
        reads(&["ペルフーム", "チョコレイト・ディスコ"], SHIFT_JIS);
        reads(&["Земфира", "Прости меня моя любовь"], WINDOWS_1251);
        reads(&["Кино", "Группа крови"], WINDOWS_1251);
        reads(&["DDT", "Что такое осень"], WINDOWS_1251);
        reads(&["王菲", "红豆"], GBK);
        reads(&["崔健", "一无所有"], GBK);
        reads(&["周杰倫", "青花瓷"], BIG5);
        reads(&["소녀시대", "다시 만난 세계"], EUC_KR);
        reads(&["Björk", "Jóga"], UTF_8);
    }

    #[test]
    fn latin_1_stays() {
        let names = [
            "Björk",
            "Señor",
            "Café del Mar",
            "Motörhead",
            "Mötley Crüe",
            "Sigur Rós",
            "Ágætis byrjun",
            "Édith Piaf",
            "Beyoncé",
            "Déjà Vu",
            "Für Elise",
            "Blümchen",
            "Røyksopp",
            "Ñu",
            "¿Dónde están?",
            "Françoise Hardy",
            "50¢",
            "Nº 1",
            "Ö",
            "Träume",
            "Édouard Ferlet",
            "À la folie",
            "São Paulo",
            "Kraków",
        ];
        for name in names.iter().filter(|name| bytes(name).is_some()) {
            let found = encoding([*name].into_iter());
            assert_eq!(read(name, found), *name, "taken for {found:?}");
        }
        reads(&["Guns N’ Roses – “Live”", "Œuvre…"], WINDOWS_1252);
        assert_eq!(read("Кино", None), "Кино");
        assert_eq!(encoding(["plain", "Кино"].into_iter()), None);
    }
}
