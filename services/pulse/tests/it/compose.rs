//! compose.yaml, Dockerfile and what they name are checked against reality: every file, port, host, flag and variable in them is real, and the
//! programs that read the mounted files take them as they are mounted.

mod checks;
mod programs;
mod stack;
mod started;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::Value;

use checks::{addresses, complaints, is_pinned, yaml};
use stack::{Stack, read, strings};

#[test]
fn nothing_is_wrong_with_it() {
    assert_eq!(complaints(&Stack::of_the_repository()), Vec::<String>::new());
}

/// The checks see what they are there for: each change of one line is complained about.
#[test]
fn a_broken_file_is_noticed() {
    for (line, broken, complaint) in [
        ("./postgres/roles.sql:", "./postgres/role.sql:", "postgres: postgres/role.sql does not exist"),
        (
            "targets/compose:/etc/prometheus/targets:ro",
            "targets/compose:/etc/prometheus/targets",
            "prometheus: grafana/prometheus/targets/compose can be written to",
        ),
        ("\"127.0.0.1:8083:8080\"", "\"8083:8080\"", "dispatcher: 8083:8080 is open to everybody"),
        ("\"127.0.0.1:8083:8080\"", "\"127.0.0.1:8083:8081\"", "dispatcher: its ports are"),
        (
            "PULSE_SIMULATE_URL: http://ui_api:8080",
            "PULSE_SIMULATE_URL: http://ui-api:8080",
            "simulator: ui-api is no service that it reaches",
        ),
        (
            "@postgres:5432/pulse\n    depends_on:",
            "@postgresql:5432/pulse\n    depends_on:",
            "migrate: postgresql is no service that it reaches",
        ),
        ("evaluator=http://evaluator:8080", "evaluator=http://evalator:8080", "ops_worker: evalator is no service that it reaches"),
        (
            "networks: [default, data]\n  deploy: &small",
            "networks: [default]\n  deploy: &small",
            "evaluator: postgres is no service that it reaches",
        ),
        (
            "migrate: { condition: service_completed_successfully }\n  healthcheck",
            "migrte: { condition: service_completed_successfully }\n  healthcheck",
            "evaluator: it waits for migrte, which there is not",
        ),
        (
            "prometheus: { condition: service_healthy }",
            "otel-collector: { condition: service_healthy }",
            "grafana: otel-collector can never be",
        ),
        ("grafana/tempo:3.0.3", "grafana/tempo:latest", "tempo: grafana/tempo:latest is no version"),
        ("image: pulse:0.1.0", "image: pulse:0.0.9", "ui_api: pulse:0.0.9 is not this version"),
        (
            "${GRAFANA_ADMIN_PASSWORD:?set it in .env, see .env.example}",
            "${GRAFANA_ADMIN_PASSWORD:-admin}",
            "GRAFANA_ADMIN_PASSWORD:-admin does not refuse to be unset",
        ),
        ("${GRAFANA_ADMIN_PASSWORD:?", "${GRAFANA_PASSWORD:?", "GRAFANA_PASSWORD is not in .env.example"),
        ("      PULSE_DELIVERY_ALLOW_HTTP:\n", "", "PULSE_DELIVERY_ALLOW_HTTP of .env.example is read nowhere"),
        ("  read_only: true\n", "", "loki: its root can be written to"),
        ("  cap_drop: [ALL]\n", "", "loki: it keeps capabilities"),
        ("user: \"472:0\"", "user: grafana", "grafana: it runs as root, or as a user who is not a number"),
        ("stop_grace_period: 15s\n  networks", "stop_grace_period: 5s\n  networks", "evaluator: it is killed after 5 s"),
        ("limits: { cpus: \"1\", memory: 768M, pids: 256 }", "limits: { cpus: \"1\", pids: 256 }", "otel-collector: memory has no limit"),
        ("  simulator-token:\n", "  simulator-token:\n  spare:\n", "nothing uses the volume spare"),
    ] {
        let text = read("compose.yaml");
        // The last place: sections come before what they are shared with, except for volumes.
        let at = text.rfind(line).unwrap_or_else(|| panic!("{line} is not in the file"));
        let found = complaints(&Stack::parse(format!("{}{broken}{}", &text[..at], &text[at + line.len()..])));
        assert!(
            found.iter().any(|found| found.starts_with(complaint)),
            "{broken:?} should be complained about with {complaint:?}: {found:#?}"
        );
    }
}

/// What services listen on, in the files that say so, is where the others look for them.
#[test]
fn every_address_is_one_that_is_listened_on() {
    let stack = Stack::of_the_repository();
    let listens = |service: &str, variables: &[&str]| -> BTreeSet<u16> {
        let environment = stack.service(service).environment().filter(|(name, _)| variables.contains(name)).filter_map(|(_, value)| value);
        environment.flat_map(|value| addresses(&value)).map(|(_, port)| port).collect()
    };
    let mut collector = listens("otel-collector", &["OTELCOL_GRPC_LISTEN", "OTELCOL_PROMETHEUS_LISTEN"]);
    collector.insert(8888);
    let port = |value: &Value| u16::try_from(value.as_u64().unwrap()).unwrap();
    let tempo = yaml("grafana/tempo/tempo.yaml");
    let receiver = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].as_str().unwrap();
    let known = |host: &str| -> BTreeSet<u16> {
        match host {
            "postgres" => [5432].into(),
            "prometheus" => [9090].into(),
            "tempo" => [port(&tempo["server"]["http_listen_port"]), addresses(receiver)[0].1].into(),
            "loki" => [port(&yaml("grafana/loki/loki.yaml")["server"]["http_listen_port"])].into(),
            "otel-collector" => collector.clone(),
            "sink" => listens("simulator", &["PULSE_SIMULATE_SINK_LISTEN"]),
            service if crate::process::SERVICES.contains(&service) => [8080].into(),
            other => panic!("nothing is known of {other}"),
        }
    };
    let mut seen = BTreeSet::new();
    let settings = stack.services().flat_map(|service| service.environment().collect::<Vec<_>>()).filter_map(|(_, value)| value);
    let scraped =
        ["services", "collector-exporter", "collector-itself"].map(|name| yaml(&format!("grafana/prometheus/targets/compose/{name}.yml")));
    let targets = scraped.iter().flat_map(|file| file.as_array().unwrap()).flat_map(|group| strings(&group["targets"])).map(str::to_owned);
    for (host, port) in
        settings.chain(targets).flat_map(|setting| addresses(&setting)).filter(|(host, _)| host.parse::<Ipv4Addr>().is_err())
    {
        assert!(known(&host).contains(&port), "{host} does not listen on {port}");
        seen.insert(host);
    }
    assert_eq!(seen.len(), 5 + 6, "{seen:?}");
}

#[test]
fn the_collector_is_told_every_address_and_nothing_that_it_does_not_read() {
    let config = read("otel-collector.yaml");
    let read: BTreeSet<&str> = config.split("${env:").skip(1).map(|rest| rest.split([':', '}']).next().unwrap()).collect();
    let stack = Stack::of_the_repository();
    let told: BTreeSet<&str> =
        stack.service("otel-collector").environment().map(|(name, _)| name).filter(|name| name.starts_with("OTELCOL_")).collect();
    assert!(told.is_subset(&read), "{:?}", told.difference(&read));
    let addresses = |name: &&&str| ["_LISTEN", "_HOST", "_TO", "_STORAGE"].iter().any(|end| name.ends_with(end));
    assert_eq!(told.iter().filter(addresses).collect::<BTreeSet<_>>(), read.iter().filter(addresses).collect::<BTreeSet<_>>());
}

#[test]
fn grafana_is_told_what_its_provisioning_asks_for_and_finds_the_boards() {
    let stack = Stack::of_the_repository();
    let grafana = stack.service("grafana");
    let sources = read("grafana/provisioning/datasources/pulse.yaml");
    let asked = sources.match_indices("url: ${").map(|(at, found)| sources[at + found.len()..].split('}').next().unwrap());
    let told: BTreeSet<&str> = grafana.environment().map(|(name, _)| name).filter(|name| name.ends_with("_URL")).collect();
    assert_eq!(asked.collect::<BTreeSet<_>>(), told);
    let boards = yaml("grafana/provisioning/dashboards/pulse.yaml")["providers"][0]["options"]["path"].as_str().unwrap().to_owned();
    assert!(grafana.mounts().contains(&("./grafana/dashboards", &format!("{boards}:ro"))), "{:?}", grafana.mounts());
}

#[test]
fn every_role_of_the_database_is_made_with_a_password_of_its_own() {
    let (stack, roles) = (Stack::of_the_repository(), read("postgres/roles.sql"));
    let passed: BTreeSet<&str> = stack.service("postgres").environment().map(|(name, _)| name).collect();
    let read: Vec<&str> = roles.lines().filter_map(|line| line.strip_prefix("\\getenv ")?.split(' ').nth(1)).collect();
    assert_eq!(read.len(), 3);
    assert!(read.iter().all(|name| passed.contains(name)), "{read:?} {passed:?}");
    let mut used = BTreeSet::new();
    for url in stack.services().flat_map(|service| service.environment().collect::<Vec<_>>()).filter(|(name, _)| *name == "PULSE_DATABASE")
    {
        let url = url.1.unwrap();
        let role = url.strip_prefix("postgres://").and_then(|rest| rest.split(':').next()).unwrap();
        assert!(roles.contains(&format!("CREATE ROLE {role} LOGIN")), "{role} is not made");
        let variable = format!("POSTGRES_{}_PASSWORD", role.trim_start_matches("pulse_").to_uppercase());
        assert!(stack.text.contains(&format!("postgres://{role}:${{{variable}:?")), "{role} has another's password");
        used.insert(role.to_owned());
    }
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["pulse_owner", "pulse_services", "pulse_ui_api"]);
}

/// The guard is opened for the receiver's address and no other, which nobody else can get.
#[test]
fn the_demo_reaches_its_receiver_and_nothing_else() {
    let stack = Stack::of_the_repository();
    let settings = read("demo.env");
    let setting = |name: &str| settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    assert_eq!((setting("COMPOSE_PROFILES"), setting("PULSE_DELIVERY_ALLOW_HTTP")), ("demo", "true"));
    let names =
        settings.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with('#'));
    assert!(names.filter(|name| name != "COMPOSE_PROFILES").all(|name| stack.variables().contains(&name)));
    let simulator = stack.service("simulator");
    let address: Ipv4Addr = simulator.value["networks"]["receivers"]["ipv4_address"].as_str().unwrap().parse().unwrap();
    assert_eq!(setting("PULSE_DELIVERY_ALLOWED_RANGES"), format!("{address}/32"));
    let range = &stack.section("networks")["receivers"]["ipam"]["config"][0];
    let network = |name: &str| range[name].as_str().unwrap().parse::<ipnet::Ipv4Net>().unwrap();
    assert!(network("subnet").contains(&address) && !network("ip_range").contains(&address));
    assert!(
        stack
            .services()
            .filter(|service| service.name != "simulator")
            .all(|service| !service.networks().contains("receivers") || service.name == "delivery_worker")
    );
    assert!(
        stack
            .services()
            .filter(|service| service.name.starts_with("simulator"))
            .all(|service| strings(&service.value["profiles"]) == ["demo"])
    );
}

#[test]
fn the_image_is_what_compose_expects() {
    let dockerfile = read("Dockerfile");
    let line = |start: &str| dockerfile.lines().rev().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("no {start}"));
    let bases: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next()).collect();
    assert!(bases.len() == 2 && bases.iter().all(|base| is_pinned(base)), "{bases:?}");
    let rust = workspace("rust-version");
    assert!(bases[0].starts_with(&format!("rust:{rust}.")), "{} is not Rust {rust}", bases[0]);
    assert!(dockerfile.contains(&format!("image.version=\"{}\"", env!("CARGO_PKG_VERSION"))));
    let stack = Stack::of_the_repository();
    for service in stack.services().filter(|service| service.is_pulse()) {
        assert_eq!(service.value["user"], *line("USER "), "{}", service.name);
        assert!(service.mounts().iter().all(|(_, target)| target.trim_end_matches(":ro") == line("WORKDIR ")), "{}", service.name);
    }
    let health: Vec<&str> = dockerfile.rsplit_once(" CMD [").unwrap().0.split("HEALTHCHECK").collect();
    assert_eq!(health.len(), 2);
    let check = strings(&stack.service("evaluator").value["healthcheck"]["test"]).join("\", \"");
    assert!(dockerfile.contains(&format!("CMD [\"{}\"]", check.trim_start_matches("CMD\", \""))), "{check}");
    assert_eq!(line("ENTRYPOINT "), "[\"/usr/local/bin/pulse\"]");
    assert!(dockerfile.lines().any(|line| line == "EXPOSE 8080"));
}

/// A value of the workspace's Cargo.toml.
fn workspace(name: &str) -> String {
    let line = format!("{name} = \"");
    read("Cargo.toml").lines().find_map(|text| Some(text.strip_prefix(&line)?.trim_end_matches('"').to_owned())).unwrap()
}

/// The programs that the tests run against are those of the images.
#[test]
fn the_images_are_of_the_versions_that_the_tests_run_against() {
    let (setup, stack) = (read("tools/setup"), Stack::of_the_repository());
    for (service, variable) in [("prometheus", "prometheus_version="), ("otel-collector", "otelcol_version=")] {
        let version = setup.lines().find_map(|line| line.strip_prefix(variable)).unwrap();
        let image = stack.service(service).image();
        assert_eq!(image.rsplit_once(':').unwrap().1.trim_start_matches('v'), version, "{image}");
    }
}
