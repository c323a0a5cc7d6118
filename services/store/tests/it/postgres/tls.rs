//! TLS with everything verified: the authority and the name.

use pulse_store::postgres::{Postgres, SchemaError};
use pulse_testbed::postgres::{Cluster, Settings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// The certificate of an authority that signed nothing.
fn another_authority() -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_server_shows_who_it_is_before_it_is_told_anything() {
    // The second address is not in the certificate.
    let cluster = Cluster::start(Settings::default().tls().set("listen_addresses", "127.0.0.1,127.0.0.2")).await;
    let right = cluster.admin_url("postgres");
    assert!(right.contains("sslmode=verify-full"), "{right}");
    Postgres::new(&right).unwrap().migrate().await.unwrap();
    Postgres::new(&right).unwrap().check().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.crt");
    std::fs::write(&other, another_authority()).unwrap();
    let known = right.split("sslrootcert=").nth(1).unwrap();
    let wrong = [
        ("an authority that did not sign it", right.replace(known, &other.display().to_string())),
        ("no authority", right.split("&sslrootcert").next().unwrap().to_owned()),
        ("an authority's file that is not there", right.replace(known, "/nowhere/ca.crt")),
        ("a name that is not the certificate's", right.replace("@127.0.0.1:", "@127.0.0.2:")),
        ("no encryption", right.replace("verify-full", "disable")),
    ];
    for (what, url) in wrong {
        let refused = Postgres::new(&url).unwrap().check().await.unwrap_err();
        assert!(matches!(refused, SchemaError::Refused(_)), "{what}: {refused:?}");
    }
    // Without the name's being verified, the second address would do.
    let unnamed = right.replace("@127.0.0.1:", "@127.0.0.2:").replace("verify-full", "verify-ca");
    Postgres::new(&unnamed).unwrap().check().await.unwrap();
}
