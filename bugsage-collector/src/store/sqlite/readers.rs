//! Connections that only read: a few, used again and again.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::StoreError;

use super::{OpenOptions, open};

/// Connections for reading. Queries are short; two cores have no use for more.
const READERS_MAX: usize = 4;

pub(super) struct Readers {
    options: OpenOptions,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(options: OpenOptions) -> Self {
        Self {
            options,
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(READERS_MAX),
        }
    }

    /// Runs a query off the async threads.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.permits.acquire().await;
        let _permit = permit.map_err(|_| StoreError::Unavailable("is closing".to_owned()))?;
        let readers = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let idle = readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open::for_reading(&readers.options)?,
            };
            // What a reader meets says nothing about what was written.
            let result = query(&connection).map_err(|error| match error {
                StoreError::Failed(reason) => StoreError::Unavailable(reason),
                error => error,
            });
            readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            result
        });
        task.await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Lets no more queries in, and ends the connections that nobody uses.
    pub(super) fn close(&self) {
        self.permits.close();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }
}
