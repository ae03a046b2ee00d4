//! Lists that are gathered into pieces; as long as everything fits one frame it is kept for a Reply.

use oriel_proto::{
    Answer, Body, Failure, Items, LoggedEvent, Trailer,
    call::EventCount,
    codec::encoded_len,
    image::{ImageCount, ImageInfo},
};
use serde::Serialize;

use super::outlet::Outlet;

/// What a list's names and lengths take beside its items.
const LIST_HEAD: usize = 24;

/// Something that lists are made of.
pub(super) trait Item: Serialize + Sized {
    /// A list of such items.
    fn list(items: Vec<Self>) -> Items;

    /// The items of such a list.
    fn unlist(items: Items) -> Vec<Self>;
}

macro_rules! items {
    ($($item:ident in $list:ident,)+) => {
        $(impl Item for $item {
            fn list(items: Vec<Self>) -> Items {
                Items::$list(items)
            }

            fn unlist(items: Items) -> Vec<Self> {
                match items {
                    Items::$list(items) => items,
                    _ => Vec::new(),
                }
            }
        })+
    };
}

items! {
    LoggedEvent in Events,
    EventCount in EventCounts,
    ImageInfo in Images,
    ImageCount in ImageCounts,
}

/// A list on its way.
pub(super) struct Pieces<'a, I> {
    outlet: &'a mut Outlet,
    items: Vec<(I, usize)>,
    bytes: usize,
    begun: bool,
}

impl<'a, I: Item> Pieces<'a, I> {
    /// Nothing yet.
    pub(super) const fn new(outlet: &'a mut Outlet) -> Self {
        Self { outlet, items: Vec::new(), bytes: 0, begun: false }
    }

    /// Adds items.
    pub(super) async fn extend(&mut self, items: impl IntoIterator<Item = I>) -> Result<(), Failure> {
        for item in items {
            self.push(item).await?;
        }
        Ok(())
    }

    /// Adds an item; sends what has been gathered when it is full.
    pub(super) async fn push(&mut self, item: I) -> Result<(), Failure> {
        let bytes = encoded_len(&item);
        let most = if self.begun { self.outlet.part_bytes() - LIST_HEAD } else { self.outlet.frame_bytes() };
        if !self.items.is_empty() && self.bytes + bytes > most {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.items.push((item, bytes));
        Ok(())
    }

    /// Sends what has been gathered, cut into Parts.
    async fn flush(&mut self) -> Result<(), Failure> {
        self.begun = true;
        self.bytes = 0;
        let most = self.outlet.part_bytes() - LIST_HEAD;
        let (mut part, mut size) = (Vec::new(), 0);
        for (item, bytes) in std::mem::take(&mut self.items) {
            if !part.is_empty() && size + bytes > most {
                self.outlet.part(Body::Items(I::list(std::mem::take(&mut part)))).await?;
                size = 0;
            }
            size += bytes;
            part.push(item);
        }
        if part.is_empty() {
            return Ok(());
        }
        self.outlet.part(Body::Items(I::list(part))).await
    }

    /// Ends the list: one Reply when everything fits, else the rest and Done.
    pub(super) async fn end(mut self, trailer: Trailer) -> Result<(), Failure> {
        if self.begun {
            self.flush().await?;
            return self.outlet.done(trailer).await;
        }
        let items = I::list(self.items.drain(..).map(|(item, _)| item).collect());
        let answer = Answer { body: vec![Body::Items(items)], trailer };
        let Some(answer) = self.outlet.reply(answer).await? else { return Ok(()) };
        for body in answer.body {
            let Body::Items(items) = body else { continue };
            self.items.extend(I::unlist(items).into_iter().map(|item| {
                let bytes = encoded_len(&item);
                (item, bytes)
            }));
        }
        self.flush().await?;
        self.outlet.done(answer.trailer).await
    }
}
