//! Orders as customers send them, and what the shop makes of them.

use orders::{Order, OrderError, Receipt, place_order};

#[test]
fn an_order_is_priced_with_its_parcel() {
    let receipt = place("name=Ann Lee&country=DE&items=TEA-SENCHA:2,MUG-STONE:1").unwrap();

    assert_eq!(receipt.quote.goods_cents, 2 * 1_290 + 1_800);
    assert_eq!(receipt.quote.shipping_cents, 490);
    assert_eq!(receipt.quote.total_cents(), 4_870);
}

#[test]
fn ten_of_a_kind_cost_five_percent_less() {
    let receipt = place("name=Ann Lee&country=FR&items=TEA-ASSAM:10").unwrap();

    assert_eq!(receipt.quote.goods_cents, 9_405);
}

#[test]
fn a_coupon_is_taken_off_the_goods() {
    let receipt = place("name=Ann Lee&country=NL&items=POT-GLASS:1&coupon=WELCOME-10").unwrap();

    assert_eq!(receipt.quote.coupon_cents, 320);
    assert_eq!(receipt.quote.total_cents(), 3_200 - 320 + 990);
}

#[test]
fn a_trade_customer_buys_at_wholesale() {
    let receipt =
        place("name=Café Nord&country=DE&group=trade&items=TEA-SENCHA:4,MUG-STONE:4").unwrap();

    assert_eq!(receipt.quote.goods_cents, 4 * 860 + 4 * 1_150);
}

#[test]
fn the_label_names_the_customer_and_the_country() {
    let receipt = place("name=Ann Lee&country=de&items=TIN-CADDY:1").unwrap();

    assert_eq!(receipt.label, "Ann Lee\nDE\n");
}

#[test]
fn the_invoice_lists_what_was_paid() {
    let receipt = place("name=Ann Lee&country=US&items=GIFT-WRAP:1,TEA-ASSAM:1").unwrap();

    let expected = "\
Invoice for Ann Lee

   1 x Gift wrapping
   1 x Assam, 100 g

Goods     13.40 EUR
Shipping  19.90 EUR
Total     33.30 EUR

This order earned 33 points.
";
    assert_eq!(receipt.invoice, expected);
}

#[test]
fn an_order_without_items_is_refused() {
    let refused = place("name=Ann Lee&country=DE&items=");

    assert_eq!(refused, Err(OrderError::Missing("items")));
}

#[test]
fn a_product_that_is_not_sold_is_refused() {
    let refused = place("name=Ann Lee&country=DE&items=COFFEE:1");

    assert_eq!(
        refused,
        Err(OrderError::UnknownProduct("COFFEE".to_owned()))
    );
}

#[test]
fn a_quantity_that_is_not_a_number_is_refused() {
    let refused = place("name=Ann Lee&country=DE&items=TEA-ASSAM:two");

    assert!(
        matches!(refused, Err(OrderError::NotANumber(_))),
        "{refused:?}"
    );
}

#[test]
fn a_quantity_out_of_range_is_refused() {
    for quantity in [0, 201] {
        let refused = place(&format!(
            "name=Ann Lee&country=DE&items=TEA-ASSAM:{quantity}"
        ));

        assert_eq!(refused, Err(OrderError::BadQuantity(quantity)));
    }
}

/// Places the order written in `form`, as the server does, without its escapes.
fn place(form: &str) -> Result<Receipt, OrderError> {
    let fields: Vec<_> = form
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    place_order(&Order::from_fields(&fields)?)
}
