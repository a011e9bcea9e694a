//! The stock: containers, cells and numbers.

use crate::black_box;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub fn reserve_while_counting() {
    let stock = RefCell::new(vec![3_u32, 4]);
    let counted = stock.borrow();
    reserve(&stock, 1);
    black_box(counted.len());
}

fn reserve(stock: &RefCell<Vec<u32>>, at: usize) {
    stock.borrow_mut()[at] -= 1;
}

pub fn count_while_restocking() {
    let stock = RefCell::new(vec![3_u32, 4]);
    let mut changed = stock.borrow_mut();
    changed.push(count(&stock));
}

fn count(stock: &RefCell<Vec<u32>>) -> u32 {
    stock.borrow().iter().sum()
}

pub fn shelf_without_label() {
    let shelves: HashMap<&str, u32> = HashMap::from([("A1", 3)]);
    black_box(on_shelf(&shelves, black_box("B7")));
}

fn on_shelf(shelves: &HashMap<&str, u32>, label: &str) -> u32 {
    shelves[label]
}

pub fn aisle_without_shelves() {
    let aisles: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    black_box(first_shelf(&aisles, black_box(4)));
}

fn first_shelf(aisles: &BTreeMap<u32, Vec<u32>>, aisle: u32) -> u32 {
    let (_, shelves) = aisles.range(aisle..).next().expect("an aisle is left");
    shelves[0]
}

pub fn range_that_ends_before_it_begins() {
    let boxes = [1_u32, 2, 3, 4];
    black_box(window(&boxes, black_box(3), black_box(1)).len());
}

pub fn range_beyond_the_last_box() {
    let boxes = [1_u32, 2, 3, 4];
    black_box(tail(&boxes, black_box(9)).len());
}

fn window(boxes: &[u32], from: usize, to: usize) -> &[u32] {
    &boxes[from..to]
}

fn tail(boxes: &[u32], from: usize) -> &[u32] {
    &boxes[from..]
}

pub fn more_than_a_label_can_say() {
    black_box(label_number(black_box(300)));
}

fn label_number(count: u32) -> u8 {
    u8::try_from(count).unwrap()
}

pub fn pallet_that_was_taken() {
    let mut pallets = vec![1_u32, 2];
    black_box(take_pallet(&mut pallets, black_box(5)));
}

fn take_pallet(pallets: &mut Vec<u32>, at: usize) -> u32 {
    pallets.remove(at)
}

pub fn pallet_that_is_swapped() {
    let mut pallets = vec![1_u32, 2];
    black_box(swap_pallet(&mut pallets, black_box(5)));
}

fn swap_pallet(pallets: &mut Vec<u32>, at: usize) -> u32 {
    pallets.swap_remove(at)
}

pub fn queue_that_is_shorter() {
    let queue: VecDeque<u32> = (0..3).collect();
    black_box(waiting_at(&queue, black_box(7)));
}

fn waiting_at(queue: &VecDeque<u32>, at: usize) -> u32 {
    queue[at]
}

pub fn copies_of_other_lengths() {
    let mut to = vec![0_u8; 4];
    copy_label(&mut to, &black_box([1_u8, 2, 3]));
    black_box(to);
}

fn copy_label(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

pub fn boxes_of_no_size() {
    let boxes = [1_u32, 2, 3];
    black_box(pack(&boxes, black_box(0)));
}

fn pack(boxes: &[u32], size: usize) -> usize {
    boxes.chunks(size).count()
}

pub fn shared_shelf_is_taken_apart() {
    let shelf = Rc::new(String::from("A1"));
    let other = shelf.clone();
    black_box(take_apart(shelf).len());
    black_box(other.len());
}

fn take_apart(shelf: Rc<String>) -> String {
    Rc::try_unwrap(shelf).unwrap()
}

pub fn delivery_before_the_order() {
    black_box(waited(
        black_box(Duration::from_secs(1)),
        black_box(Duration::from_secs(2)),
    ));
}

fn waited(delivered: Duration, ordered: Duration) -> Duration {
    delivered - ordered
}

pub fn split_beyond_the_end() {
    let boxes = [1_u32, 2, 3];
    black_box(halves(&boxes, black_box(8)));
}

fn halves(boxes: &[u32], at: usize) -> usize {
    let (left, right) = boxes.split_at(at);
    left.len() * right.len()
}

/// One function, and what it fails in is a closure of its own.
pub fn inventory_of_unknown_weight() {
    let weights = black_box([Some(3.0_f64), None, Some(2.0)]);
    let heavy: Vec<f64> = weights.iter().map(|weight| weight.unwrap() * 2.0).collect();
    black_box(heavy.len());
}

/// Two closures of one function, of which each has a bug of the same class.
pub fn first_closure_of_two() {
    black_box(weigh(black_box(&[None, Some(1)]), black_box(&[Some(2)])));
}

pub fn second_closure_of_two() {
    black_box(weigh(black_box(&[Some(1)]), black_box(&[None])));
}

fn weigh(boxes: &[Option<u32>], pallets: &[Option<u32>]) -> u32 {
    let boxes: u32 = boxes.iter().map(|weight| weight.unwrap() + 1).sum();
    let pallets: u32 = pallets.iter().map(|weight| weight.unwrap() * 20).sum();
    boxes + pallets
}

pub fn weights_that_cannot_be_sorted() {
    let mut weights = black_box(vec![1.0, f64::NAN, 0.5]);
    sort(&mut weights);
    black_box(weights);
}

fn sort(weights: &mut [f64]) {
    weights.sort_by(|left, right| left.partial_cmp(right).unwrap());
}

pub fn clock_that_went_back() {
    let now = Instant::now();
    black_box(before(now, black_box(Duration::from_secs(u64::MAX / 2))));
}

fn before(now: Instant, by: Duration) -> Instant {
    now - by
}
