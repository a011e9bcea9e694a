//! The SDK's report as a subject prints it: `produced=3 delivered=1 ... dropped.refused=2`.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) produced: u64,
    pub(crate) delivered: u64,
    pub(crate) spooled: u64,
    pub(crate) pending: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
}

impl Account {
    /// Reads an account, and checks that it balances: every one must.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let mut account = Self::default();
        for pair in text.split_whitespace() {
            let (name, value) = pair.split_once('=').expect("has a value");
            let value: u64 = value.parse().expect("is a number");
            match name {
                "produced" => account.produced = value,
                "delivered" => account.delivered = value,
                "spooled" => account.spooled = value,
                "pending" => account.pending = value,
                _ => {
                    let reason = name.strip_prefix("dropped.").expect("is a reason");
                    account.dropped.insert(reason.to_owned(), value);
                }
            }
        }
        let accounted = account.delivered + account.spooled + account.pending;
        assert_eq!(
            account.produced,
            accounted + account.dropped.values().sum::<u64>(),
            "the account balances: {account:?}"
        );
        account
    }

    pub(crate) fn dropped_for(&self, reason: &str) -> u64 {
        self.dropped.get(reason).copied().unwrap_or(0)
    }
}
