//! The kit as somebody else has it: packaged, unpacked in a folder outside the workspace, and used by a program that knows nothing of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const EXAMPLE: &str = include_str!("../../examples/axum_sqlx.rs");
/// How long the program may take to start once it is built.
const START_MAX: Duration = Duration::from_secs(20);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cargo(folder: &Path, arguments: &[&str]) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap());
    // What cargo told this test about its own build is not the other program's business.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG") || name == "RUSTFLAGS") {
        cargo.env_remove(name);
    }
    let output = cargo.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Packages the crate and unpacks it in `folder`.
fn packaged(folder: &Path) -> PathBuf {
    let target = folder.join("package");
    cargo(&workspace(), &["package", "-p", "pulse-telemetry", "--allow-dirty", "--no-verify", "--target-dir", target.to_str().unwrap()]);
    let name = format!("pulse-telemetry-{}", env!("CARGO_PKG_VERSION"));
    let archive = target.join("package").join(format!("{name}.crate"));
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder).status().unwrap();
    assert!(unpacked.success());
    folder.join(name)
}

/// One request; its whole answer.
fn ask(address: SocketAddr, method: &str, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    write!(connection, "{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_service_is_instrumented_in_less_than_20_lines() {
    let kit = EXAMPLE.lines().filter(|line| line.ends_with("// kit")).count();
    assert!((10..20).contains(&kit), "{kit}");
    let unmarked = EXAMPLE.lines().filter(|line| line.contains("telemetry") && !line.ends_with("// kit") && !line.starts_with("//!"));
    assert_eq!(unmarked.collect::<Vec<_>>(), [""; 0], "a line of the kit that is not marked");
}

#[test]
#[ignore = "needs cargo, and builds for a minute or two the first time: run tools/test"]
fn a_program_outside_the_workspace_uses_the_packaged_kit() {
    let folder = tempfile::tempdir().unwrap();
    let kit = packaged(folder.path());
    let shop = folder.path().join("shop");
    std::fs::create_dir_all(shop.join("src")).unwrap();
    std::fs::write(shop.join("src/main.rs"), EXAMPLE).unwrap();
    let manifest = format!(
        "[package]\nname = \"shop\"\nversion = \"3.2.1\"\nedition = \"2024\"\n\n[dependencies]\npulse-telemetry = {{ path = {:?} }}\n\
         axum = \"0.8\"\nsqlx = {{ version = \"0.9\", default-features = false, features = [\"runtime-tokio\", \"sqlite\"] }}\n\
         tokio = {{ version = \"1\", features = [\"full\"] }}\ntracing = \"0.1\"\ntracing-subscriber = \"0.3\"\n",
        kit.to_str().unwrap()
    );
    std::fs::write(shop.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(workspace().join("Cargo.lock"), shop.join("Cargo.lock")).unwrap();
    // Into the workspace's own output: what both use alike is there already.
    let target = workspace().join("target");
    cargo(&shop, &["build", "--target-dir", target.to_str().unwrap()]);

    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Command::new(target.join("debug/shop")).arg(address.to_string()).spawn().unwrap();
    let _running = Running(program);
    let started = Instant::now();
    while ask(address, "GET", "/health").is_err() {
        assert!(started.elapsed() < START_MAX, "it does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ask(address, "POST", "/orders/apples").unwrap().starts_with("HTTP/1.1 201"));
    let metrics = ask(address, "GET", "/metrics").unwrap();
    for series in [
        "shop_orders_total 1",
        r#"pulse_build_info{service="shop",version="3.2.1"} 1"#,
        r#"pulse_db_pool_size{service="shop"} 1"#,
        r#"pulse_processing_total{operation="take_order",outcome="success",service="shop"} 1"#,
        r#"pulse_queue_depth{queue_name="unpacked_orders",service="shop"}"#,
    ] {
        assert!(metrics.contains(series), "{series} is not in\n{metrics}");
    }
}
