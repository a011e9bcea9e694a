//! What the shop sells.

use crate::OrderError;

/// Something the shop sells.
#[derive(Debug, PartialEq, Eq)]
pub struct Product {
    /// The number it is ordered by.
    pub sku: &'static str,
    /// What the invoice calls it.
    pub title: &'static str,
    /// What one piece costs.
    pub cents: u64,
    /// What one piece costs a trade customer, where that was agreed upon.
    pub wholesale_cents: Option<u64>,
    /// What one piece weighs, wrapped.
    pub grams: u32,
}

/// Everything the shop sells, by SKU.
pub const PRODUCTS: &[Product] = &[
    product("GIFT-WRAP", "Gift wrapping", 350, None, 20),
    product("MUG-STONE", "Stoneware mug", 1_800, Some(1_150), 420),
    product("POT-CAST", "Cast iron teapot", 7_900, Some(5_600), 1_650),
    product("POT-GLASS", "Glass teapot", 3_200, Some(2_150), 780),
    product("TEA-ASSAM", "Assam, 100 g", 990, Some(640), 130),
    product("TEA-SAMPLER", "Tea sampler", 2_490, None, 300),
    product("TEA-SENCHA", "Sencha, 100 g", 1_290, Some(860), 130),
    product("TIN-CADDY", "Tea caddy", 1_450, Some(900), 240),
];

const fn product(
    sku: &'static str,
    title: &'static str,
    cents: u64,
    wholesale_cents: Option<u64>,
    grams: u32,
) -> Product {
    Product {
        sku,
        title,
        cents,
        wholesale_cents,
        grams,
    }
}

/// Finds the product with the number `sku`, in any case.
///
/// # Errors
///
/// [`OrderError::UnknownProduct`] when there is none.
pub fn find(sku: &str) -> Result<&'static Product, OrderError> {
    PRODUCTS
        .iter()
        .find(|product| product.sku.eq_ignore_ascii_case(sku))
        .ok_or_else(|| OrderError::UnknownProduct(sku.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_found_in_any_case() {
        let product = find("tea-sencha").unwrap();

        assert_eq!(product.title, "Sencha, 100 g");
    }

    #[test]
    fn no_two_products_share_a_number() {
        for (index, product) in PRODUCTS.iter().enumerate() {
            let first = PRODUCTS.iter().position(|other| other.sku == product.sku);
            assert_eq!(first, Some(index), "{}", product.sku);
        }
    }
}
