//! Price lists: what one piece costs whom.

use std::collections::BTreeMap;

use tracing::{debug, instrument};

use crate::Group;
use crate::catalog::PRODUCTS;

/// What one piece of each product costs a group of customers.
#[derive(Debug, Clone)]
pub struct PriceList {
    /// What the invoice calls it.
    pub name: &'static str,
    cents: BTreeMap<&'static str, u64>,
}

impl PriceList {
    /// The list that `group` buys from.
    #[instrument]
    pub fn of(group: Group) -> Self {
        let list = match group {
            Group::Retail => Self::retail(),
            Group::Trade => Self::wholesale(),
        };
        debug!(name = list.name, prices = list.cents.len(), "price list");
        list
    }

    /// What one piece of `sku` costs, where the list has a price for it.
    pub fn cents(&self, sku: &str) -> Option<u64> {
        self.cents.get(sku).copied()
    }

    fn retail() -> Self {
        let cents = PRODUCTS
            .iter()
            .map(|product| (product.sku, product.cents))
            .collect();
        Self {
            name: "retail",
            cents,
        }
    }

    fn wholesale() -> Self {
        let cents = PRODUCTS
            .iter()
            .filter_map(|product| Some((product.sku, product.wholesale_cents?)))
            .collect();
        Self {
            name: "wholesale",
            cents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retail_customers_pay_the_price_of_the_catalog() {
        let list = PriceList::of(Group::Retail);

        assert_eq!(list.cents("GIFT-WRAP"), Some(350));
    }

    #[test]
    fn trade_customers_pay_less() {
        let list = PriceList::of(Group::Trade);

        assert_eq!(list.cents("TEA-SENCHA"), Some(860));
    }
}
