//! Credentials that end by themselves: those of a program that the profile names, and of a single
//! sign-on. They are fetched anew before they end, so that a long transfer outlasts them.

use std::{
    env, fmt, fs,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use object_store::{CredentialProvider, aws::AwsCredential};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::runtime::start;
use crate::error::{Error, Result};

/// How long before their end credentials are fetched anew.
const EARLY: Duration = Duration::from_secs(300);
/// How long the answer of the sign-on service may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a profile signs in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// By the output of a command (`credential_process`).
    Process { command: String },
    /// By the token that `aws sso login` left.
    SingleSignOn {
        profile: String,
        start_url: String,
        region: String,
        account: String,
        role: String,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process { .. } => "Login(credential_process)",
            Self::SingleSignOn { .. } => "Login(sso)",
        })
    }
}

/// Credentials, and when they end.
#[derive(Clone)]
struct Signed {
    credential: Arc<AwsCredential>,
    ends: Option<SystemTime>,
}

/// Signs in again when what it got is about to end.
pub(super) struct Renewing {
    login: Login,
    current: Mutex<Signed>,
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Renewing").field(&self.login).finish()
    }
}

impl Renewing {
    /// Signs in, so that what is wrong is told before anything else is.
    pub(super) fn sign_in(login: Login) -> Result<Self> {
        let first = login.clone();
        let signed = start(async move { first.fetch().await }).wait()?;
        Ok(Self { login, current: Mutex::new(signed) })
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Renewing {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut current = self.current.lock().await;
        if current.ends.is_none_or(|ends| ends > SystemTime::now() + EARLY) {
            return Ok(current.credential.clone());
        }
        let fetched = self.login.fetch().await;
        let signed = fetched.map_err(|error| object_store::Error::Generic {
            store: "sign-in",
            source: error.to_string().into(),
        })?;
        *current = signed;
        Ok(current.credential.clone())
    }
}

impl Login {
    async fn fetch(&self) -> Result<Signed> {
        match self {
            Self::Process { command } => {
                let command = command.clone();
                let run = tokio::task::spawn_blocking(move || from_process(&command));
                run.await.unwrap_or_else(|_| Err(Error::internal("a thread died")))
            }
            Self::SingleSignOn { profile, start_url, region, account, role } => {
                let token = find_token(profile, start_url)?;
                from_sign_on(profile, region, account, role, &token).await
            }
        }
    }
}

/// What a `credential_process` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

fn from_process(command: &str) -> Result<Signed> {
    let failed = || {
        Error::store("the 'credential_process' of the profile gives no credentials")
            .help("run the command that the AWS configuration file names, and see what it says")
    };
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed().caused_by(error))?;
    // Neither the output nor a parser's complaint about it is for anybody's eyes.
    let printed: Printed = serde_json::from_slice(&output.stdout).map_err(|_| failed())?;
    if !output.status.success() || printed.version != 1 {
        return Err(failed());
    }
    Ok(Signed {
        credential: Arc::new(AwsCredential {
            key_id: printed.access_key_id,
            secret_key: printed.secret_access_key,
            token: printed.session_token,
        }),
        ends: printed.expiration.as_deref().and_then(parse_time),
    })
}

/// What `aws sso login` leaves in `~/.aws/sso/cache`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    start_url: String,
    access_token: String,
    expires_at: String,
}

fn sign_in_again(profile: &str) -> Error {
    Error::store(format!("the single sign-on of profile '{profile}' has ended or was never made"))
        .help(format!("run: aws sso login --profile {profile}"))
}

/// The token of a sign-on that has not ended. Its file is named by a digest of the session, which
/// need not be known: the file says what it is for.
fn find_token(profile: &str, start_url: &str) -> Result<String> {
    let folder = env::home_dir().map(|home| home.join(".aws/sso/cache"));
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let texts = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
        .filter_map(|entry| fs::read(entry.path()).ok());
    let tokens = texts.filter_map(|text| serde_json::from_slice::<Token>(&text).ok());
    let plain = |url: &str| url.trim_end_matches(['/', '#']).to_owned();
    let live = tokens.filter(|token| {
        plain(&token.start_url) == plain(start_url)
            && parse_time(&token.expires_at).is_some_and(|ends| ends > SystemTime::now())
    });
    let newest = live.max_by(|a, b| a.expires_at.cmp(&b.expires_at));
    newest.map(|token| token.access_token).ok_or_else(|| sign_in_again(profile))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    role_credentials: RoleCredentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Milliseconds since 1970.
    expiration: u64,
}

async fn from_sign_on(
    profile: &str,
    region: &str,
    account: &str,
    role: &str,
    token: &str,
) -> Result<Signed> {
    let failed = || {
        Error::store(format!("the single sign-on of profile '{profile}' gives no credentials"))
            .help(format!("check its account and role, or run: aws sso login --profile {profile}"))
    };
    let service = env::var("AWS_ENDPOINT_URL_SSO").ok().filter(|url| !url.is_empty());
    let service = service.unwrap_or_else(|| format!("https://portal.sso.{region}.amazonaws.com"));
    let mut url = Url::parse(&service).map_err(|_| failed())?;
    url.set_path("/federation/credentials");
    url.query_pairs_mut().append_pair("role_name", role).append_pair("account_id", account);
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let request = client.map_err(|_| failed())?.get(url).header("x-amz-sso_bearer_token", token);
    let answer = request.send().await.map_err(|error| failed().caused_by(error.without_url()))?;
    if answer.status().as_u16() == 401 {
        return Err(sign_in_again(profile));
    }
    let bytes = answer.bytes().await.map_err(|_| failed())?;
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| failed())?;
    let credentials = answer.role_credentials;
    Ok(Signed {
        credential: Arc::new(AwsCredential {
            key_id: credentials.access_key_id,
            secret_key: credentials.secret_access_key,
            token: Some(credentials.session_token),
        }),
        ends: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(credentials.expiration)),
    })
}

/// A time such as `2026-11-21T11:30:00Z`, `…+00:00` or with a fraction of a second.
fn parse_time(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let clock = rest.get(..8)?;
    let zone = rest.get(8..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    if !matches!(zone, "Z" | "UTC" | "+00:00" | "+0000") {
        return None;
    }
    let numbers = |text: &str, by: char| -> Option<[u64; 3]> {
        let mut parts = text.split(by).map(str::parse::<u64>);
        Some([parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?])
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970-01-01, counting years from March so that the leap day ends them.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_time_is_read_in_the_forms_that_are_written() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), at(0));
        assert_eq!(parse_time("2000-02-29T23:59:59Z"), at(951_868_799));
        assert_eq!(parse_time("2026-11-21T11:30:00.123+00:00"), at(1_795_260_600));
        assert_eq!(parse_time("2026-11-21T11:30:00UTC"), at(1_795_260_600));
        for bad in ["", "2026-11-21", "2026-11-21T11:30:00+02:00", "2026-13-01T00:00:00Z", "é"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn test_process_prints_credentials_and_errors_do_not() {
        let good = r#"echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"canary",
            "SessionToken":"t","Expiration":"2026-11-21T11:30:00Z"}'"#;
        let signed = from_process(good).unwrap();
        assert_eq!(signed.credential.secret_key, "canary");
        assert_eq!(signed.ends, parse_time("2026-11-21T11:30:00Z"));
        for bad in ["echo canary", "exit 1", r#"echo '{"Version":2,"canary":1}'"#, "false"] {
            let error = from_process(bad).err().unwrap().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
