//! Event files of TensorBoard: scalars, pictures and the parameters of each cell.
//!
//! An event file is a TFRecord: each record has its length, a masked CRC-32C of the length, the bytes, and
//! a masked CRC-32C of those (`tensorflow/core/lib/io/record_writer.cc`). The bytes are a protocol buffer
//! `Event` (`tensorflow/core/util/event.proto`), of which a few fields are written here by hand.

use std::path::Path;

use sconce_core::Store;

use super::Exported;
use crate::failure::Failure;
use crate::watch::curves::Per;

/// Pictures of an output that are exported, and their largest size in bytes.
const PICTURES: usize = 20;
const LARGEST: u64 = 8 << 20;

pub(super) fn write(store: &Store, cells: &[Exported], out: &Path) -> Result<(), Failure> {
    for cell in cells {
        let folder = out.join(cell.id.file_name());
        std::fs::create_dir_all(&folder)?;
        let name = format!("events.out.tfevents.{:010}.sconce", cell.started() as u64);
        std::fs::write(folder.join(name), events(store, cell)?)?;
    }
    Ok(())
}

/// The records of a cell.
fn events(store: &Store, cell: &Exported) -> Result<Vec<u8>, Failure> {
    let (began, ended) = (cell.started(), cell.ended());
    let mut records = Vec::new();
    let mut version = Message::default();
    version.double(1, began);
    version.bytes(3, b"brain.Event:2");
    record(&mut records, &version.0);
    let mut add = |time: f64, step: i64, value: &Message| {
        let mut summary = Message::default();
        summary.bytes(1, &value.0);
        let mut event = Message::default();
        event.double(1, time);
        event.number(2, step as u64);
        event.bytes(5, &summary.0);
        record(&mut records, &event.0);
    };
    for curve in &cell.curves {
        let per = match curve.per {
            Per::Step => "step",
            Per::Epoch => "epoch",
        };
        let tag = format!("{per}/{}", curve.name);
        for (place, &(step, value)) in curve.points.iter().enumerate() {
            add(cell.time(curve, place), step as i64, &scalar(&tag, value));
        }
    }
    let Some(receipt) = &cell.receipt else { return Ok(records) };
    for (name, value) in &receipt.metrics {
        add(ended, 0, &scalar(&format!("metrics/{name}"), *value));
    }
    add(ended, 0, &text("parameters", &markdown(&cell.parameters)));
    for (name, output) in cell.outputs() {
        let pictures = store.tree(&output.digest)?.into_iter();
        let pictures = pictures.filter(|(file, member)| {
            file.to_ascii_lowercase().ends_with(".png") && member.size <= LARGEST
        });
        for (file, _) in pictures.take(PICTURES) {
            let Some((_, path)) = store.file(&output.digest, &file)? else { continue };
            let bytes = std::fs::read(path)?;
            if let Some(size) = png_size(&bytes) {
                add(ended, 0, &picture(&format!("{name}/{file}"), size, &bytes));
            }
        }
    }
    Ok(records)
}

fn scalar(tag: &str, value: f64) -> Message {
    let mut message = Message::default();
    message.bytes(1, tag.as_bytes());
    message.float(2, value as f32);
    message
}

fn picture(tag: &str, [width, height]: [u32; 2], png: &[u8]) -> Message {
    let mut image = Message::default();
    image.number(1, height.into());
    image.number(2, width.into());
    // Red, green, blue and opacity; the file says what it has.
    image.number(3, 4);
    image.bytes(4, png);
    let mut message = Message::default();
    message.bytes(1, tag.as_bytes());
    message.bytes(4, &image.0);
    message
}

/// Markdown for the plugin `text`: a tensor of one string.
fn text(tag: &str, markdown: &str) -> Message {
    const STRING: u64 = 7;
    let mut plugin = Message::default();
    plugin.bytes(1, b"text");
    let mut metadata = Message::default();
    metadata.bytes(1, &plugin.0);
    let mut dimension = Message::default();
    dimension.number(1, 1);
    let mut shape = Message::default();
    shape.bytes(2, &dimension.0);
    let mut tensor = Message::default();
    tensor.number(1, STRING);
    tensor.bytes(2, &shape.0);
    tensor.bytes(8, markdown.as_bytes());
    let mut message = Message::default();
    message.bytes(1, tag.as_bytes());
    message.bytes(9, &metadata.0);
    message.bytes(8, &tensor.0);
    message
}

fn markdown(parameters: &[(String, String)]) -> String {
    let mut text = "parameter | value\n---|---\n".to_owned();
    for (name, value) in parameters {
        let value = value.replace('|', "\\|").replace('\n', " ");
        text += &format!("{name} | `{}`\n", value.replace('`', "'"));
    }
    text
}

/// Width and height of a PNG, from its first chunk.
fn png_size(bytes: &[u8]) -> Option<[u32; 2]> {
    let rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let chunk = rest.get(4..16)?.strip_prefix(b"IHDR")?;
    let (width, height) = chunk.split_at_checked(4)?;
    Some([u32::from_be_bytes(width.try_into().ok()?), u32::from_be_bytes(height.try_into().ok()?)])
}

/// A protocol buffer that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

/// Adds a record of a TFRecord file.
fn record(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    to.extend(length);
    to.extend(masked(crc32c(&length)).to_le_bytes());
    to.extend(bytes);
    to.extend(masked(crc32c(bytes)).to_le_bytes());
}

/// TFRecord's mask, so that checksums of records that hold checksums are no trouble.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli): reflected polynomial 0x82f63b78, all bits inverted before and after.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut crc, mut bit) = (byte as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| crc >> 8 ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli_s() {
        // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn a_record_is_as_tensorflow_s_own() {
        // tensorboard.summary.writer.record_writer.RecordWriter, tensorboard 2.21.0:
        // w = RecordWriter(f); w.write(b"sconce")
        let mut bytes = Vec::new();
        record(&mut bytes, b"sconce");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, RECORD);
    }

    #[test]
    fn an_event_is_as_tensorboard_s_own() {
        // Event(wall_time=1.5, step=300, summary=Summary(value=[Summary.Value(tag="a", simple_value=0.25)]))
        // .SerializeToString() of tensorboard 2.21.0
        let mut summary = Message::default();
        summary.bytes(1, &scalar("a", 0.25).0);
        let mut event = Message::default();
        event.double(1, 1.5);
        event.number(2, 300);
        event.bytes(5, &summary.0);
        let hex: String = event.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, EVENT);
    }

    const RECORD: &str = "06000000000000007369d53773636f6e6365adccfabb";
    const EVENT: &str = "09000000000000f83f10ac022a0a0a080a0161150000803e";

    #[test]
    fn a_png_tells_its_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0, 0, 1, 0, 0, 0, 0, 7]);
        assert_eq!(png_size(&png), Some([256, 7]));
        assert_eq!(png_size(&png[..20]), None);
        assert_eq!(png_size(b"GIF89a"), None);
    }
}
