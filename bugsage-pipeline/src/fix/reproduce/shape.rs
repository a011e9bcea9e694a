//! The types that a recorded field can rebuild.

use syn::{Expr, Lit, Type};

use crate::fix::returns::{last, type_arguments};

/// A type whose values can be read from text and written as literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Bool,
    Integer(Integer),
    Char,
    /// `str`, behind a reference.
    Str,
    String,
    Option(Box<Shape>),
    Vec(Box<Shape>),
    /// `[T]`, behind a reference.
    Slice(Box<Shape>),
    /// `[T; N]`, with its length where that is a number.
    Array(Box<Shape>, Option<usize>),
    Reference {
        mutable: bool,
        to: Box<Shape>,
    },
}

/// An integer type by its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Integer {
    bits: u32,
    is_signed: bool,
}

impl Integer {
    fn named(name: &str) -> Option<Self> {
        let (is_signed, width) = match name.split_at_checked(1)? {
            ("u", width) => (false, width),
            ("i", width) => (true, width),
            _ => return None,
        };
        let bits = match width {
            "8" => 8,
            "16" => 16,
            "32" => 32,
            "64" | "size" => 64,
            "128" => 128,
            _ => return None,
        };
        Some(Integer { bits, is_signed })
    }

    /// Whether the type has a number, given in decimal.
    pub(super) fn holds(self, number: &str) -> bool {
        let digits = number.strip_prefix('-').unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        if self.is_signed {
            let unused = 128 - self.bits;
            let (min, max) = (i128::MIN >> unused, i128::MAX >> unused);
            number
                .parse()
                .is_ok_and(|number: i128| (min..=max).contains(&number))
        } else {
            let max = u128::MAX >> (128 - self.bits);
            number.parse().is_ok_and(|number: u128| number <= max)
        }
    }
}

/// Reads a parameter's type. `None` for types that text cannot rebuild.
pub(super) fn shape(ty: &Type) -> Option<Shape> {
    shape_at(ty, 0)
}

/// Types nest twice at most: `Vec<Option<u8>>` behind a reference.
const DEPTH_MAX: usize = 4;

fn shape_at(ty: &Type, depth: usize) -> Option<Shape> {
    if depth > DEPTH_MAX {
        return None;
    }
    let inner = |ty: &Type| {
        shape_at(ty, depth + 1)
            .filter(Shape::is_sized)
            .map(Box::new)
    };
    match ty {
        Type::Paren(paren) => shape_at(&paren.elem, depth),
        Type::Reference(reference) => {
            let to = match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => Shape::Str,
                Type::Slice(slice) => Shape::Slice(inner(&slice.elem)?),
                ty => *inner(ty)?,
            };
            let mutable = reference.mutability.is_some();
            let is_text = to == Shape::Str;
            (!(mutable && is_text)).then(|| Shape::Reference {
                mutable,
                to: Box::new(to),
            })
        }
        Type::Array(array) => {
            let length = match &array.len {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Int(length) => Some(length.base10_parse().ok()?),
                    _ => None,
                },
                _ => None,
            };
            Some(Shape::Array(inner(&array.elem)?, length))
        }
        Type::Path(path) if path.qself.is_none() => {
            let name = last(&path.path)?;
            match (&*name, type_arguments(&path.path).as_slice()) {
                ("bool", []) => Some(Shape::Bool),
                ("char", []) => Some(Shape::Char),
                ("String", []) => Some(Shape::String),
                ("Option", [of]) => Some(Shape::Option(inner(of)?)),
                ("Vec", [of]) => Some(Shape::Vec(inner(of)?)),
                (name, []) => Integer::named(name).map(Shape::Integer),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Shape {
    fn is_sized(&self) -> bool {
        !matches!(self, Shape::Str | Shape::Slice(_))
    }
}
