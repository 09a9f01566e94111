//! What queries of 20 million reads cost, over S3.
//!
//! All batches have the bytes of one: what counts is how many there are of them, and of names.

use std::sync::Arc;

use super::plan::Plan;
use super::{Filter, Reader, Selection};
use crate::codec::Effort;
use crate::dataset::{
    At, Checksum, ChunkEntry, Counts, Dataset, Draft, InputInfo, ObjectRef, Operation, Transaction,
    TransactionId,
};
use crate::pipeline::Progress;
use crate::records::reads::Framer;
use crate::srf::index::{self, ChunkRef};
use crate::srf::manifest::{self, Details, Order, View};
use crate::srf::write::{WriteOptions, write};
use crate::srf::{Fields, ids};
use crate::store::{Credentials, Store, StoreOptions};

const CHUNKS: u64 = 20;
const BATCHES: u64 = 196;
const READS: u64 = 5_120;

fn options() -> WriteOptions {
    let input = InputInfo { name: "x".into(), size_bytes: None, checksum: None, program: None };
    let transaction = TransactionId::from_bytes([7; 16]);
    WriteOptions {
        effort: Effort::Fast,
        ..WriteOptions::new("2026-01-01T00:00:00Z".into(), transaction, vec![input])
    }
}

/// Reads of 150 bases as an Illumina machine names them, whose text fills a batch.
fn text() -> Vec<u8> {
    let mut x = 1_u32;
    let mut below = |bound: u32| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 16) % bound
    };
    let mut text = String::new();
    for read in 0..READS {
        let bases: String = (0..150).map(|_| char::from(b"ACGT"[below(4) as usize])).collect();
        let levels = ['F', 'F', 'F', 'F', 'F', ':', ',', '#'];
        let qualities: String = (0..150).map(|_| levels[below(8) as usize]).collect();
        let x = below(30_000);
        text += &format!("@LH00001:7:22ABCDLT4:1:1101:{x}:{read} 1:N:0:ACGTACGT\n");
        text += &format!("{bases}\n+\n{qualities}\n");
    }
    text.into_bytes()
}

fn open(server: &testkit::s3::Server) -> Store {
    let credentials = Credentials {
        access_key_id: testkit::s3::ACCESS_KEY.into(),
        secret_access_key: testkit::s3::SECRET_KEY.into(),
        session_token: None,
    };
    let options = StoreOptions {
        endpoint_url: Some(server.endpoint()),
        region: Some("us-east-1".into()),
        credentials: Some(credentials),
        ..StoreOptions::default()
    };
    Store::open(&format!("s3://{}/reads.srf", testkit::s3::BUCKET), &options).unwrap()
}

/// A dataset of one batch, and how it is described.
fn one_batch() -> (ChunkRef, Vec<u8>, index::Buffers, Details) {
    let store = Store::in_memory();
    let framers = || Ok(vec![Framer::new(Box::new(std::io::Cursor::new(text())), "x")?]);
    write(framers, &store, &options(), &Arc::new(Progress::default())).unwrap();
    let dataset = Dataset::open(&store, At::Newest).unwrap();
    let details = Details::read(dataset.manifest()).unwrap();
    assert_eq!(details.input_order.batch_count, 1);
    let objects = &dataset.manifest().objects;
    let object = |kind| &objects.iter().find(|object| object.kind == kind).unwrap().path;
    let page = store.get(object(manifest::BATCHES_KIND)).unwrap();
    let chunk = ChunkRef::parse(&page, 1).unwrap();
    let columns = store.get(object(manifest::COLUMNS_KIND)).unwrap();
    let plan = Plan::all(&store, &details, objects, Fields::TEXT, Order::None).unwrap();
    let shape = plan.tasks[0].shape(&details, Order::None);
    let buffers = index::parse_columns(&columns, 1, shape.buffer_count()).unwrap().remove(0);
    let entry = &chunk.batches[0];
    let bytes = store.get(&chunk.path).unwrap();
    let message = bytes[entry.offset as usize..][..entry.size as usize].to_vec();
    (chunk, message, buffers, details)
}

/// Twenty chunks of that batch at the store.
fn fill(store: &Store) {
    let (one, message, buffers, details) = one_batch();
    let transaction = Transaction::for_output(store, false, options().transaction).unwrap();
    let path = transaction.path("chunks", "0000000000-0001003519", "srf").unwrap();
    let bytes = message.repeat(BATCHES as usize);
    let entry = ChunkEntry::new(&path, &bytes, Counts::new());
    store.put(&path, bytes.into()).unwrap();
    let mut chunk = ChunkRef { path, fixed: one.fixed, batches: Vec::new() };
    for batch in 0..BATCHES {
        let mut entry = one.batches[0].clone();
        entry.offset = batch * u64::from(entry.size);
        chunk.batches.push(entry);
    }
    let (mut batches, mut columns, mut view) = (Vec::new(), Vec::new(), View::default());
    let buffers = vec![buffers; BATCHES as usize];
    let mut names = ids::Builder::new(2);
    for number in 0..CHUNKS {
        view.batches.push(chunk.push(&mut batches));
        view.columns.push(index::push_columns(&buffers, &mut columns));
        for read in 0..BATCHES * READS {
            let read = number * BATCHES * READS + read;
            names.push(ids::hash(&read.to_le_bytes()), read / READS).unwrap();
        }
    }
    // A name that is in the batches, in one of them.
    let name = text().split(|&byte| byte == b' ').next().unwrap()[1..].to_vec();
    names.push(ids::hash(&name), 3_000).unwrap();
    let (names, read_ids) = names.finish(CHUNKS * BATCHES).unwrap();
    let mut objects: Vec<ObjectRef> = Vec::new();
    for (kind, bytes) in [
        (manifest::BATCHES_KIND, batches),
        (manifest::COLUMNS_KIND, columns),
        (manifest::IDS_KIND, names),
    ] {
        let path = transaction.path("_index", kind, "idx").unwrap();
        let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
        store.put(&path, bytes.into()).unwrap();
        objects.push(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum });
    }
    view.batch_count = CHUNKS * BATCHES;
    view.chunk_count = CHUNKS;
    let details =
        Details { total_reads: CHUNKS * BATCHES * READS, input_order: view, read_ids, ..details };
    let draft = Draft {
        format: manifest::FORMAT.to_owned(),
        version: manifest::VERSION.to_owned(),
        operation: Operation::Create,
        keep_chunks: false,
        created: options().created,
        inputs: Vec::new(),
        fields: details.to_fields().unwrap(),
        objects,
        chunks: vec![entry],
        required_features: Vec::new(),
    };
    transaction.commit(draft).unwrap();
}

#[test]
fn test_queries_of_twenty_million_reads_take_three_trips_and_few_bytes() {
    let server = testkit::s3::Server::start().unwrap();
    fill(&open(&server));
    server.set_latency(std::time::Duration::from_millis(20));
    let ask = |selection: Selection, fields: Fields| {
        server.clear_log();
        let filter = Filter::default();
        let reader = Reader::open_for(&open(&server), At::Newest, selection, filter, fields);
        let reader = reader.unwrap();
        assert!(reader.details().total_reads >= 20_000_000);
        let stats = reader.scan(2, None, |_| Ok(()), Ok).unwrap();
        assert!(server.dependent_round_trips() <= 3, "{:?}", server.log());
        assert!(server.bytes_sent() < 3 << 19, "{} bytes of {stats:?}", server.bytes_sent());
        (stats.reads, stats.batches)
    };
    for first in [1_000_000, 5_119, 19_999_000, 12_345_678] {
        let numbers = Selection::Numbers(std::iter::once(first..first + 1000).collect());
        let (reads, batches) = ask(numbers, Fields::TEXT);
        assert_eq!(reads, 1000);
        assert!(batches <= 2);
    }
    let name = String::from_utf8(text()).unwrap();
    let name = name.split(' ').next().unwrap()[1..].to_owned();
    let (reads, batches) = ask(Selection::Names(vec![name]), Fields::TEXT);
    assert_eq!(reads, batches);
    assert!((1..=2).contains(&batches));
}
