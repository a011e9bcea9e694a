//! What tells the implementations of `ReportError` apart, so that a library that compiles against the facade
//! compiles where errors are reported.

/// For [`ReportError`](crate::ReportError): an error.
#[derive(Debug)]
pub struct Plain(());

/// For [`ReportError`](crate::ReportError): what lends its error as `dyn Error`.
#[derive(Debug)]
pub struct Lent(());

/// For [`ReportError`](crate::ReportError): a boxed error that may go to another thread.
#[derive(Debug)]
pub struct Boxed(());
