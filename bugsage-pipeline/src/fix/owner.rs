//! The item that a body belongs to: its attributes, its visibility, and what it stands in.

use syn::visit::{self, Visit};
use syn::{Attribute, Signature, Visibility};

/// What an item stands in.
#[derive(Clone, Copy)]
pub(super) enum Container<'a> {
    Module(&'a syn::ItemMod),
    Impl(&'a syn::ItemImpl),
    Trait(&'a syn::ItemTrait),
    Function,
}

/// A function's item.
pub(super) struct Owner<'a> {
    pub(super) attrs: &'a [Attribute],
    pub(super) visibility: Option<&'a Visibility>,
    /// Outermost first.
    pub(super) containers: Vec<Container<'a>>,
}

impl<'a> Owner<'a> {
    /// Finds the item of a signature.
    pub(super) fn of(file: &'a syn::File, signature: &'a Signature) -> Option<Self> {
        let mut search = Search {
            signature,
            open: Vec::new(),
            found: None,
        };
        search.visit_file(file);
        search.found
    }

    /// Whether the function is built for tests only.
    pub(super) fn is_test(&self) -> bool {
        let around = self.containers.iter().any(|container| match container {
            Container::Module(module) => for_tests(&module.attrs),
            Container::Impl(item) => for_tests(&item.attrs),
            Container::Trait(item) => for_tests(&item.attrs),
            Container::Function => false,
        });
        around || for_tests(self.attrs)
    }

    /// The innermost `impl` block around the function.
    pub(super) fn implementation(&self) -> Option<&'a syn::ItemImpl> {
        match self.containers.last() {
            Some(Container::Impl(item)) => Some(item),
            _ => None,
        }
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, `#[cfg(all(test, unix))]`.
fn for_tests(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let last = attr.path().segments.last();
        let name = last.map(|segment| segment.ident.to_string());
        match (name.as_deref(), &attr.meta) {
            (Some("test" | "bench" | "rstest" | "test_case"), _) => true,
            (Some("cfg"), syn::Meta::List(list)) => {
                let tokens = list.tokens.to_string();
                let mut words = tokens.split(|c: char| !c.is_alphanumeric() && c != '_');
                words.any(|word| word == "test") && !tokens.contains("not")
            }
            _ => false,
        }
    })
}

struct Search<'a> {
    signature: &'a Signature,
    open: Vec<Container<'a>>,
    found: Option<Owner<'a>>,
}

impl<'a> Search<'a> {
    fn inside(&mut self, container: Container<'a>, visit: impl FnOnce(&mut Self)) {
        self.open.push(container);
        visit(self);
        self.open.pop();
    }

    fn meet(
        &mut self,
        signature: &'a Signature,
        attrs: &'a [Attribute],
        visibility: Option<&'a Visibility>,
    ) {
        if std::ptr::eq(signature, self.signature) {
            self.found = Some(Owner {
                attrs,
                visibility,
                containers: self.open.clone(),
            });
        }
    }
}

impl<'a> Visit<'a> for Search<'a> {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        self.inside(Container::Module(module), |this| {
            visit::visit_item_mod(this, module);
        });
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        self.inside(Container::Impl(item), |this| {
            visit::visit_item_impl(this, item);
        });
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.inside(Container::Trait(item), |this| {
            visit::visit_item_trait(this, item);
        });
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.meet(&item.sig, &item.attrs, Some(&item.vis));
        self.inside(Container::Function, |this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.meet(&item.sig, &item.attrs, Some(&item.vis));
        self.inside(Container::Function, |this| {
            visit::visit_impl_item_fn(this, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        self.meet(&item.sig, &item.attrs, None);
        self.inside(Container::Function, |this| {
            visit::visit_trait_item_fn(this, item);
        });
    }
}
