//! What both test servers share: a loopback listener, a log of every request, added latency and
//! faults on demand.

use std::{
    collections::HashMap,
    error::Error,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{self, Poll},
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    header,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, runtime::Runtime};

/// An error of a handler; it cuts the connection.
pub type BoxError = Box<dyn Error + Send + Sync>;
/// The body of an answer.
pub type BoxBody = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// `GET`, `HEAD`, `PUT`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What follows the `?`, if anything.
    pub query: Option<String>,
    /// The headers, in lower case, as far as they are text.
    pub headers: HashMap<String, String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// The status answered; 0 while there is none, or when the reply was lost on purpose.
    pub status: u16,
    /// Bytes of the body handed to the connection so far.
    pub bytes: u64,
    /// When the request had arrived.
    pub start: Instant,
    /// When the last byte of the answer was handed to the connection: a request that depends on
    /// the answer cannot start earlier.
    pub end: Option<Instant>,
}

/// What to do to a request instead of answering it properly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Do what is asked, then cut the connection without an answer.
    LoseReply,
    /// Do nothing, and answer with this status.
    Answer(u16),
    /// Cut the connection after this many bytes of the answer's body.
    CutBody(u64),
    /// Do nothing, and answer as S3 does to those who ask too often: 503 SlowDown.
    SlowDown,
    /// Do nothing, and answer as S3 does of an object in an archive.
    Archived,
    /// Wait so long, then answer properly.
    Delay(Duration),
    /// Do what is asked twice, as when a request was sent again, and give the second answer.
    Duplicate,
    /// Send no more than so many bytes of the answer's body, and say that these are all.
    Truncate(u64),
    /// Change one bit in the middle of the answer's body.
    Corrupt,
    /// Change one bit in the middle of the request's body before it is served.
    CorruptUpload,
}

struct Rule {
    method: String,
    path: String,
    fault: Fault,
    times: u32,
}

/// The controls of a running server.
#[derive(Default)]
pub struct Control {
    log: Mutex<Vec<Logged>>,
    rules: Mutex<Vec<Rule>>,
    latency: Mutex<Duration>,
    served_until_death: Mutex<Option<u64>>,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    /// Every request since the start or the last [`Self::clear_log`], in order of arrival.
    pub fn log(&self) -> Vec<Logged> {
        lock(&self.log).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        lock(&self.log).clear();
    }

    /// Waits so long before every answer.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.latency) = latency;
    }

    /// Applies `fault` to the next `times` requests with this method whose path contains `path`.
    pub fn fail(&self, method: &str, path: &str, fault: Fault, times: u32) {
        let (method, path) = (method.to_owned(), path.to_owned());
        lock(&self.rules).push(Rule { method, path, fault, times });
    }

    /// Forgets the faults that were asked for and did not come about.
    pub fn heal(&self) {
        lock(&self.rules).clear();
    }

    /// Serves so many more requests, then refuses all with status 403, which no client repeats: what
    /// is stored is what a client leaves that dies at this point. `None` serves all again.
    pub fn die_after(&self, requests: Option<u64>) {
        *lock(&self.served_until_death) = requests;
    }

    fn is_dead(&self) -> bool {
        match &mut *lock(&self.served_until_death) {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// Bytes of bodies sent since the log was cleared.
    pub fn bytes_sent(&self) -> u64 {
        lock(&self.log).iter().map(|request| request.bytes).sum()
    }

    /// The longest chain of requests each of which began after the one before had been answered.
    pub fn dependent_round_trips(&self) -> u64 {
        dependent_round_trips(&lock(&self.log))
    }

    fn take_fault(&self, method: &str, path: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| {
            rule.times > 0 && rule.method == method && path.contains(rule.path.as_str())
        })?;
        rule.times -= 1;
        Some(rule.fault)
    }

    fn turn(&self, path: &str) -> Arc<tokio::sync::Mutex<()>> {
        lock(&self.turns).entry(path.to_owned()).or_default().clone()
    }
}

/// As [`Control::dependent_round_trips`], of a given log.
pub fn dependent_round_trips(log: &[Logged]) -> u64 {
    let mut order: Vec<&Logged> = log.iter().collect();
    order.sort_by_key(|request| request.start);
    let mut depths: Vec<u64> = Vec::with_capacity(order.len());
    for (i, request) in order.iter().enumerate() {
        let before = order[..i].iter().zip(&depths);
        let ended = before.filter(|(earlier, _)| earlier.end.is_some_and(|e| e <= request.start));
        depths.push(1 + ended.map(|(_, &depth)| depth).max().unwrap_or(0));
    }
    depths.into_iter().max().unwrap_or(0)
}

/// A listener on loopback and the threads that serve it; dropping it ends the server.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<Control>,
    runtime: Option<Runtime>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Serves `handle` on `port` of loopback, or on any free port for 0.
pub(crate) fn listen<H, F>(port: u16, handle: H) -> std::io::Result<Listener>
where
    H: Fn(Request<BoxBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<BoxBody>, BoxError>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("test-server")
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port)))?;
    let address = listener.local_addr()?;
    let control = Arc::new(Control::default());
    let shared = control.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Without it, an answer in two writes waits for the client's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
            let (handle, control) = (handle.clone(), shared.clone());
            let service =
                service_fn(move |request| serve(control.clone(), handle.clone(), request));
            tokio::spawn(async move {
                // A connection that breaks concerns its client only.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(Listener { address, control, runtime: Some(runtime) })
}

async fn serve<H, F>(
    control: Arc<Control>,
    handle: H,
    request: Request<Incoming>,
) -> Result<Response<BoxBody>, BoxError>
where
    H: Fn(Request<BoxBody>) -> F,
    F: Future<Output = Result<Response<BoxBody>, BoxError>>,
{
    let start = Instant::now();
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
    let range = header(header::RANGE).map(str::to_owned);
    let headers = request.headers().iter();
    let headers = headers
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let conditional = header(header::IF_NONE_MATCH).is_some() && method == "PUT";
    let index = {
        let mut log = lock(&control.log);
        log.push(Logged {
            method: method.clone(),
            path: path.clone(),
            query: request.uri().query().map(str::to_owned),
            headers,
            range,
            status: 0,
            bytes: 0,
            start,
            end: None,
        });
        log.len() - 1
    };
    let entry = Entry { control: control.clone(), index, start };

    let latency = *lock(&control.latency);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let fault = match control.is_dead() {
        true => Some(Fault::Answer(403)),
        false => control.take_fault(&method, &path),
    };
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let request = request.map(|body| BoxBody::new(body.map_err(BoxError::from)));
    let request = match fault {
        Some(Fault::CorruptUpload) => changed(request).await?,
        _ => request,
    };
    let answer = match fault {
        Some(Fault::Answer(status)) => {
            refusal(StatusCode::from_u16(status)?, "a fault was asked for")
        }
        Some(Fault::SlowDown) => {
            let said = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.\
                        </Message></Error>";
            refusal(StatusCode::SERVICE_UNAVAILABLE, said)
        }
        Some(Fault::Archived) => {
            let said = "<Error><Code>InvalidObjectState</Code><Message>The operation is not valid \
                        for the object's storage class</Message></Error>";
            refusal(StatusCode::FORBIDDEN, said)
        }
        Some(Fault::Duplicate) => {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let again = || Request::from_parts(head.clone(), whole(body.clone()));
            handle(again()).await?.into_body().collect().await?;
            handle(again()).await?
        }
        _ if conditional => {
            // The S3 server checks and then renames, so that two creators could both win.
            let turn = control.turn(&path);
            let _turn = turn.lock().await;
            handle(request).await?
        }
        _ => handle(request).await?,
    };
    if fault == Some(Fault::LoseReply) {
        entry.update(|logged| logged.end = Some(Instant::now()));
        return Err("the reply was lost on purpose".into());
    }
    let answer = match fault {
        Some(Fault::Truncate(most)) => {
            shown(answer, |bytes| {
                let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
                bytes.truncate(most);
            })
            .await?
        }
        Some(Fault::Corrupt) => shown(answer, |bytes| flip(bytes)).await?,
        _ => answer,
    };
    let status = answer.status().as_u16();
    let empty = method == "HEAD" || answer.body().size_hint().exact() == Some(0);
    entry.update(|logged| {
        logged.status = status;
        logged.end = empty.then(Instant::now);
    });
    let cut = match fault {
        Some(Fault::CutBody(after)) => Some(after),
        _ => None,
    };
    Ok(answer.map(|body| BoxBody::new(LoggedBody { body, entry, cut })))
}

/// A body that is known already.
pub(crate) fn text(text: &'static str) -> BoxBody {
    whole(Bytes::from_static(text.as_bytes()))
}

fn refusal(status: StatusCode, said: &'static str) -> Response<BoxBody> {
    let mut answer = Response::new(text(said));
    *answer.status_mut() = status;
    answer
}

fn whole(bytes: Bytes) -> BoxBody {
    BoxBody::new(http_body_util::Full::new(bytes).map_err(|e| match e {}))
}

/// An answer with another body, whose length it says.
async fn shown(
    answer: Response<BoxBody>,
    change: impl FnOnce(&mut Vec<u8>),
) -> Result<Response<BoxBody>, BoxError> {
    let (mut head, body) = answer.into_parts();
    let mut bytes = body.collect().await?.to_bytes().to_vec();
    change(&mut bytes);
    head.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
    Ok(Response::from_parts(head, whole(bytes.into())))
}

/// A request with a bit changed in the middle of its body.
async fn changed(request: Request<BoxBody>) -> Result<Request<BoxBody>, BoxError> {
    let (head, body) = request.into_parts();
    let mut bytes = body.collect().await?.to_bytes().to_vec();
    flip(&mut bytes);
    Ok(Request::from_parts(head, whole(bytes.into())))
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
}

/// The place of a request in the log, which may have been cleared since.
struct Entry {
    control: Arc<Control>,
    index: usize,
    start: Instant,
}

impl Entry {
    fn update(&self, change: impl FnOnce(&mut Logged)) {
        let mut log = lock(&self.control.log);
        if let Some(logged) = log.get_mut(self.index).filter(|logged| logged.start == self.start) {
            change(logged);
        }
    }
}

/// Counts what is sent, and cuts it short on request.
struct LoggedBody {
    body: BoxBody,
    entry: Entry,
    cut: Option<u64>,
}

impl Body for LoggedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut == Some(0) {
            return Poll::Ready(Some(Err("cut on purpose".into())));
        }
        let frame = task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let frame = match (frame, self.cut) {
            (Some(Ok(frame)), Some(left)) => match frame.into_data() {
                Ok(mut data) => {
                    data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    self.cut = Some(left - data.len() as u64);
                    Some(Ok(Frame::data(data)))
                }
                Err(frame) => Some(Ok(frame)),
            },
            (frame, _) => frame,
        };
        let sent = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => 0,
        };
        let ended = frame.is_none() || self.body.is_end_stream();
        self.entry.update(|logged| {
            logged.bytes += sent;
            if ended && logged.end.is_none() {
                logged.end = Some(Instant::now());
            }
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.cut != Some(0) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for LoggedBody {
    fn drop(&mut self) {
        self.entry.update(|logged| {
            logged.end.get_or_insert_with(Instant::now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_round_trips_follow_from_times() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let request = |start, end| Logged {
            method: "GET".into(),
            path: "/".into(),
            query: None,
            headers: HashMap::new(),
            range: None,
            status: 200,
            bytes: 0,
            start: at(start),
            end: Some(at(end)),
        };
        assert_eq!(dependent_round_trips(&[]), 0);
        let parallel = [request(0, 10), request(1, 11), request(2, 12)];
        assert_eq!(dependent_round_trips(&parallel), 1);
        let chained = [request(0, 10), request(1, 30), request(11, 20), request(21, 30)];
        assert_eq!(dependent_round_trips(&chained), 3);
    }
}
