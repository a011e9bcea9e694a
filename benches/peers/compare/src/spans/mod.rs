//! What spans, breadcrumbs and errors cost with each layer, and whether BugSage keeps to its goals.

mod plays;
mod goal;
mod table;

use anyhow::ensure;

use crate::server::Server;
use crate::{ROUNDS, Spool, finish, start};

use plays::{IDLE, PLAYS, Play};
pub(crate) use table::Table;

/// A program, and where its figures stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Bare,
    Layered,
    BugSage,
    Sentry,
    Native,
    Fastrace,
}

impl Column {
    const ALL: [Self; 6] = [
        Self::Bare,
        Self::Layered,
        Self::BugSage,
        Self::Sentry,
        Self::Native,
        Self::Fastrace,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layered => "layered",
            Self::BugSage => "bugsage",
            Self::Sentry => "sentry",
            Self::Native => "native",
            Self::Fastrace => "fastrace",
        }
    }
}

pub(crate) fn compare() -> anyhow::Result<Table> {
    let mut table = Table::default();
    for round in 1..=ROUNDS {
        for play in &PLAYS {
            for column in play.columns {
                one(play, *column, &mut table)?;
            }
        }
        eprintln!("round {round} of {ROUNDS} is done");
    }
    idle(&mut table)?;
    Ok(table)
}

fn one(play: &Play, column: Column, table: &mut Table) -> anyhow::Result<()> {
    let spool = Spool::new();
    let server = play.network.map(Server::start).transpose()?;
    let dsn = server.as_ref().map(Server::dsn);
    let rate = format!("{:?}", play.rate);
    let mut words = vec![play.scene, &*rate];
    words.extend(dsn.as_deref());
    let program = format!("spans-{}", column.name());
    let figures = finish(start(&program, &words, &spool.0)?)?;
    ensure!(!figures.is_empty(), "{program} hangs in {words:?}");
    for (figure, value) in figures {
        table.add(play, figure, column, value);
    }
    Ok(())
}

/// All at once, since none of them does anything.
fn idle(table: &mut Table) -> anyhow::Result<()> {
    let mut playing = Vec::new();
    for _ in 0..ROUNDS {
        for column in IDLE.columns {
            let spool = Spool::new();
            let program = format!("spans-{}", column.name());
            playing.push((
                start(&program, &[IDLE.scene, "1.0"], &spool.0)?,
                column,
                spool,
            ));
        }
    }
    for (playing, column, _spool) in playing {
        for (figure, value) in finish(playing)? {
            table.add(&IDLE, figure, *column, value);
        }
    }
    Ok(())
}
