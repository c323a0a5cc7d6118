//! Name resolution that only hands out addresses which deliveries may reach: what it returns is what is connected to.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Guard, Refusal};

/// The system's resolver behind the guard.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver {
    guard: Guard,
}

impl GuardedResolver {
    pub(crate) fn new(guard: Guard) -> Self {
        Self { guard }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let reachable: Addrs = Box::new(reachable(&guard, found)?.into_iter());
            Ok(reachable)
        })
    }
}

/// Keeps those addresses of one name that may be reached.
///
/// # Errors
/// When none is left: a [`Refusal`] if the guard refused them all, otherwise an `io::Error`.
fn reachable(guard: &Guard, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refusal: Option<Refusal> = None;
    let mut kept = Vec::with_capacity(found.len());
    for address in found {
        match guard.check_address(address.ip()) {
            Ok(()) => kept.push(address),
            Err(why) => refusal = Some(why),
        }
    }
    match refusal {
        Some(why) if kept.is_empty() => Err(why.into()),
        None if kept.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "the host name has no address").into()),
        _ => Ok(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn of_mixed_answers_only_the_public_ones_are_connected_to() {
        let found = addresses(&["10.0.0.1", "93.184.215.14", "::1", "169.254.169.254", "2606:4700::1111"]);
        assert_eq!(reachable(&Guard::default(), found).unwrap(), addresses(&["93.184.215.14", "2606:4700::1111"]));
    }

    #[test]
    fn a_name_with_nothing_but_forbidden_addresses_is_refused() {
        let error = reachable(&Guard::default(), addresses(&["10.0.0.1", "127.0.0.1"])).unwrap_err();
        assert!(error.downcast_ref::<Refusal>().is_some_and(|why| matches!(why, Refusal::Address(_))));
        assert!(!error.to_string().contains("127.0.0.1"), "the answer must not map the private network: {error}");
    }

    #[test]
    fn a_name_without_addresses_is_no_refusal() {
        let error = reachable(&Guard::default(), Vec::new()).unwrap_err();
        assert!(error.downcast_ref::<Refusal>().is_none(), "{error}");
    }

    #[tokio::test]
    async fn localhost_is_refused_by_what_it_resolves_to() {
        let resolver = GuardedResolver::new(Guard::default());
        let error = resolver.resolve("localhost".parse().unwrap()).await.err().unwrap();
        assert!(error.downcast_ref::<Refusal>().is_some(), "{error}");

        let open = GuardedResolver::new(Guard::new(true, vec!["127.0.0.0/8".parse().unwrap()]));
        assert!(open.resolve("localhost".parse().unwrap()).await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
