//! What the collector tells of itself.
