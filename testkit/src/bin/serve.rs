//! `serve DIR [--port P] [--latency-ms N] [--log FILE]`: the plain web server of the tests, for
//! measurements by other programs; with `--s3` in place of DIR the S3 server, whose buckets are
//! empty. Prints its URL, and runs until it is killed.

use std::{env, error::Error, fs::File, io::Write, thread, time::Duration};

use testkit::{http::Server, s3, server::Control};

fn main() -> Result<(), Box<dyn Error>> {
    let mut folder = None;
    let (mut port, mut latency, mut log, mut speaks_s3) = (0, 0, None, false);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--port" => port = value()?.parse()?,
            "--latency-ms" => latency = value()?.parse()?,
            "--log" => log = Some(File::create(value()?)?),
            "--s3" => speaks_s3 = true,
            _ => folder = Some(arg),
        }
    }
    if speaks_s3 {
        let server = s3::Server::start()?;
        server.set_latency(Duration::from_millis(latency));
        println!("{}", server.endpoint());
        return run(&server, log);
    }
    let folder = folder.ok_or("usage: serve DIR [--port P] [--latency-ms N] [--log FILE]")?;
    let server = Server::start_on(folder, port)?;
    server.set_latency(Duration::from_millis(latency));
    println!("{}", server.url());
    run(&server, log)
}

fn run(server: &Control, log: Option<File>) -> Result<(), Box<dyn Error>> {
    match log {
        Some(file) => write_log(server, file),
        None => loop {
            thread::park();
        },
    }
}

/// Writes finished requests as lines of tab-separated method, path, range, status, bytes, start
/// and end in microseconds since the first request.
fn write_log(server: &Control, mut file: File) -> Result<(), Box<dyn Error>> {
    let mut written = 0;
    loop {
        let log = server.log();
        while let Some(logged) = log.get(written)
            && let Some(end) = logged.end
        {
            let since = |time| {
                log.first().map_or(0, |f| {
                    std::time::Instant::saturating_duration_since(&time, f.start).as_micros()
                })
            };
            writeln!(
                file,
                "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                logged.method,
                logged.path,
                logged.range.as_deref().unwrap_or("-"),
                logged.status,
                logged.bytes,
                since(logged.start),
                since(end),
            )?;
            written += 1;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
