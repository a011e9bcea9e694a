//! A project as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::store::model::Project;

/// A project, with what an app needs to report to it.
#[derive(Debug, Serialize)]
pub struct ProjectView {
    id: u64,
    name: String,
    dsn: Option<String>,
    ingest_key: Option<String>,
    repository: Option<String>,
    issues: u64,
    /// Events that it may send in a minute, all keys together.
    rate: Option<u64>,
    /// Events that each of its keys may send in a minute.
    key_rate: Option<u64>,
    /// Events that it may send in a month.
    monthly_quota: Option<u64>,
    /// What its apps say they lost, by reason.
    losses: BTreeMap<String, u64>,
}

impl ProjectView {
    /// A project as it is reached at an address.
    pub fn new(project: Project, address: std::net::SocketAddr) -> Self {
        let dsn = project.ingest_key.as_ref().map(|key| {
            let mut address = address;
            if address.ip().is_unspecified() {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            format!("http://{key}@{address}/{}", project.id)
        });
        Self {
            id: project.id,
            name: project.name,
            dsn,
            ingest_key: project.ingest_key,
            repository: project.repository,
            issues: project.issues,
            rate: project.limits.rate,
            key_rate: project.limits.key_rate,
            monthly_quota: project.limits.monthly_quota,
            losses: project.losses.into_iter().collect(),
        }
    }

    /// How many events it may send, by what people call the limit.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let limits = [
            ("a minute", self.rate),
            ("a key", self.key_rate),
            ("a month", self.monthly_quota),
        ];
        limits
            .into_iter()
            .filter_map(|(name, limit)| Some((name, limit?)))
    }

    /// The project's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The project's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its apps send events.
    pub fn dsn(&self) -> Option<&str> {
        self.dsn.as_deref()
    }

    /// What its apps say they lost, by reason.
    pub fn losses(&self) -> &BTreeMap<String, u64> {
        &self.losses
    }

    /// Where its source is.
    pub fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }
}
