//! Pictures as lists name them.

use oriel_proto::{CameraId, ImageClass, image::ImageInfo};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Rfc3339;

/// A page of the pictures that a camera keeps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImageList)]
pub struct List<'a> {
    /// The pictures, in the order asked for.
    images: Vec<Image<'a>>,
    /// The cursor of the next page; none on the last one.
    next: Option<String>,
}

/// A picture that a camera keeps.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Image<'a> {
    /// Whose.
    #[schema(value_type = String, example = "porch")]
    camera: &'a CameraId,
    /// preview or main.
    #[schema(value_type = String, example = "preview")]
    class: &'a ImageClass,
    /// When it was taken, by the clock of its device, in whole milliseconds: its name within its series.
    #[schema(value_type = String, format = DateTime)]
    at: Rfc3339,
    /// Its size.
    #[schema(example = 18_211)]
    bytes: u64,
}

impl<'a> Image<'a> {
    pub(super) const fn of(camera: &'a CameraId, image: &'a ImageInfo) -> Self {
        let ImageInfo { class, at, bytes } = image;
        Self { camera, class, at: Rfc3339(*at), bytes: *bytes }
    }
}

impl<'a> List<'a> {
    pub(super) fn of(camera: &'a CameraId, images: &'a [ImageInfo], next: Option<String>) -> Self {
        Self { images: images.iter().map(|image| Image::of(camera, image)).collect(), next }
    }
}
