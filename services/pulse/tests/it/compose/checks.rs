//! What must hold of compose.yaml, each said as a complaint where it does not: so that the checks themselves can be held to broken files.

use std::collections::BTreeSet;

use serde_json::Value;

use super::stack::{Service, Stack, file, read, strings};
use crate::process::SERVICES;

/// Longer than a service takes to end, 10 s.
const GRACE_SECONDS_MIN: u64 = 15;
/// Runs as root, to give a volume away, and has the right to do that and no other.
const ROOT: &str = "otel-collector-storage";
/// Its image has nothing in it that could ask for its health.
const WITHOUT_HEALTH_CHECK: &str = "otel-collector";

/// Everything that is wrong with it.
pub(crate) fn complaints(stack: &Stack) -> Vec<String> {
    let mut found = variables(stack);
    for service in stack.services() {
        for complaint in [
            hardening(service),
            limits(service),
            image(service),
            mounts(stack, service),
            ports(service),
            order(stack, service),
            hosts(stack, service),
        ] {
            found.extend(complaint.into_iter().map(|complaint| format!("{}: {complaint}", service.name)));
        }
    }
    let used: BTreeSet<&str> = stack.services().flat_map(Service::mounts).map(|(source, _)| source).collect();
    found.extend(
        stack
            .names("volumes")
            .into_iter()
            .filter(|volume| !used.contains(volume))
            .map(|volume| format!("nothing uses the volume {volume}")),
    );
    found
}

fn variables(stack: &Stack) -> Vec<String> {
    let asked: Vec<&str> = stack.text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap_or_default()).collect();
    let lenient =
        asked.into_iter().filter(|variable| !variable.contains(":?")).map(|variable| format!("{variable} does not refuse to be unset"));
    let example = read(".env.example");
    let lines = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('=')).filter(|(name, _)| is_variable(name));
    let (names, filled): (BTreeSet<String>, Vec<&str>) = (
        lines.clone().map(|(name, _)| name.to_owned()).collect(),
        lines.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect(),
    );
    let mut found: Vec<String> = lenient.collect();
    found.extend(filled.into_iter().map(|name| format!("{name} has a value in .env.example")));
    found.extend(stack.variables().difference(&names).map(|name| format!("{name} is not in .env.example")));
    found.extend(names.difference(&stack.variables()).map(|name| format!("{name} of .env.example is read nowhere")));
    found
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn hardening(service: Service<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |holds: bool, complaint: &str| {
        if !holds {
            found.push(complaint.to_owned())
        }
    };
    must(service.value["read_only"] == true, "its root can be written to");
    must(strings(&service.value["cap_drop"]) == ["ALL"], "it keeps capabilities");
    must(strings(&service.value["security_opt"]).contains(&"no-new-privileges:true"), "it may gain privileges");
    let user = service.value["user"].as_str().and_then(|user| user.split(':').next()?.parse::<u32>().ok());
    must(user.is_some_and(|user| user != 0) || service.name == ROOT, "it runs as root, or as a user who is not a number");
    let added = strings(&service.value["cap_add"]);
    must(if service.name == ROOT { added == ["CHOWN"] } else { added.is_empty() }, "it takes capabilities back");
    must(service.value["privileged"].is_null() && service.value["network_mode"] != "host", "it is part of the machine");
    found
}

fn limits(service: Service<'_>) -> Vec<String> {
    let limits = &service.value["deploy"]["resources"]["limits"];
    let mut found: Vec<String> =
        ["cpus", "memory", "pids"].into_iter().filter(|what| limits[*what].is_null()).map(|what| format!("{what} has no limit")).collect();
    let log = &service.value["logging"]["options"];
    if log["max-size"].is_null() || log["max-file"].is_null() {
        found.push("its log grows for ever".to_owned());
    }
    if !service.is_one_shot() && service.value["restart"] != "unless-stopped" {
        found.push("nothing starts it again".to_owned());
    }
    if service.is_one_shot() == service.has_health_check() && service.name != WITHOUT_HEALTH_CHECK {
        found.push("what runs has a health check, what ends has none".to_owned());
    }
    let grace = service.value["stop_grace_period"].as_str().and_then(|grace| grace.strip_suffix('s')?.parse().ok()).unwrap_or(10);
    if service.is_pulse() && !service.is_one_shot() && grace < GRACE_SECONDS_MIN {
        found.push(format!("it is killed after {grace} s"));
    }
    found
}

/// A full version: with two or three numbers, as the project numbers its releases.
pub(crate) fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    let version = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
    let numbers: Vec<&str> = version.split('.').collect();
    (2..=3).contains(&numbers.len()) && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

fn image(service: Service<'_>) -> Vec<String> {
    let image = service.image();
    let mut found = Vec::new();
    if !is_pinned(image) {
        found.push(format!("{image} is no version"));
    }
    if image.starts_with("pulse:") && image != concat!("pulse:", env!("CARGO_PKG_VERSION")) {
        found.push(format!("{image} is not this version"));
    }
    found
}

fn mounts(stack: &Stack, service: Service<'_>) -> Vec<String> {
    let volumes = stack.names("volumes");
    let complaint = |(source, target): (&str, &str)| match source.strip_prefix("./") {
        Some(path) if !file(path).exists() => Some(format!("{path} does not exist")),
        Some(path) if !target.ends_with(":ro") => Some(format!("{path} can be written to")),
        None if !volumes.contains(source) => Some(format!("the volume {source} is not declared")),
        _ => None,
    };
    service.mounts().into_iter().filter_map(complaint).collect()
}

/// Ports are this machine's only; the services' are, one after the other, those of `pulse up`.
fn ports(service: Service<'_>) -> Vec<String> {
    let ports = strings(&service.value["ports"]);
    let mut found: Vec<String> =
        ports.iter().filter(|port| !port.starts_with("127.0.0.1:")).map(|port| format!("{port} is open to everybody")).collect();
    if let Some(index) = SERVICES.iter().position(|name| *name == service.name) {
        let expected = format!("127.0.0.1:{}:8080", 8081 + index);
        if ports != [expected.as_str()] {
            found.push(format!("its ports are {ports:?}, not {expected}"));
        }
    }
    found
}

fn order(stack: &Stack, service: Service<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in service.value["depends_on"].as_object().into_iter().flatten() {
        let Some(other) = stack.services().find(|other| other.name == name) else {
            found.push(format!("it waits for {name}, which there is not"));
            continue;
        };
        let fits = match value["condition"].as_str() {
            Some("service_healthy") => other.has_health_check(),
            Some("service_completed_successfully") => other.is_one_shot(),
            _ => false,
        };
        if !fits {
            found.push(format!("{} can never be {}", name, value["condition"]));
        }
    }
    found
}

/// Every host that a setting names, `scheme://user@host:port` or plainly `host:port`, is a service on a network of its own.
fn hosts(stack: &Stack, service: Service<'_>) -> Vec<String> {
    let settings = service.environment().filter_map(|(_, value)| value).chain(service.command().into_iter().map(str::to_owned));
    let named = settings.flat_map(|setting| addresses(&setting)).filter(|(host, _)| !["0.0.0.0", "127.0.0.1"].contains(&host.as_str()));
    named.filter(|(host, _)| !stack.reaches(service, host)).map(|(host, _)| format!("{host} is no service that it reaches")).collect()
}

/// Hosts and ports in a setting.
pub(crate) fn addresses(setting: &str) -> Vec<(String, u16)> {
    let address = |part: &str| {
        let part = part.split_once("://").map_or(part, |(_, rest)| rest);
        let part = part.split('/').next()?;
        let (host, port) = part.rsplit_once('@').map_or(part, |(_, rest)| rest).rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    };
    setting.split([',', '=']).filter_map(address).collect()
}

/// A YAML file of the repository.
pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
