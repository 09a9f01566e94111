//! The shared AWS configuration files: keys, and how a profile signs in.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use super::{login::Login, options::Credentials};
use crate::error::{Error, Result};

/// What one profile says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) credentials: Option<Credentials>,
    /// How it signs in, where it has no keys.
    pub(super) login: Option<Login>,
    pub(super) region: Option<String>,
    pub(super) endpoint_url: Option<String>,
}

/// Reads profile `name` from the files that the environment points at, or from `~/.aws`.
///
/// # Errors
///
/// When there is no such profile, or it needs a login that is not supported here.
pub(super) fn load(name: &str) -> Result<Profile> {
    let text = |variable: &str, file: &str| {
        let path = env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".aws").join(file)));
        path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let credentials = text("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let config = text("AWS_CONFIG_FILE", "config");
    find(name, &credentials, &config)
}

fn find(name: &str, credentials: &str, config: &str) -> Result<Profile> {
    let mut values = section(config, &[&format!("profile {name}"), name]);
    let secrets = section(credentials, &[name]);
    if values.is_none() && secrets.is_none() {
        return Err(Error::usage(format!("no profile '{name}' in the AWS configuration files"))
            .help("see 'aws configure list-profiles'"));
    }
    values.get_or_insert_default().extend(secrets.unwrap_or_default());
    let mut values = values.unwrap_or_default();

    let keys = values.remove("aws_access_key_id").zip(values.remove("aws_secret_access_key"));
    let credentials = keys.map(|(access_key_id, secret_access_key)| Credentials {
        access_key_id,
        secret_access_key,
        session_token: values.remove("aws_session_token"),
    });
    let login = match &credentials {
        Some(_) => None,
        None => login(name, &mut values, config),
    };
    let needs_more = ["sso_session", "sso_start_url", "role_arn", "login_session"]
        .into_iter()
        .find(|key| values.contains_key(*key));
    if let (None, None, Some(key)) = (&credentials, &login, needs_more) {
        return Err(Error::unsupported(format!(
            "profile '{name}' signs in by '{key}' in a way that is not supported"
        ))
        .help(format!(
            "run: eval \"$(aws configure export-credentials --profile {name} --format env)\""
        )));
    }
    Ok(Profile {
        credentials,
        login,
        region: values.remove("region"),
        endpoint_url: values.remove("endpoint_url"),
    })
}

/// A sign-on, whose service may be described in a section of its own, or a command.
fn login(name: &str, values: &mut BTreeMap<String, String>, config: &str) -> Option<Login> {
    // A role is assumed with the credentials of another, which is not done here.
    if values.contains_key("role_arn") {
        return None;
    }
    if let Some(command) = values.remove("credential_process") {
        return Some(Login::Process { command });
    }
    if let Some(session) = values.get("sso_session") {
        let session = section(config, &[&format!("sso-session {session}")])?;
        for key in ["sso_start_url", "sso_region"] {
            values.insert(key.to_owned(), session.get(key)?.clone());
        }
    }
    Some(Login::SingleSignOn {
        profile: name.to_owned(),
        start_url: values.get("sso_start_url")?.clone(),
        region: values.get("sso_region")?.clone(),
        account: values.get("sso_account_id")?.clone(),
        role: values.get("sso_role_name")?.clone(),
    })
}

/// The keys and values of the sections of an INI text that have one of `titles`.
fn section(text: &str, titles: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines() {
        let nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            inside = titles.contains(&title.as_str());
            if inside {
                found.get_or_insert_default();
            }
        } else if let (true, false, Some((key, value))) = (inside, nested, line.split_once('=')) {
            let value = value.split(" #").next().unwrap_or_default();
            found
                .get_or_insert_default()
                .insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = D\naws_secret_access_key=d/=\n\n\
        [lab]\naws_access_key_id=L\naws_secret_access_key=l\naws_session_token=t\n";
    const CONFIG: &str = "[profile lab]\nregion = eu-north-1 # far\nendpoint_url=http://x\n\
        s3 =\n  region = nested\n[profile sso]\nsso_session = corp\n[profile empty]\n\
        [profile on]\nsso_session = own\nsso_account_id=12\nsso_role_name=r\n\
        [sso-session own]\nsso_start_url=https://s\nsso_region=eu-west-1\n\
        [profile old]\nsso_start_url=https://s\nsso_region=eu-west-1\nsso_account_id=12\n\
        sso_role_name=r\n[profile run]\ncredential_process = get it # now\n\
        [profile role]\nrole_arn = arn:x\nsource_profile = lab\n";

    #[test]
    fn test_profile_joins_both_files() {
        let lab = find("lab", CREDENTIALS, CONFIG).unwrap();
        let keys = lab.credentials.unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.as_str()), ("L", "l"));
        assert_eq!(keys.session_token.as_deref(), Some("t"));
        assert_eq!(lab.region.as_deref(), Some("eu-north-1"));
        assert_eq!(lab.endpoint_url.as_deref(), Some("http://x"));
        let default = find("default", CREDENTIALS, CONFIG).unwrap();
        assert_eq!(default.credentials.unwrap().secret_access_key, "d/=");
        assert_eq!(find("empty", CREDENTIALS, CONFIG).unwrap(), Profile::default());
    }

    #[test]
    fn test_profile_says_what_it_cannot_do() {
        let error = find("sso", CREDENTIALS, CONFIG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("export-credentials --profile sso"));
        let error = find("role", CREDENTIALS, CONFIG).unwrap_err().to_string();
        assert!(error.contains("'role_arn'"), "{error}");
        assert_eq!(find("none", CREDENTIALS, CONFIG).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn test_profile_tells_how_it_signs_in() {
        let login = |name| find(name, CREDENTIALS, CONFIG).unwrap().login;
        let on = |profile: &str| Login::SingleSignOn {
            profile: profile.into(),
            start_url: "https://s".into(),
            region: "eu-west-1".into(),
            account: "12".into(),
            role: "r".into(),
        };
        assert_eq!(login("on"), Some(on("on")));
        assert_eq!(login("old"), Some(on("old")));
        assert_eq!(login("run"), Some(Login::Process { command: "get it".into() }));
        assert_eq!(login("lab"), None);
    }
}
