//! The events of an answer, read where they stand: nothing is copied, and no structure is built that is only to be written again.
//!
//! What it gives is what [`decode`](crate::decode) gives of the same frame, and a frame that `decode` refuses it refuses too, unless
//! only a field is wrong that is not given; tests compare the two.

use std::str::from_utf8;

use uuid::Uuid;

use crate::{
    call::{EventsTrailer, Trailer},
    codec,
    event::{Data, Position, Seq},
    id::Epoch,
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
}

impl EventView<'_> {
    /// Its place in the total order of answers.
    pub const fn position(&self) -> Position {
        Position { at: self.at, epoch: self.epoch, seq: self.seq }
    }
}

/// Why events cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
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
) -> Result<Option<EventsTrailer>, ListError> {
    let mut reader = Reader(Scanner { rest: frame });
    match reader.variant("the frame")? {
        b"Part" => {
            let mut body = Once::new("body");
            reader.fields("the Part", |reader, name| match name {
                b"body" => body.set(reader.body(&mut each)?),
                _ => reader.pass(),
            })?;
            body.get().map(|()| None)
        }
        b"Reply" => {
            let mut answer = Once::new("answer");
            reader.fields("the Reply", |reader, name| match name {
                b"answer" => answer.set(reader.answer(&mut each)?),
                _ => reader.pass(),
            })?;
            answer.get().map(Some)
        }
        b"Done" => {
            let mut trailer = Once::new("trailer");
            reader.fields("the Done", |reader, name| match name {
                b"trailer" => trailer.set(reader.trailer()?),
                _ => reader.pass(),
            })?;
            trailer.get().map(Some)
        }
        _ => Err(ListError::OtherContent),
    }
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

    fn set(&mut self, value: T) -> Result<(), ListError> {
        self.value.replace(value).map_or(Ok(()), |_| Err(ListError::Field(self.name)))
    }

    fn get(self) -> Result<T, ListError> {
        self.value.ok_or(ListError::Field(self.name))
    }
}

/// Reads values of the kinds that are wanted.
struct Reader<'a>(Scanner<'a>);

impl<'a> Reader<'a> {
    fn token(&mut self, what: &'static str) -> Result<Token<'a>, ListError> {
        self.0.token().map_err(|_| ListError::Field(what))
    }

    /// Passes over one value.
    fn pass(&mut self) -> Result<(), ListError> {
        let token = self.token("a field")?;
        self.0.skip(token).map_err(|_| ListError::Field("a field"))
    }

    /// The name of a value in a map of one entry.
    fn variant(&mut self, what: &'static str) -> Result<&'a [u8], ListError> {
        match (self.token(what)?, self.token(what)?) {
            (Token::Map(1), Token::Str(name)) => Ok(name),
            _ => Err(ListError::Field(what)),
        }
    }

    /// Gives the name of each entry of a map to `read`, which must take its value.
    fn fields(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self, &'a [u8]) -> Result<(), ListError>,
    ) -> Result<(), ListError> {
        let Token::Map(fields) = self.token(what)? else { return Err(ListError::Field(what)) };
        for _ in 0..fields {
            let Token::Str(name) = self.token(what)? else { return Err(ListError::Field(what)) };
            read(self, name)?;
        }
        Ok(())
    }

    fn array(&mut self, what: &'static str) -> Result<usize, ListError> {
        match self.token(what)? {
            Token::Array(length) => Ok(length),
            _ => Err(ListError::Field(what)),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, ListError> {
        match self.token(what)? {
            Token::Str(text) => from_utf8(text).map_err(|_| ListError::Field(what)),
            _ => Err(ListError::Field(what)),
        }
    }

    fn number(&mut self, what: &'static str) -> Result<u64, ListError> {
        self.token(what)?.number().ok_or(ListError::Field(what))
    }

    fn time(&mut self, what: &'static str) -> Result<Timestamp, ListError> {
        self.optional_time(what)?.ok_or(ListError::Field(what))
    }

    fn optional_time(&mut self, what: &'static str) -> Result<Option<Timestamp>, ListError> {
        Ok(Some(Timestamp::from_micros(match self.token(what)? {
            Token::Nil => return Ok(None),
            Token::Int(micros) => micros,
            Token::Uint(micros) => i64::try_from(micros).map_err(|_| ListError::Field(what))?,
            _ => return Err(ListError::Field(what)),
        })))
    }

    fn epoch(&mut self) -> Result<Epoch, ListError> {
        match self.token("epoch")? {
            Token::Bin(uuid) => {
                Uuid::from_slice(uuid).map(Epoch::from).map_err(|_| ListError::Field("epoch"))
            }
            _ => Err(ListError::Field("epoch")),
        }
    }

    fn data(&mut self) -> Result<Data, ListError> {
        let from = self.0.rest;
        let token = self.token("data")?;
        if matches!(token, Token::Nil | Token::Map(0)) {
            return Ok(Data::new());
        }
        self.0.skip(token).map_err(|_| ListError::Field("data"))?;
        codec::data(&from[..from.len() - self.0.rest.len()]).ok_or(ListError::Field("data"))
    }

    /// The events of a list, then its trailer.
    fn answer(&mut self, each: &mut impl FnMut(&EventView<'a>)) -> Result<EventsTrailer, ListError> {
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

    fn trailer(&mut self) -> Result<EventsTrailer, ListError> {
        let from = self.0.rest;
        self.pass()?;
        match codec::trailer(&from[..from.len() - self.0.rest.len()]) {
            Some(Trailer::Events(trailer)) => Ok(trailer),
            Some(_) => Err(ListError::OtherContent),
            None => Err(ListError::Field("trailer")),
        }
    }

    fn body(&mut self, each: &mut impl FnMut(&EventView<'a>)) -> Result<(), ListError> {
        if self.variant("body")? != b"Items" || self.variant("body")? != b"Events" {
            return Err(ListError::OtherContent);
        }
        for _ in 0..self.array("events")? {
            each(&self.logged_event()?);
        }
        Ok(())
    }

    fn logged_event(&mut self) -> Result<EventView<'a>, ListError> {
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
    fn event(&mut self) -> Result<EventView<'a>, ListError> {
        let (mut at, mut kind, mut severity) = (Once::new("at"), Once::new("kind"), Once::new("severity"));
        let (mut description, mut data, mut image_at) =
            (Once::new("description"), Once::new("data"), Once::new("image_at"));
        self.fields("an event", |reader, name| match name {
            b"at" => at.set(reader.time("at")?),
            b"kind" => kind.set(reader.text("kind")?),
            b"severity" => severity.set(reader.text("severity")?),
            b"description" => description.set(reader.text("description")?),
            b"data" => data.set(reader.data()?),
            b"image_at" => image_at.set(reader.optional_time("image_at")?),
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
        })
    }
}
