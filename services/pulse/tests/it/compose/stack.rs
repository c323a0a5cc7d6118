//! compose.yaml as Compose understands it: anchors merged, variables filled in, and the few questions that the checks ask of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// A file of the repository, by its path from the top.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// What is in it.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The file, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// As it is written.
    pub(crate) text: String,
    root: Value,
}

/// One of its services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a Value,
}

impl Stack {
    pub(crate) fn of_the_repository() -> Self {
        Self::parse(read("compose.yaml"))
    }

    /// Every variable stands for `secret`.
    pub(crate) fn parse(text: String) -> Self {
        let mut filled = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            filled.push_str("secret");
            rest = after.split_once('}').expect("a variable ends").1;
        }
        filled.push_str(rest);
        let root = serde_saphyr::from_str(&filled).unwrap_or_else(|error| panic!("compose.yaml: {error}"));
        Self { text, root }
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = Service<'_>> {
        self.members("services").iter().map(|(name, value)| Service { name, value })
    }

    pub(crate) fn service(&self, name: &str) -> Service<'_> {
        self.services().find(|service| service.name == name).unwrap_or_else(|| panic!("there is no service {name}"))
    }

    /// The names under a section: services, networks, volumes.
    pub(crate) fn names(&self, section: &str) -> BTreeSet<&str> {
        self.members(section).keys().map(String::as_str).collect()
    }

    pub(crate) fn section(&self, section: &str) -> &Value {
        &self.root[section]
    }

    fn members(&self, section: &str) -> &Map<String, Value> {
        self.root[section].as_object().unwrap_or_else(|| panic!("there is no section {section}"))
    }

    /// What `${…}` and variables without a value take from the environment.
    pub(crate) fn variables(&self) -> BTreeSet<String> {
        let written = self.text.split("${").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next());
        let mut names: BTreeSet<String> = written.flatten().map(str::to_owned).collect();
        for service in self.services() {
            names.extend(service.environment().filter(|(_, value)| value.is_none()).map(|(name, _)| name.to_owned()));
        }
        names
    }

    /// Whether `host` is what a service is called on a network that `from` is on, too.
    pub(crate) fn reaches(&self, from: Service<'_>, host: &str) -> bool {
        let own = from.networks();
        self.services().any(|service| {
            own.iter().any(|network| {
                service.networks().contains(network) && (service.name == host || service.aliases(network).any(|alias| alias == host))
            })
        })
    }
}

impl<'a> Service<'a> {
    /// With the values that stand in the file; none: taken from outside, and unset where it is not set there.
    pub(crate) fn environment(self) -> impl Iterator<Item = (&'a str, Option<String>)> {
        let members = self.value["environment"].as_object().into_iter().flatten();
        members.map(|(name, value)| (name.as_str(), (!value.is_null()).then(|| text(value))))
    }

    pub(crate) fn command(self) -> Vec<&'a str> {
        strings(&self.value["command"])
    }

    pub(crate) fn image(self) -> &'a str {
        self.value["image"].as_str().unwrap_or_default()
    }

    /// Whether it is the program of this repository, as its image starts it.
    pub(crate) fn is_pulse(self) -> bool {
        self.image().starts_with("pulse:") && self.value["entrypoint"].is_null()
    }

    /// Whether it ends when its work is done.
    pub(crate) fn is_one_shot(self) -> bool {
        self.value["restart"] == "no"
    }

    pub(crate) fn has_health_check(self) -> bool {
        !self.value["healthcheck"]["test"].is_null()
    }

    /// Source and target of what is mounted.
    pub(crate) fn mounts(self) -> Vec<(&'a str, &'a str)> {
        let volumes = strings(&self.value["volumes"]);
        volumes
            .into_iter()
            .map(|volume| volume.split_once(':').unwrap_or_else(|| panic!("{}: {volume} has no target", self.name)))
            .collect()
    }

    /// The networks it is on; the default one unless it says otherwise.
    pub(crate) fn networks(self) -> BTreeSet<&'a str> {
        if self.value["network_mode"] == "none" {
            return BTreeSet::new();
        }
        match &self.value["networks"] {
            Value::Null => BTreeSet::from(["default"]),
            Value::Object(members) => members.keys().map(String::as_str).collect(),
            list => strings(list).into_iter().collect(),
        }
    }

    fn aliases(self, network: &str) -> impl Iterator<Item = &'a str> {
        strings(&self.value["networks"][network]["aliases"]).into_iter()
    }
}

/// A list of texts; empty where there is none.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap_or_default()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
