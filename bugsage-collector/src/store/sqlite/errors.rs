//! What errors of the database mean for whoever has asked.

use rusqlite::types::FromSqlError;
use rusqlite::{ErrorCode, ffi};

use crate::store::StoreError;

/// Any other error of the database, by what it means for whoever writes.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
        let is_sync = matches!(
            extended,
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC
        );
        let is_damage = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        );
        if is_sync {
            return StoreError::Failed(format!("a sync failed: {error}"));
        }
        if is_damage {
            return StoreError::Damaged(error.to_string());
        }
        StoreError::Unavailable(error.to_string())
    }
}

/// A column is not what it should be.
impl From<FromSqlError> for StoreError {
    fn from(error: FromSqlError) -> Self {
        StoreError::Unavailable(error.to_string())
    }
}
