//! A project as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use bugsage_core::remote::{LevelFilter, Rate, RemoteSettings};

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
    /// The share of traces that it asks its apps for.
    traces_rate: Option<f64>,
    /// From which level on it asks for lines of the log as events.
    event_level: Option<&'static str>,
    /// The same of breadcrumbs.
    breadcrumb_level: Option<&'static str>,
    /// What its apps say they lost, by reason.
    losses: BTreeMap<String, u64>,
    /// The share and both levels, as apps are told them.
    #[serde(skip)]
    settings: RemoteSettings,
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
            traces_rate: project.settings.traces_rate.map(Rate::get),
            event_level: project.settings.event_level.map(LevelFilter::as_str),
            breadcrumb_level: project.settings.breadcrumb_level.map(LevelFilter::as_str),
            settings: project.settings,
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

    /// What it asks of its apps.
    pub fn settings(&self) -> RemoteSettings {
        self.settings
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
