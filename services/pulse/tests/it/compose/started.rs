//! The program started as compose.yaml starts it: its commands, its variables and its health check are the real program's.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::stack::{Service, Stack};
use crate::process::{SERVICES, finish, free_ports, pulse};

/// With what stands in the file; what comes from outside stays unset, as it does there.
fn command(service: Service<'_>) -> Command {
    let mut command = pulse();
    command.args(service.command()).envs(service.environment().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A command that there is not, a flag that it does not have or a variable that it does not read would end it with code 2.
#[test]
fn every_command_and_every_variable_is_the_programs() {
    let stack = Stack::of_the_repository();
    let mut commands = Vec::new();
    for service in stack.services().filter(|service| service.is_pulse()) {
        let mut command = command(service);
        command.arg("--help");
        // Those that come from outside, too: only their names are looked at before the help is shown.
        command.envs(service.environment().filter(|(_, value)| value.is_none()).map(|(name, _)| (name, "")));
        let output = finish(command.spawn().unwrap(), Duration::from_secs(20));
        assert!(output.status.success(), "{}: {}", service.name, String::from_utf8_lossy(&output.stderr));
        commands.push(service.command().into_iter().filter(|argument| !argument.starts_with('-')).collect::<Vec<_>>().join(" "));
    }
    commands.sort_unstable();
    let mut expected: Vec<String> = SERVICES.map(|service| format!("run {service}")).into();
    expected.extend(["migrate", "simulate", "token"].map(str::to_owned));
    expected.sort_unstable();
    assert_eq!(commands, expected);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

/// Values that the services cannot read would end them; and the health check finds each where it listens, and only while it runs.
#[test]
fn every_service_starts_with_its_settings_and_is_healthy_by_its_health_check() {
    let stack = Stack::of_the_repository();
    let base = free_ports();
    let folder = tempfile::tempdir().unwrap();
    for (index, name) in (0..).zip(SERVICES) {
        let service = stack.service(name);
        let listen = format!("127.0.0.1:{}", base + index);
        let mut start = command(service);
        // Its neighbours are not here: a database of its own, and nobody to push to.
        let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        start.env("PULSE_LISTEN", &listen).env("PULSE_DATABASE", format!("sqlite:{}", folder.path().join("pulse.db").display()));
        start.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{closed}"));
        let mut running = Running(start.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap());
        let healthy = || {
            let test = super::strings(&service.value["healthcheck"]["test"]);
            assert_eq!(test[..2], ["CMD", "/usr/local/bin/pulse"]);
            let mut check = pulse();
            check.args(&test[2..]).env("PULSE_LISTEN", &listen).stdout(Stdio::piped()).stderr(Stdio::piped());
            finish(check.spawn().unwrap(), Duration::from_secs(20)).status.success()
        };
        let started = std::time::Instant::now();
        while !healthy() {
            assert_eq!(running.0.try_wait().unwrap(), None, "{name} ended");
            assert!(started.elapsed() < Duration::from_secs(30), "{name} is not healthy");
        }
        drop(running);
        assert!(!healthy(), "{name} is healthy though it has ended");
    }
}
