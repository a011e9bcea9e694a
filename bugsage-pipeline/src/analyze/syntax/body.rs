//! The functions, constants and statics of a file.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Signature};

use crate::analyze::syntax::line_of;

/// What an expression stands in: a function, or the value of a constant or a static.
#[derive(Clone)]
pub(crate) struct Body<'a> {
    /// Modules and the type, outermost first, then the name: `["cart", "Cart", "total"]`.
    pub(crate) path: Vec<String>,
    pub(crate) signature: Option<&'a Signature>,
    pub(crate) content: Content<'a>,
    pub(crate) first_line: u32,
    pub(crate) last_line: u32,
    pub(crate) is_test: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    Block(&'a Block),
    Value(&'a Expr),
}

impl Body<'_> {
    /// The name with its type, without modules: `Cart::total`.
    pub(crate) fn name(&self) -> String {
        self.path.join("::")
    }

    /// The last line of a function's head, with the bracket that opens its body.
    pub(crate) fn head_line(&self) -> u32 {
        match self.content {
            Content::Block(block) => block.brace_token.span.open().start().line as u32,
            Content::Value(_) => 0,
        }
    }

    pub(crate) fn simple_name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

/// Lists functions, constants and statics with the path to them.
#[derive(Default)]
pub(super) struct Bodies<'a> {
    path: Vec<String>,
    in_tests: bool,
    pub(super) found: Vec<Body<'a>>,
}

impl<'a> Bodies<'a> {
    fn inside(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.path.push(name);
        visit(self);
        self.path.pop();
    }

    fn function(&mut self, attrs: &[syn::Attribute], signature: &'a Signature, block: &'a Block) {
        let is_test = self.in_tests
            || attrs.iter().any(|attr| {
                attr.path()
                    .segments
                    .last()
                    .is_some_and(|segment| segment.ident == "test")
            });
        self.inside(signature.ident.to_string(), |this| {
            this.found.push(Body {
                path: this.path.clone(),
                signature: Some(signature),
                content: Content::Block(block),
                first_line: line_of(&signature.fn_token),
                last_line: block.brace_token.span.close().end().line as u32,
                is_test,
            });
            this.visit_block(block);
        });
    }

    fn value(&mut self, name: String, value: &'a Expr) {
        let span = value.span();
        self.inside(name, |this| {
            this.found.push(Body {
                path: this.path.clone(),
                signature: None,
                content: Content::Value(value),
                first_line: span.start().line as u32,
                last_line: span.end().line as u32,
                is_test: this.in_tests,
            });
            this.visit_expr(value);
        });
    }
}

impl<'a> Visit<'a> for Bodies<'a> {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        let in_tests = self.in_tests;
        self.in_tests |= module.attrs.iter().any(|attr| {
            matches!(&attr.meta, syn::Meta::List(list)
                if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
        });
        self.inside(module.ident.to_string(), |this| {
            visit::visit_item_mod(this, module)
        });
        self.in_tests = in_tests;
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        let name = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.inside(name.unwrap_or_else(|| "impl".into()), |this| {
            visit::visit_item_impl(this, item);
        });
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.inside(item.ident.to_string(), |this| {
            visit::visit_item_trait(this, item)
        });
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.attrs, &item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        self.value(item.ident.to_string(), &item.expr);
    }

    fn visit_item_static(&mut self, item: &'a syn::ItemStatic) {
        self.value(item.ident.to_string(), &item.expr);
    }
}
