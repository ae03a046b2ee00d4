//! Pictures made smaller, for who asks for a width.
//!
//! The header is read first, so that a picture that would take too much is refused before it takes anything. What is
//! decoded at once is bounded twice: by processors, and by the memory that it takes.

mod frame;
mod pixels;

use std::{sync::Arc, thread::available_parallelism};

use bytes::Bytes;
use oriel_proto::limits::{IMAGE_BYTES, IMAGE_PIXELS};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use self::frame::Frame;

/// Memory in MiB that all pictures being scaled share: the largest alone, down to 1,920 pixels.
const MEMORY: usize = 256;

/// Makes pictures smaller, a bounded number of them at once; clones share that bound.
#[derive(Clone, Debug)]
pub struct Scaler {
    /// One permit per MiB.
    memory: Arc<Semaphore>,
    processors: Arc<Semaphore>,
}

impl Default for Scaler {
    fn default() -> Self {
        Self::new()
    }
}

impl Scaler {
    /// One that works on as many pictures at once as there are processors, and on two at least, so that a large one does
    /// not stop the rest.
    pub fn new() -> Self {
        let processors = available_parallelism().map_or(2, |count| count.get().max(2));
        Self { memory: Arc::new(Semaphore::new(MEMORY)), processors: Arc::new(Semaphore::new(processors)) }
    }

    /// A JPEG made `width` pixels wide, its proportions kept; itself when it is not wider than that.
    ///
    /// Waits for its turn as long as the caller does: who drops this has left the queue. Nothing but the pixels is kept.
    pub async fn scale(&self, jpeg: Bytes, width: u16) -> Result<Bytes, ScaleError> {
        let frame = Frame::read(&jpeg)?;
        if width == 0 {
            return Err(ScaleError::NoWidth);
        }
        if width >= frame.width {
            return Ok(jpeg);
        }
        let bytes = pixels::memory(&frame, jpeg.len(), width);
        let turn = self.turn(bytes).await?;
        let scaled = spawn_blocking(move || {
            // Held until the work is done, also when its caller has left.
            let _turn = turn;
            pixels::scaled(&jpeg, &frame, width)
        });
        scaled.await.map_err(|_| ScaleError::Failed("the decoder gave up".into()))?.map(Bytes::from)
    }

    /// Bytes that scaling a JPEG takes at most at once, the JPEG itself aside.
    pub fn memory(jpeg: &[u8], width: u16) -> Result<usize, ScaleError> {
        Ok(pixels::memory(&Frame::read(jpeg)?, jpeg.len(), width))
    }

    /// Waits for so much memory and then for a processor; in this order for everybody, so that nobody waits for another in turn.
    async fn turn(&self, bytes: usize) -> Result<[OwnedSemaphorePermit; 2], ScaleError> {
        let mebibytes = bytes.div_ceil(1 << 20);
        let permits = u32::try_from(mebibytes).ok().filter(|_| mebibytes <= MEMORY);
        let permits = permits.ok_or(ScaleError::TooDear { mebibytes })?;
        let closed = |_| ScaleError::Failed("the gateway stops".into());
        let memory = Arc::clone(&self.memory).acquire_many_owned(permits).await.map_err(closed)?;
        let processor = Arc::clone(&self.processors).acquire_owned().await.map_err(closed)?;
        Ok([memory, processor])
    }
}

/// Why a picture is not made smaller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// Nobody can look at a picture without width.
    #[error("a picture cannot be 0 pixels wide")]
    NoWidth,
    /// It begins as something else.
    #[error("the picture is not a JPEG")]
    NotAJpeg,
    /// It has too many bytes.
    #[error("the picture has {0} bytes, more than {IMAGE_BYTES}")]
    TooLong(usize),
    /// It has too many pixels.
    #[error("the picture has {width} x {height} pixels, more than {IMAGE_PIXELS}")]
    TooLarge {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// It has no pixels.
    #[error("the picture has {width} x {height} pixels")]
    Empty {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// It is coded such that it cannot be decoded piece by piece, and all of it takes too much.
    #[error("scaling the picture takes {mebibytes} MiB, more than {MEMORY}")]
    TooDear {
        /// What it would take.
        mebibytes: usize,
    },
    /// It is a JPEG of a kind that is not read here.
    #[error("the picture cannot be scaled: {0}")]
    Unsupported(&'static str),
    /// It is cut off or damaged.
    #[error("the picture is broken: {0}")]
    Broken(&'static str),
    /// It could not be decoded or encoded.
    #[error("the picture cannot be scaled: {0}")]
    Failed(String),
}
