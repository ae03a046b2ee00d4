//! The events of an answer, or the bytes of a picture, read where they stand: nothing is copied, and no structure is built that is only to be written again.
//!
//! What it gives is what [`decode`](crate::decode) gives of the same frame, and a frame that `decode` refuses it refuses too, unless
//! only a field is wrong that is not given; tests compare the two.

use std::str::from_utf8;

use uuid::Uuid;

use crate::{
    call::{EventsTrailer, Trailer},
    codec,
    event::{Data, Position, Seq},
    id::{Epoch, EventId},
    scan::{Scanner, Token},
    time::Timestamp,
};

/// An event as it stands in a frame; see [`Event`](crate::Event) and [`LoggedEvent`](crate::LoggedEvent) for its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct EventView<'a> {
    /// The run of the spool it was written in.
    pub epoch: Epoch,
    /// Its place in that run.
    pub seq: Seq,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: &'a str,
    /// How much it matters.
    pub severity: &'a str,
    /// One line for people.
    pub description: &'a str,
    /// Small facts for programs.
    pub data: Data,
    /// The time of the picture that shows it.
    pub image_at: Option<Timestamp>,
    /// Its identity before it had to be sent again under a new epoch.
    pub was: Option<EventId>,
}

impl EventView<'_> {
    /// Its place in the total order of answers.
    pub const fn position(&self) -> Position {
        Position { at: self.at, epoch: self.epoch, seq: self.seq }
    }
}

/// Why events cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The frame answers another question than one for events.
    #[error("something other than events")]
    OtherContent,
    /// A field is missing, doubled, or not what it should be.
    #[error("{0} is missing, doubled or not what it should be")]
    Field(&'static str),
}

/// Gives every event of a Reply, a Part or a Done to `each`, in their order; then the trailer, which a Part has not.
pub fn read_events<'a>(
    frame: &'a [u8],
    mut each: impl FnMut(&EventView<'a>),
) -> Result<Option<EventsTrailer>, ViewError> {
    let mut reader = Reader(Scanner { rest: frame });
    match reader.variant("the frame")? {
        b"Part" => reader.field("body", |reader| reader.body(&mut each)).map(|()| None),
        b"Reply" => reader.field("answer", |reader| reader.answer(&mut each)).map(Some),
        b"Done" => reader.field("trailer", Reader::trailer).map(Some),
        _ => Err(ViewError::OtherContent),
    }
}

/// The bytes of a picture that a Part holds; none when it is another frame, or holds something else.
pub fn read_bytes(frame: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(Scanner { rest: frame });
    if reader.variant("the frame").ok()? != b"Part" {
        return None;
    }
    let bytes = reader.field("body", |reader| {
        let is_bytes = reader.variant("the body")? == b"Bytes";
        match reader.token("the body")? {
            Token::Bin(bytes) if is_bytes => Ok(bytes),
            _ => Err(ViewError::OtherContent),
        }
    });
    bytes.ok()
}

/// A field that must be there just once.
struct Once<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Once<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn set(&mut self, value: T) -> Result<(), ViewError> {
        self.value.replace(value).map_or(Ok(()), |_| Err(ViewError::Field(self.name)))
    }

    fn get(self) -> Result<T, ViewError> {
        self.value.ok_or(ViewError::Field(self.name))
    }
}

/// Reads values of the kinds that are wanted.
struct Reader<'a>(Scanner<'a>);

impl<'a> Reader<'a> {
    fn token(&mut self, what: &'static str) -> Result<Token<'a>, ViewError> {
        self.0.token().map_err(|_| ViewError::Field(what))
    }

    /// Passes over one value.
    fn pass(&mut self) -> Result<(), ViewError> {
        let token = self.token("a field")?;
        self.0.skip(token).map_err(|_| ViewError::Field("a field"))
    }

    /// The name of a value in a map of one entry.
    fn variant(&mut self, what: &'static str) -> Result<&'a [u8], ViewError> {
        match (self.token(what)?, self.token(what)?) {
            (Token::Map(1), Token::Str(name)) => Ok(name),
            _ => Err(ViewError::Field(what)),
        }
    }

    /// Gives the name of each entry of a map to `read`, which must take its value.
    fn fields(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self, &'a [u8]) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let fields = match self.0.short_map() {
            Some(fields) => fields,
            None => match self.token(what)? {
                Token::Map(fields) => fields,
                _ => return Err(ViewError::Field(what)),
            },
        };
        for _ in 0..fields {
            let name = self.bytes(what)?;
            read(self, name)?;
        }
        Ok(())
    }

    /// The bytes of a text.
    #[inline]
    fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], ViewError> {
        match self.0.short_text() {
            Some(text) => Ok(text),
            None => match self.token(what)? {
                Token::Str(text) => Ok(text),
                _ => Err(ViewError::Field(what)),
            },
        }
    }

    /// The one field of a map that is wanted.
    fn field<T>(
        &mut self,
        wanted: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, ViewError>,
    ) -> Result<T, ViewError> {
        let mut value = Once::new(wanted);
        self.fields("the frame", |reader, name| {
            if name == wanted.as_bytes() { value.set(read(reader)?) } else { reader.pass() }
        })?;
        value.get()
    }

    fn array(&mut self, what: &'static str) -> Result<usize, ViewError> {
        match self.token(what)? {
            Token::Array(length) => Ok(length),
            _ => Err(ViewError::Field(what)),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, ViewError> {
        from_utf8(self.bytes(what)?).map_err(|_| ViewError::Field(what))
    }

    fn number(&mut self, what: &'static str) -> Result<u64, ViewError> {
        match self.0.long_number() {
            Some(number) => Ok(number),
            None => self.token(what)?.number().ok_or(ViewError::Field(what)),
        }
    }

    fn time(&mut self, what: &'static str) -> Result<Timestamp, ViewError> {
        self.optional_time(what)?.ok_or(ViewError::Field(what))
    }

    fn optional_time(&mut self, what: &'static str) -> Result<Option<Timestamp>, ViewError> {
        let token =
            self.0.long_number().map_or_else(|| self.token(what), |number| Ok(Token::Uint(number)))?;
        Ok(Some(Timestamp::from_micros(match token {
            Token::Nil => return Ok(None),
            Token::Int(micros) => micros,
            Token::Uint(micros) => i64::try_from(micros).map_err(|_| ViewError::Field(what))?,
            _ => return Err(ViewError::Field(what)),
        })))
    }

    fn epoch(&mut self) -> Result<Epoch, ViewError> {
        if let Some(uuid) = self.0.uuid() {
            return Ok(uuid.into());
        }
        match self.token("epoch")? {
            Token::Bin(uuid) => {
                Uuid::from_slice(uuid).map(Epoch::from).map_err(|_| ViewError::Field("epoch"))
            }
            _ => Err(ViewError::Field("epoch")),
        }
    }

    fn optional_id(&mut self) -> Result<Option<EventId>, ViewError> {
        let before = self.0.rest;
        if matches!(self.token("was")?, Token::Nil) {
            return Ok(None);
        }
        self.0.rest = before;
        let (mut epoch, mut seq) = (Once::new("was"), Once::new("was"));
        self.fields("was", |reader, name| match name {
            b"epoch" => epoch.set(reader.epoch()?),
            b"seq" => seq.set(reader.number("was")?),
            _ => reader.pass(),
        })?;
        Ok(Some(EventId { epoch: epoch.get()?, seq: seq.get()? }))
    }

    fn data(&mut self) -> Result<Data, ViewError> {
        let from = self.0.rest;
        let token = self.token("data")?;
        if matches!(token, Token::Nil | Token::Map(0)) {
            return Ok(Data::new());
        }
        self.0.skip(token).map_err(|_| ViewError::Field("data"))?;
        codec::data(&from[..from.len() - self.0.rest.len()]).ok_or(ViewError::Field("data"))
    }

    /// The events of a list, then its trailer.
    fn answer(&mut self, each: &mut impl FnMut(&EventView<'a>)) -> Result<EventsTrailer, ViewError> {
        let (mut bodies, mut trailer) = (Once::new("body"), Once::new("trailer"));
        self.fields("the answer", |reader, name| match name {
            b"body" => {
                for _ in 0..reader.array("body")? {
                    reader.body(each)?;
                }
                bodies.set(())
            }
            b"trailer" => trailer.set(reader.trailer()?),
            _ => reader.pass(),
        })?;
        bodies.get()?;
        trailer.get()
    }

    fn trailer(&mut self) -> Result<EventsTrailer, ViewError> {
        let from = self.0.rest;
        self.pass()?;
        match codec::trailer(&from[..from.len() - self.0.rest.len()]) {
            Some(Trailer::Events(trailer)) => Ok(trailer),
            Some(_) => Err(ViewError::OtherContent),
            None => Err(ViewError::Field("trailer")),
        }
    }

    fn body(&mut self, each: &mut impl FnMut(&EventView<'a>)) -> Result<(), ViewError> {
        if self.variant("body")? != b"Items" || self.variant("body")? != b"Events" {
            return Err(ViewError::OtherContent);
        }
        for _ in 0..self.array("events")? {
            each(&self.logged_event()?);
        }
        Ok(())
    }

    fn logged_event(&mut self) -> Result<EventView<'a>, ViewError> {
        if let Some((event, rest)) = usual_event(self.0.rest) {
            self.0.rest = rest;
            return Ok(event);
        }
        let (mut epoch, mut seq, mut event) = (Once::new("epoch"), Once::new("seq"), Once::new("event"));
        self.fields("a logged event", |reader, name| match name {
            b"epoch" => epoch.set(reader.epoch()?),
            b"seq" => seq.set(reader.number("seq")?),
            b"event" => event.set(reader.event()?),
            _ => reader.pass(),
        })?;
        Ok(EventView { epoch: epoch.get()?, seq: seq.get()?, ..event.get()? })
    }

    /// An event that has no identity yet.
    fn event(&mut self) -> Result<EventView<'a>, ViewError> {
        let (mut at, mut kind, mut severity) = (Once::new("at"), Once::new("kind"), Once::new("severity"));
        let (mut description, mut data) = (Once::new("description"), Once::new("data"));
        let (mut image_at, mut was) = (Once::new("image_at"), Once::new("was"));
        self.fields("an event", |reader, name| match name {
            b"at" => at.set(reader.time("at")?),
            b"kind" => kind.set(reader.text("kind")?),
            b"severity" => severity.set(reader.text("severity")?),
            b"description" => description.set(reader.text("description")?),
            b"data" => data.set(reader.data()?),
            b"image_at" => image_at.set(reader.optional_time("image_at")?),
            b"was" => was.set(reader.optional_id()?),
            _ => reader.pass(),
        })?;
        Ok(EventView {
            epoch: Epoch::from(Uuid::nil()),
            seq: 0,
            at: at.get()?,
            kind: kind.get()?,
            severity: severity.get()?,
            description: description.get()?,
            data: data.value.unwrap_or_default(),
            image_at: image_at.value.flatten(),
            was: was.value.flatten(),
        })
    }
}

/// The event that `frame` begins with, if it is one with nothing but what each event has, its fields in the order of their
/// structure, as agents write most; and what stands behind it. This is here for speed alone.
fn usual_event(frame: &[u8]) -> Option<(EventView<'_>, &[u8])> {
    let mut scanner = Scanner { rest: frame };
    scanner.literal(b"\x83\xa5epoch")?;
    let epoch = scanner.uuid()?.into();
    scanner.literal(b"\xa3seq")?;
    let seq = scanner.token().ok()?.number()?;
    scanner.literal(b"\xa5event\x84\xa2at")?;
    let at = Timestamp::from_micros(i64::try_from(scanner.long_number()?).ok()?);
    scanner.literal(b"\xa4kind")?;
    let kind = from_utf8(scanner.short_text()?).ok()?;
    scanner.literal(b"\xa8severity")?;
    let severity = from_utf8(scanner.short_text()?).ok()?;
    scanner.literal(b"\xabdescription")?;
    let description = from_utf8(scanner.short_text()?).ok()?;
    let (data, image_at, was) = (Data::new(), None, None);
    Some((EventView { epoch, seq, at, kind, severity, description, data, image_at, was }, scanner.rest))
}
