//! How the bytes of a part are packed: `_codecSpec` and its stack of buffers.

use serde_json::Value;

use super::encoded::EType;
use super::types::VType;
use crate::error::{Context, Error, Result};

/// The greatest size of a block that Hail writes.
const MAX_BLOCK: usize = 1 << 16;

/// A component's types and packing.
#[derive(Clone, Debug)]
pub(super) struct Codec {
    pub(super) encoded: EType,
    pub(super) of: VType,
    pub(super) buffers: BufferSpec,
}

/// A stack of buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BufferSpec {
    /// Integers are varints.
    pub(super) leb128: bool,
    /// Blocks; without them the file itself is the stream.
    pub(super) framing: Option<Framing>,
}

/// How the stream is cut into blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    /// No block inflates to more.
    pub(super) block_size: usize,
    pub(super) codec: BlockCodec,
    /// Sizes of blocks are varints, else 4 bytes.
    pub(super) varint_sizes: bool,
}

/// What packs a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockCodec {
    Stored,
    Zstd,
    Lz4,
    /// LZ4, but for small blocks, which are stored.
    Lz4BySize,
}

impl Codec {
    /// Reads a `_codecSpec`.
    pub(super) fn parse(spec: &Value) -> Result<Self> {
        let name = text(spec, "name")?;
        if name != "TypedCodecSpec" {
            return Err(Error::unsupported(format!("the codec {name:?} is not known")));
        }
        let codec = Self {
            encoded: EType::parse(text(spec, "_eType")?)?,
            of: VType::parse(text(spec, "_vType")?).at(|| "_vType")?,
            buffers: BufferSpec::parse(member(spec, "_bufferSpec")?)?,
        };
        codec.encoded.check(&codec.of).at(|| "_eType")?;
        Ok(codec)
    }

    /// Reads the codec of before 0.2.24, for rows of the type that `row_type` spells.
    pub(super) fn parse_legacy(spec: &Value, row_type: &str) -> Result<Self> {
        let name = text(spec, "name")?;
        if name != "PackCodecSpec" && !name.ends_with(".PackCodecSpec") {
            return Err(Error::unsupported(format!("the codec {name:?} is not known")));
        }
        let (of, mut encoded) = VType::parse_legacy(row_type)?;
        encoded.required = true;
        let buffers = BufferSpec::parse(member(spec, "child")?)?;
        Ok(Self { encoded, of, buffers })
    }

    /// The codec in a line: what packs blocks, and how integers are written.
    pub(super) fn name(&self) -> String {
        let integers = if self.buffers.leb128 { ", LEB128 integers" } else { "" };
        match &self.buffers.framing {
            None => format!("no blocks{integers}"),
            Some(framing) => {
                let codec = match framing.codec {
                    BlockCodec::Stored => "stored",
                    BlockCodec::Zstd => "zstd",
                    BlockCodec::Lz4 => "LZ4",
                    BlockCodec::Lz4BySize => "LZ4 by size",
                };
                format!("{codec}, blocks of {} bytes{integers}", framing.block_size)
            }
        }
    }
}

impl BufferSpec {
    /// Reads a stack of buffers, from the outside in.
    pub(super) fn parse(spec: &Value) -> Result<Self> {
        let mut spec = spec;
        let mut name = class(spec)?;
        let leb128 = name == "LEB128BufferSpec";
        if leb128 {
            spec = member(spec, "child")?;
            name = class(spec)?;
        }
        match name {
            "StreamBufferSpec" => return Ok(Self { leb128, framing: None }),
            "BlockingBufferSpec" => {}
            other => return Err(unknown(other)),
        }
        let block_size = size(spec)?;
        spec = member(spec, "child")?;
        let codec = match class(spec)? {
            "ZstdBlockBufferSpec" => Some(BlockCodec::Zstd),
            "LZ4BlockBufferSpec" | "LZ4HCBlockBufferSpec" | "LZ4FastBlockBufferSpec" => {
                Some(BlockCodec::Lz4)
            }
            "LZ4SizeBasedBlockBufferSpec" => Some(BlockCodec::Lz4BySize),
            _ => None,
        };
        if codec.is_some() {
            spec = member(spec, "child")?;
        }
        let varint_sizes = match class(spec)? {
            "StreamBlockBufferSpec" => false,
            "StreamBlockBufferSpec2" => true,
            other => return Err(unknown(other)),
        };
        let codec = codec.unwrap_or(BlockCodec::Stored);
        Ok(Self { leb128, framing: Some(Framing { block_size, codec, varint_sizes }) })
    }
}

fn unknown(name: &str) -> Error {
    Error::unsupported(format!("the buffer {name:?} is not known"))
        .help("read the table with Hail and write it again")
        .at("_bufferSpec")
}

fn size(spec: &Value) -> Result<usize> {
    let size = member(spec, "blockSize")?.as_u64().and_then(|size| usize::try_from(size).ok());
    size.filter(|size| (1..=MAX_BLOCK).contains(size)).ok_or_else(|| {
        Error::input("a block size is out of range")
            .expected(format!("1 to {MAX_BLOCK}"))
            .found(&spec["blockSize"])
            .at("_bufferSpec")
    })
}

/// The name of a spec; old ones begin with a Java package.
fn class(spec: &Value) -> Result<&str> {
    let name = text(spec, "name")?;
    Ok(name.rsplit('.').next().unwrap_or(name))
}

/// A member of a JSON object.
pub(super) fn member<'a>(object: &'a Value, name: &str) -> Result<&'a Value> {
    object.get(name).ok_or_else(|| Error::input(format!("the metadata has no member {name:?}")))
}

/// A member that is text.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    let value = member(object, name)?;
    value.as_str().ok_or_else(|| {
        let shown: String = value.to_string().chars().take(40).collect();
        Error::input(format!("the member {name:?} of the metadata is no text")).found(shown)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stack(names: &[&str]) -> Value {
        let of = |child: Option<Value>, name: &&str| {
            Some(json!({ "name": name, "blockSize": 65_536, "child": child }))
        };
        names.iter().rev().fold(None, of).unwrap()
    }

    #[test]
    fn test_parse_reads_every_stack() {
        let parse = |names: &[&str]| BufferSpec::parse(&stack(names)).unwrap();
        let zstd = parse(&[
            "LEB128BufferSpec",
            "BlockingBufferSpec",
            "ZstdBlockBufferSpec",
            "StreamBlockBufferSpec",
        ]);
        let framing = Framing { block_size: 65_536, codec: BlockCodec::Zstd, varint_sizes: false };
        assert_eq!(zstd, BufferSpec { leb128: true, framing: Some(framing) });
        let plain = parse(&["BlockingBufferSpec", "StreamBlockBufferSpec2"]);
        assert!(!plain.leb128 && plain.framing.unwrap().varint_sizes);
        assert_eq!(parse(&["is.hail.io.StreamBufferSpec"]).framing, None);
    }

    #[test]
    fn test_parse_refuses_unknown_stacks_by_name() {
        for names in [
            &["ZstdSizedBasedBlockBufferSpec"][..],
            &["BlockingBufferSpec", "SnappyBlockBufferSpec", "StreamBlockBufferSpec"],
        ] {
            let error = BufferSpec::parse(&stack(names)).unwrap_err();
            assert!(names.iter().any(|name| error.to_string().contains(name)), "{error}");
        }
        let huge = json!({ "name": "BlockingBufferSpec", "blockSize": 1_u64 << 40 });
        assert!(BufferSpec::parse(&huge).is_err());
    }
}
