//! [`Tags`]: what a file says of itself.

use std::panic::catch_unwind;
use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey, TagType};

use super::legacy;
use crate::catalogue::tidy;

#[derive(Default)]
pub(super) struct Tags {
    pub(super) artist: Option<String>,
    pub(super) title: Option<String>,
    pub(super) album: Option<String>,
    pub(super) licence: Option<String>,
}

impl Tags {
    /// Tags, or nothing: a file with broken tags may still play.
    pub(super) fn read(path: &Path) -> Self {
        let read = || {
            let options = ParseOptions::new().read_properties(false).read_cover_art(false);
            let file = Probe::open(path).ok()?.options(options).guess_file_type().ok()?.read().ok()?;
            let tag = file.primary_tag().or_else(|| file.first_tag())?;
            let licence = [ItemKey::License, ItemKey::CopyrightUrl, ItemKey::CopyrightMessage];
            let licence = licence.into_iter().find_map(|key| tag.get_string(key)).map(Into::into);
            let fields = [tag.artist(), tag.title(), tag.album(), licence];
            // The other kinds of tags are Unicode by definition.
            let legacy = matches!(tag.tag_type(), TagType::Id3v1 | TagType::Id3v2 | TagType::RiffInfo);
            let encoding = legacy::encoding(fields.iter().flatten().map(AsRef::as_ref).filter(|_| legacy));
            let text = |field: Option<std::borrow::Cow<'_, str>>| {
                field.map(|text| tidy(&if legacy { legacy::read(&text, encoding) } else { text.into_owned() }))
            };
            let [artist, title, album, licence] = fields.map(text);
            Some(Self { artist, title, album, licence })
        };
        // The parser meets bytes from anywhere; a bug in it must cost one file's tags, not the library.
        catch_unwind(read).ok().flatten().unwrap_or_default()
    }
}
