//! Which services the health monitor asks, and where.

use std::fmt;
use std::str::FromStr;

use pulse_domain::ids::DeviceId;
use url::Url;

/// A service and the address of its /health, written `name=http://host:port/health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchTarget {
    name: DeviceId,
    url: Url,
}

/// A target that cannot be asked; the text says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a watch target has the form name=http://host:port/health: {0}")]
pub struct InvalidTarget(String);

impl WatchTarget {
    /// A service by its name, which is the device of its alerts and the label `target`.
    ///
    /// # Errors
    /// The name is none, or the address is not http or https, or holds a user name or password, which would show in alerts.
    pub fn new(name: &str, url: &str) -> Result<Self, InvalidTarget> {
        let name = DeviceId::parse(name).map_err(|_| InvalidTarget(format!("{name:?} is no name; use letters, digits, . _ : and -")))?;
        let url = Url::parse(url).map_err(|error| InvalidTarget(format!("the address of {name} cannot be read: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(InvalidTarget(format!("the address of {name} must begin with http:// or https://, not {}:", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget(format!("the address of {name} must not hold a user name or password")));
        }
        Ok(Self { name, url })
    }

    /// The service's name.
    pub fn name(&self) -> &DeviceId {
        &self.name
    }

    /// The address of its /health.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl FromStr for WatchTarget {
    type Err = InvalidTarget;
    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (name, url) = text.split_once('=').ok_or_else(|| InvalidTarget("there is no = in it".to_owned()))?;
        Self::new(name.trim(), url.trim())
    }
}

impl fmt::Display for WatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_and_an_address() {
        let target: WatchTarget = " ui_api = http://127.0.0.1:8081/health ".parse().unwrap();
        assert_eq!((target.name().as_str(), target.url().as_str()), ("ui_api", "http://127.0.0.1:8081/health"));
        assert_eq!(target.to_string().parse::<WatchTarget>().unwrap(), target);
    }

    #[test]
    fn an_address_in_an_alert_holds_nothing_that_a_database_refuses() {
        let target = WatchTarget::new("ui_api", "http://127.0.0.1/he\u{0}al\nth?a=\u{1b}#\u{0}\u{7f}").unwrap();
        assert_eq!(target.url().as_str(), "http://127.0.0.1/he%00alth?a=%1B#%00%7F");
    }

    #[test]
    fn a_wrong_target_says_what_would_be_right() {
        for (text, reason) in [
            ("http://127.0.0.1/health?a", "there is no = in it"),
            ("=http://127.0.0.1/health", "\"\" is no name"),
            ("a b=http://127.0.0.1/health", "\"a b\" is no name"),
            ("ui_api=127.0.0.1:8081", "cannot be read"),
            ("ui_api=ftp://127.0.0.1/", "must begin with http:// or https://, not ftp:"),
            ("ui_api=http://me:secret@127.0.0.1/", "must not hold a user name or password"),
        ] {
            let error = text.parse::<WatchTarget>().unwrap_err().to_string();
            assert!(error.starts_with("a watch target has the form name=http") && error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
