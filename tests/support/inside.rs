//! A collector in this process, for what no process of its own could be told: a disk that fails, a fault
//! in the program.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use bugsage_collector::app::{App, Setup};
use bugsage_collector::config::Config;
use tokio::sync::oneshot;

use super::client::Client;
use super::collector::{Folder, Project};

/// A collector that runs. Dropped, it ends as if it was asked to.
pub(crate) struct Inside {
    address: SocketAddr,
    project: Project,
    folder: Option<Folder>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    /// Starts one with a project, on a configuration that is changed first.
    pub(crate) fn start(change: impl FnOnce(&mut Setup)) -> Self {
        let folder = Folder::new();
        let project = folder.create_project("shop", None);
        Self::start_on(folder, project, change)
    }

    /// Starts one on what another has left.
    pub(crate) fn start_on(
        folder: Folder,
        project: Project,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            ..Config::default()
        };
        let mut setup = Setup::new(folder.data(), config);
        change(&mut setup);
        let (stop, stopped) = oneshot::channel();
        let (said, address) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("threads can be started");
            runtime.block_on(async {
                let app = App::start(setup).await.expect("the folder is free");
                said.send(app.address()).expect("the story waits for it");
                let stop = async { drop(stopped.await) };
                app.run(stop).await.expect("it ends well");
            });
        });
        Self {
            address: address.recv().expect("the collector starts"),
            project,
            folder: Some(folder),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    pub(crate) fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("is taken at the end")
    }

    pub(crate) fn stop(mut self) -> (Project, Folder) {
        self.end();
        let folder = self.folder.take().expect("is taken once");
        (self.project.clone(), folder)
    }

    fn end(&mut self) {
        // Dropped, it tells the collector to stop.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the collector panicked"
            );
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.end();
    }
}
