//! Works out small expressions with the numbers that a panic's message gave.
//!
//! `items[next + 1]` failed with index 7, so `next` was 6; the check `next <= items.len()` let it
//! through, since 6 <= 7. Whatever is not plain arithmetic has no value.

use syn::{BinOp, Expr, Lit, UnOp};

use crate::analyze::names::mentions;
use crate::analyze::scope::{Origin, Scope};
use crate::analyze::syntax::SourceTree;
use crate::limits;

/// What is known of the values of expressions, by their text in the source.
#[derive(Clone, Default)]
pub(crate) struct Known {
    values: Vec<(String, i128)>,
    /// Whether nothing may be learned, since the numbers may be those of another expression.
    doubtful: bool,
}

/// What an expression comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Number(i128),
    Truth(bool),
}

impl Known {
    /// Learns nothing: for numbers that may be those of another expression.
    pub(crate) fn doubtful() -> Self {
        Known {
            doubtful: true,
            ..Known::default()
        }
    }

    pub(crate) fn learn(&mut self, text: impl Into<String>, value: i128) {
        let text = text.into();
        if !self.doubtful && self.value(&text).is_none() {
            self.values.push((text, value));
        }
    }

    pub(crate) fn value(&self, text: &str) -> Option<i128> {
        self.values
            .iter()
            .find(|(known, _)| known == text)
            .map(|(_, value)| *value)
    }

    /// Learns an expression's value, and what follows from it for the parts that it is made of.
    pub(crate) fn learn_expr(&mut self, view: View<'_, '_>, expr: &Expr, value: i128) {
        self.learn_within(view, expr, value, limits::TRACE_DEPTH_MAX);
    }

    fn learn_within(&mut self, view: View<'_, '_>, expr: &Expr, value: i128, depth: usize) {
        self.learn(view.tree.text(expr), value);
        match expr {
            Expr::Paren(paren) => self.learn_within(view, &paren.expr, value, depth),
            Expr::Reference(reference) => self.learn_within(view, &reference.expr, value, depth),
            // A value that fits is the same in every integer type.
            Expr::Cast(cast) if value >= 0 => self.learn_within(view, &cast.expr, value, depth),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => {
                self.learn_within(view, &unary.expr, value, depth);
            }
            Expr::Binary(binary) => {
                let left = view.number(&binary.left, self);
                let right = view.number(&binary.right, self);
                let (part, solved) = match (&binary.op, left, right) {
                    (BinOp::Add(_), Some(left), None) => (&binary.right, value.checked_sub(left)),
                    (BinOp::Add(_), None, Some(right)) => (&binary.left, value.checked_sub(right)),
                    (BinOp::Sub(_), Some(left), None) => (&binary.right, left.checked_sub(value)),
                    (BinOp::Sub(_), None, Some(right)) => (&binary.left, value.checked_add(right)),
                    _ => return,
                };
                if let Some(solved) = solved {
                    self.learn_within(view, part, solved, depth);
                }
            }
            Expr::Path(_) if depth > 0 => {
                if let Some(init) = view.unchanged_init(expr) {
                    self.learn_within(view, init, value, depth - 1);
                }
            }
            _ => {}
        }
    }
}

/// The source around an expression whose value is asked for.
#[derive(Clone, Copy)]
pub(crate) struct View<'v, 'a> {
    pub(crate) tree: &'v SourceTree<'a>,
    pub(crate) scope: &'v Scope<'a>,
}

impl<'a> View<'_, 'a> {
    /// What an expression comes to, as far as it is known.
    pub(crate) fn value(self, expr: &Expr, known: &Known) -> Option<Value> {
        self.value_within(expr, known, limits::TRACE_DEPTH_MAX)
    }

    pub(crate) fn number(self, expr: &Expr, known: &Known) -> Option<i128> {
        match self.value(expr, known)? {
            Value::Number(number) => Some(number),
            Value::Truth(_) => None,
        }
    }

    fn value_within(self, expr: &Expr, known: &Known, depth: usize) -> Option<Value> {
        if let Some(number) = known.value(&self.tree.text(expr)) {
            return Some(Value::Number(number));
        }
        let value = |expr: &Expr| self.value_within(expr, known, depth);
        match expr {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(int) => int.base10_parse().ok().map(Value::Number),
                Lit::Bool(truth) => Some(Value::Truth(truth.value)),
                _ => None,
            },
            Expr::Paren(paren) => value(&paren.expr),
            Expr::Reference(reference) => value(&reference.expr),
            Expr::Cast(cast) => match value(&cast.expr)? {
                number @ Value::Number(0..) => Some(number),
                _ => None,
            },
            Expr::Unary(unary) => match (&unary.op, value(&unary.expr)?) {
                (UnOp::Not(_), Value::Truth(truth)) => Some(Value::Truth(!truth)),
                (UnOp::Neg(_), Value::Number(number)) => number.checked_neg().map(Value::Number),
                (UnOp::Deref(_), value) => Some(value),
                _ => None,
            },
            Expr::Binary(binary) => {
                let left = value(&binary.left);
                // Logic may be decided by one side alone.
                match (&binary.op, left) {
                    (BinOp::And(_), Some(Value::Truth(false))) => return left,
                    (BinOp::Or(_), Some(Value::Truth(true))) => return left,
                    _ => {}
                }
                combine(&binary.op, left?, value(&binary.right)?)
            }
            // `v.is_empty()` is `v.len() == 0`.
            Expr::MethodCall(call) if call.method == "is_empty" && call.args.is_empty() => {
                let len = format!("{}.len()", self.tree.text(&call.receiver));
                known.value(&len).map(|len| Value::Truth(len == 0))
            }
            Expr::Path(_) if depth > 0 => {
                let init = self.unchanged_init(expr)?;
                self.value_within(init, known, depth - 1)
            }
            _ => None,
        }
    }

    /// What a name was bound to by a plain `let`, unless the function changes it. A name that is
    /// bound to itself, as `let n = n + 1` does, means two things and has no value here.
    fn unchanged_init(self, expr: &Expr) -> Option<&'a Expr> {
        let name = plain_name(expr)?;
        let binding = self.scope.binding(&name)?;
        let Origin::Let { init: Some(init) } = binding.origin else {
            return None;
        };
        let changed = self
            .scope
            .changes
            .iter()
            .any(|change| change.target == name);
        (!changed && !mentions(self.tree, init, &name)).then_some(init)
    }
}

fn combine(operator: &BinOp, left: Value, right: Value) -> Option<Value> {
    use Value::{Number, Truth};
    Some(match (operator, left, right) {
        (BinOp::And(_), Truth(a), Truth(b)) => Truth(a && b),
        (BinOp::Or(_), Truth(a), Truth(b)) => Truth(a || b),
        (BinOp::Add(_), Number(a), Number(b)) => Number(a.checked_add(b)?),
        (BinOp::Sub(_), Number(a), Number(b)) => Number(a.checked_sub(b)?),
        (BinOp::Mul(_), Number(a), Number(b)) => Number(a.checked_mul(b)?),
        (BinOp::Div(_), Number(a), Number(b)) => Number(a.checked_div(b)?),
        (BinOp::Rem(_), Number(a), Number(b)) => Number(a.checked_rem(b)?),
        (BinOp::Eq(_), a, b) => Truth(a == b),
        (BinOp::Ne(_), a, b) => Truth(a != b),
        (BinOp::Lt(_), Number(a), Number(b)) => Truth(a < b),
        (BinOp::Le(_), Number(a), Number(b)) => Truth(a <= b),
        (BinOp::Gt(_), Number(a), Number(b)) => Truth(a > b),
        (BinOp::Ge(_), Number(a), Number(b)) => Truth(a >= b),
        _ => return None,
    })
}

/// The name that an expression is, if it is one name alone.
pub(crate) fn plain_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Paren(paren) => plain_name(&paren.expr),
        Expr::Reference(reference) => plain_name(&reference.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => plain_name(&unary.expr),
        _ => None,
    }
}
