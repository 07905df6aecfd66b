//! Images, inline.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use crate::report::widgets::absent;
use crate::summary::{Picture, Reconstruction};

/// Largest side, in pixels, of an image that is drawn.
const LARGEST: usize = 512;

/// What stands for NaN: red, green, blue.
const NAN: [u8; 3] = [255, 0, 255];

pub(in crate::report) fn gallery(pictures: &[Picture]) -> Markup {
    html! { ul.gallery { @for picture in pictures { li { (figure(picture)) } } } }
}

pub(in crate::report) fn reconstructions(list: &[Reconstruction]) -> Markup {
    let cell = |label: &str, picture: Option<&Picture>| {
        html! { div { p.soft { (label) } @match picture { Some(picture) => (figure(picture)), None => (absent("none")) } } }
    };
    html! {
        @if list.is_empty() { (absent("No reconstruction was given.")) }
        @else {
            p.lead {
                "What inversion made of each class, beside the mean of members it never saw. "
                "The more a reconstruction looks like the mean, the more the model gives away."
            }
            ul.reconstructions {
                @for one in list {
                    li {
                        h3 { (one.class) }
                        div.trio {
                            (cell("class mean", Some(&one.mean)))
                            (cell("undefended", one.undefended.as_ref()))
                            (cell("defended", one.defended.as_ref()))
                        }
                    }
                }
            }
        }
    }
}

fn figure(picture: &Picture) -> Markup {
    html! {
        figure.picture {
            @match bitmap(picture) {
                Some(bytes) => img src={ "data:image/bmp;base64," (STANDARD.encode(bytes)) } alt=(picture.caption)
                    width=(picture.shape[2]) height=(picture.shape[1]);,
                None => p.absent { "An image of shape " (format!("{:?}", picture.shape)) " and " (picture.values.len()) " values cannot be drawn." },
            }
            @if !picture.caption.is_empty() { figcaption { (picture.caption) } }
        }
    }
}

/// A bitmap of 24 bits per pixel: every browser reads it and it needs neither compression nor checksum.
///
/// None when the values do not fill the shape, or a side is 0 or above [`LARGEST`].
fn bitmap(picture: &Picture) -> Option<Vec<u8>> {
    let [channels, height, width] = picture.shape;
    let sides = 1..=LARGEST;
    let size = channels.checked_mul(height)?.checked_mul(width)?;
    if channels == 0 || !sides.contains(&height) || !sides.contains(&width) || picture.values.len() != size {
        return None;
    }
    let stride = (3 * width).next_multiple_of(4);
    let mut bytes = header(width, height, stride)?;
    for row in (0..height).rev() {
        for column in 0..width {
            let channel = |channel: usize| picture.values[(channel * height + row) * width + column];
            let [red, green, blue] = if channels == 3 { [0, 1, 2].map(channel) } else { [channel(0); 3] };
            bytes.extend(colour(red, green, blue).iter().rev());
        }
        bytes.resize(bytes.len() + stride - 3 * width, 0);
    }
    Some(bytes)
}

fn colour(red: f32, green: f32, blue: f32) -> [u8; 3] {
    let values = [red, green, blue];
    if values.iter().any(|value| value.is_nan()) {
        return NAN;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 ..= 255 just before")]
    values.map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// `BITMAPFILEHEADER` and `BITMAPINFOHEADER`.
fn header(width: usize, height: usize, stride: usize) -> Option<Vec<u8>> {
    const OFFSET: u32 = 54;
    let pixels = u32::try_from(stride * height).ok()?;
    let mut bytes = b"BM".to_vec();
    for field in [OFFSET + pixels, 0, OFFSET, 40, u32::try_from(width).ok()?, u32::try_from(height).ok()?] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(24_u16.to_le_bytes());
    for field in [0, pixels, 2835, 2835, 0, 0] {
        bytes.extend(u32::to_le_bytes(field));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(shape: [usize; 3], values: Vec<f32>) -> Picture {
        Picture { shape, values, caption: String::new() }
    }

    #[test]
    fn a_bitmap_holds_the_pixels_bottom_row_first() {
        let bytes = bitmap(&picture([1, 2, 1], vec![0.0, 1.0])).unwrap();
        assert_eq!(bytes.len(), 54 + 2 * 4);
        assert_eq!(&bytes[54..], [255, 255, 255, 0, 0, 0, 0, 0]);
        assert_eq!(u32::from_le_bytes(bytes[2..6].try_into().unwrap()), 62);
    }

    #[test]
    fn colours_are_blue_green_red_and_what_is_no_number_stands_out() {
        let bytes = bitmap(&picture([3, 1, 1], vec![1.0, 0.5, -3.0])).unwrap();
        assert_eq!(&bytes[54..57], [0, 128, 255]);
        let bytes = bitmap(&picture([1, 1, 1], vec![f32::NAN])).unwrap();
        assert_eq!(&bytes[54..57], [255, 0, 255]);
    }

    #[test]
    fn what_does_not_fill_its_shape_is_not_drawn() {
        for bad in [
            picture([1, 2, 2], vec![0.0; 3]),
            picture([0, 1, 1], vec![]),
            picture([1, 0, 1], vec![]),
            picture([1, 1, 513], vec![0.0; 513]),
            picture([usize::MAX, 2, 2], vec![]),
        ] {
            assert!(bitmap(&bad).is_none(), "{:?}", bad.shape);
        }
    }
}
