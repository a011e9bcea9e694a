//! Whose data a request may see.
//!
//! Every call of the store takes a [`Scope`]. It can only be made here: by an ingest key, for one
//! project and for writing; by the local operator, for the one organization there is; and by the
//! workers, who act for nobody.

/// Whose data a call may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Ingest { project: u64, key: u64 },
    Operator { organization: u64, actor: String },
    System,
}

impl Scope {
    /// What an ingest key opens: writing into its project.
    pub(in crate::store) fn of_ingest_key(project: u64, key: u64) -> Self {
        Self(Kind::Ingest { project, key })
    }

    /// The person at this machine, known by the name the operating system has for them. Not by the
    /// environment, which anybody may set: approvals bear this name.
    pub(crate) fn local_operator() -> Self {
        let id = rustix::process::getuid().as_raw().to_string();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == id).then(|| name.to_owned())
        });
        Self(Kind::Operator {
            organization: 1,
            actor: format!("local:{}", user.unwrap_or(id)),
        })
    }

    /// The collector's own jobs.
    pub(crate) fn system() -> Self {
        Self(Kind::System)
    }

    /// Who acts, for histories.
    pub fn actor(&self) -> &str {
        match &self.0 {
            Kind::Operator { actor, .. } => actor,
            Kind::Ingest { .. } | Kind::System => "system",
        }
    }

    /// The project that the scope may write events into.
    pub(crate) fn ingest_project(&self) -> Option<u64> {
        match self.0 {
            Kind::Ingest { project, .. } => Some(project),
            _ => None,
        }
    }

    /// The number of the key that opened the scope, for accounts.
    pub(crate) fn ingest_key(&self) -> Option<u64> {
        match self.0 {
            Kind::Ingest { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The organization that the scope may read; `None` is none, and the system reads all.
    pub(crate) fn organizations(&self) -> Organizations {
        match self.0 {
            Kind::Operator { organization, .. } => Organizations::One(organization),
            Kind::System => Organizations::All,
            Kind::Ingest { .. } => Organizations::None,
        }
    }
}

/// Whose projects a query may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Organizations {
    None,
    One(u64),
    All,
}
