//! A menu with nested modules.

pub mod dishes {
    #[derive(Debug, Clone)]
    pub struct Dish {
        pub name: String,
        pub cents: u64,
    }

    pub mod list {
        use super::Dish;

        pub fn cheapest(dishes: &[Dish]) -> Option<&Dish> {
            let cheapest = dishes.iter().min_by_key(|dish| dish.cents).unwrap();
            Some(cheapest)
        }

        pub fn second(dishes: &[Dish]) -> Option<&Dish> {
            Some(&dishes[1])
        }

        pub(crate) fn name(dishes: &[Dish], at: usize) -> Option<String> {
            let name = dishes[at].name.clone();
            Some(name)
        }
    }
}

use dishes::Dish;

pub fn rename(dishes: &mut Vec<Dish>, at: usize, name: &str) {
    dishes[at].name = name.to_owned();
}

pub fn raise(dishes: &mut [Dish], at: usize, cents: u64) -> Option<u64> {
    dishes[at].cents += cents;
    Some(dishes[at].cents)
}

pub fn swap_names(dishes: &mut [Dish], at: usize, name: &mut String) -> Option<()> {
    std::mem::swap(&mut dishes[at].name, name);
    let _ = dishes::list::name(dishes, at);
    Some(())
}
