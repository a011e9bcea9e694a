//! Tells a cause from the function that it lies in: where values come from, what was checked on the
//! way, and what was not.
//!
//! Every sentence rests on lines of the source, which are kept beside it.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::{Expr, Pat, RangeLimits};

use crate::analyze::Context;
use crate::analyze::names::{mentions, names, unparenthesized};
use crate::analyze::scope::{Checked, Condition, Origin};
use crate::analyze::syntax::{Body, SourceTree};
use crate::analyze::value::{Known, Value, View};
use crate::evidence::Untrusted;
use crate::limits;

/// A root cause while it is being told.
pub(crate) struct Story<'s, 'a> {
    pub(crate) view: View<'s, 'a>,
    pub(crate) body: &'s Body<'a>,
    pub(crate) context: &'s Context<'s>,
    /// What the message and the conclusions from it say about values.
    pub(crate) known: Known,
    pub(crate) sentences: Vec<String>,
    /// The lines that the sentences rest on.
    pub(crate) lines: BTreeSet<u32>,
    /// Whether a value was followed to where it enters the function.
    pub(crate) traced: bool,
    /// Whether the numbers prove that a check let the failing value through.
    pub(crate) proved: bool,
    /// The names that were followed.
    pub(crate) told: BTreeSet<String>,
}

impl<'s, 'a> Story<'s, 'a> {
    pub(crate) fn new(view: View<'s, 'a>, body: &'s Body<'a>, context: &'s Context<'s>) -> Self {
        Story {
            view,
            body,
            context,
            known: Known::default(),
            sentences: Vec::new(),
            lines: BTreeSet::new(),
            traced: false,
            proved: false,
            told: BTreeSet::new(),
        }
    }

    pub(crate) fn tree(&self) -> &'s SourceTree<'a> {
        self.view.tree
    }

    pub(crate) fn text(&self, syntax: &impl Spanned) -> String {
        self.view.tree.text(syntax)
    }

    pub(crate) fn say(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if self.sentences.len() < limits::SENTENCES_MAX && !self.sentences.contains(&sentence) {
            self.sentences.push(sentence);
        }
    }

    /// Says where the values of an expression come from.
    pub(crate) fn trace(&mut self, expr: &Expr) {
        self.trace_within(expr, limits::TRACE_DEPTH_MAX);
    }

    fn trace_within(&mut self, expr: &Expr, depth: usize) {
        for name in names(self.tree(), expr) {
            if self.told.insert(name.clone()) {
                self.trace_name(&name, depth);
            }
        }
    }

    fn trace_name(&mut self, name: &str, depth: usize) {
        let value = match self.known.value(name) {
            Some(value) => format!(" It was {value} here."),
            None => String::new(),
        };
        let Some(binding) = self.view.scope.binding(name) else {
            return self.trace_outside(name, &value);
        };
        let line = binding.line;
        // What a closure would do if it were called is no value.
        if matches!(
            binding.origin,
            Origin::Let {
                init: Some(Expr::Closure(_))
            }
        ) {
            return;
        }
        self.lines.insert(line);
        match binding.origin {
            Origin::Parameter { position, ty } => {
                self.traced = true;
                let ty = ty
                    .map(|ty| format!(": {}", self.text(ty)))
                    .unwrap_or_default();
                let function = self.body.simple_name();
                self.say(format!(
                    "`{name}{ty}` is a parameter of `{function}` (line {line}).{value}"
                ));
                self.say_recorded(name);
                self.say_passed(name, position);
            }
            Origin::Let { init: Some(init) } => {
                let init_text = self.text(init);
                self.say(format!("`{name}` is `{init_text}` (line {line}).{value}"));
                self.say_recorded(name);
                self.follow(init, depth);
            }
            Origin::Let { init: None } => {
                self.say(format!(
                    "`{name}` is declared on line {line} and set later.{value}"
                ));
            }
            Origin::Part { from, pattern } => {
                let (from_text, pattern) = (self.text(from), self.pattern_text(pattern));
                self.say(format!(
                    "`{name}` comes out of `{from_text}` by the pattern `{pattern}` (line {line}).{value}"
                ));
                self.follow(from, depth);
            }
            Origin::Loop { over } => {
                let text = self.text(over);
                self.say(format!("`{name}` runs over `{text}` (line {line}).{value}"));
                self.say_inclusive(name, over);
                self.follow(over, depth);
            }
            Origin::Closure { call: Some(call) } => {
                let (method, receiver) = (call.method.to_string(), self.text(&call.receiver));
                self.say(format!(
                    "`{name}` is what `{method}` on `{receiver}` hands to the closure (line {line}).{value}"
                ));
                self.follow(&call.receiver, depth);
            }
            Origin::Closure { call: None } => {
                self.traced = true;
                self.say(format!(
                    "`{name}` is a parameter of a closure (line {line}).{value}"
                ));
            }
        }
        let changes: Vec<u32> = self
            .view
            .scope
            .changes_of(name, line + 1, u32::MAX)
            .map(|change| change.line)
            .collect();
        if let Some(last) = changes.last() {
            self.lines.extend(changes.iter().take(3));
            self.say(format!("`{name}` is changed on line {last}."));
        }
    }

    fn follow(&mut self, expr: &Expr, depth: usize) {
        if depth > 0 {
            self.trace_within(expr, depth - 1);
        }
        if names(self.tree(), expr).is_empty() {
            self.traced = true;
        }
    }

    /// A name that no binding of the function explains: a constant, a static or a field of `self`.
    fn trace_outside(&mut self, name: &str, value: &str) {
        if name.starts_with("self.") {
            self.traced = true;
            if !value.is_empty() {
                self.say(format!("`{name}` is a field.{value}"));
            }
            return;
        }
        let bodies = self.tree().bodies();
        let constant = bodies
            .iter()
            .find(|body| body.signature.is_none() && body.simple_name() == name);
        if let Some(constant) = constant {
            let line = constant.first_line;
            self.traced = true;
            self.lines.insert(line);
            let text = self.tree().line(line).to_owned();
            self.say(format!("`{name}` is a constant: `{text}` (line {line})."));
        }
    }

    fn pattern_text(&self, pattern: &Pat) -> String {
        match pattern {
            Pat::Guard(guarded) => self.text(&*guarded.pat),
            pattern => self.text(pattern),
        }
    }

    /// What the app's own spans recorded under the name of a parameter or variable.
    fn say_recorded(&mut self, name: &str) {
        let function = self.body.simple_name();
        let found =
            self.context.recorded.iter().find(|recorded| {
                recorded.field.as_str() == name && recorded.span.as_str() == function
            });
        if let Some(recorded) = found {
            let mut values = recorded.values.iter().map(|value| match value.quote() {
                text if text.is_empty() => "an empty text".to_owned(),
                text => format!("`{text}`"),
            });
            let Some(own) = values.next() else { return };
            let others: Vec<String> = values.collect();
            let others = match others.as_slice() {
                [] => String::new(),
                others => format!(" (other events: {})", others.join(", ")),
            };
            self.say(format!(
                "In the explained event, the span recorded `{name}` as {own}{others}."
            ));
        }
    }

    /// Says, whatever else was said, that other events of the issue differ from the explained one:
    /// nothing of what follows from its message need hold for them.
    pub(crate) fn say_others(&mut self, messages: &[Untrusted]) {
        if messages.is_empty() || self.sentences.is_empty() {
            return;
        }
        let said: Vec<String> = messages
            .iter()
            .take(2)
            .map(|message| format!("\"{}\"", message.quote()))
            .collect();
        let sentence = format!(
            "All of this is about the explained event; others said {}.",
            said.join(", ")
        );
        self.sentences.push(sentence);
    }

    /// What the caller on the stack passes for a parameter.
    fn say_passed(&mut self, name: &str, position: usize) {
        let Some(caller) = &self.context.caller else {
            return;
        };
        let Some(argument) = caller.arguments.get(position) else {
            return;
        };
        let place = format!("{}:{}", caller.file, caller.line);
        let sentence = if argument == name {
            format!(
                "`{}` passes its own `{name}` on ({place}).",
                caller.function
            )
        } else {
            format!(
                "`{}` passes `{argument}` for `{name}` ({place}).",
                caller.function
            )
        };
        self.say(sentence);
    }

    fn say_inclusive(&mut self, name: &str, over: &Expr) {
        let Expr::Range(range) = unparenthesized(over) else {
            return;
        };
        let Some(end) = &range.end else { return };
        let inclusive = matches!(range.limits, RangeLimits::Closed(_));
        let end_value = self.view.number(end, &self.known);
        if inclusive && end_value.is_some() && end_value == self.known.value(name) {
            self.proved = true;
            let end = self.text(&**end);
            self.say(format!(
                "That range includes its end, `{end}`, one more than there is."
            ));
        }
    }

    /// Says which of the conditions on the way concern any of these texts, and whether they let the
    /// failing values through. `missing` says what was never checked.
    pub(crate) fn checks(&mut self, concerned: &[String], missing: &str) {
        let conditions: Vec<Condition<'a>> = self.view.scope.conditions.clone();
        let mut n_told = 0_usize;
        for condition in conditions {
            let Checked::Test(test) = condition.what else {
                continue;
            };
            if !concerned
                .iter()
                .any(|text| mentions(self.tree(), test, text))
            {
                continue;
            }
            n_told += 1;
            self.say_check(test, &condition, concerned);
        }
        if n_told == 0 {
            self.say(format!("Nothing on the way there {missing}."));
        }
    }

    fn say_check(&mut self, test: &Expr, condition: &Condition<'a>, concerned: &[String]) {
        let (line, text) = (condition.line, self.text(test));
        self.lines.insert(line);
        let passed = if condition.holds { "holds" } else { "is false" };
        match self.view.value(test, &self.known) {
            Some(Value::Truth(truth)) if truth == condition.holds => {
                self.proved = true;
                let numbers = self.numbers(test);
                self.say(format!(
                    "The check `{text}` on line {line} lets this through: it {passed}{numbers}."
                ));
            }
            Some(Value::Truth(_)) => {
                self.say(format!(
                    "The check `{text}` on line {line} should have stopped this, so something \
                     changed after it."
                ));
                for text in concerned {
                    let scope = self.view.scope;
                    let changes: Vec<u32> = scope
                        .changes_of(text, line, u32::MAX)
                        .map(|change| change.line)
                        .collect();
                    if let Some(change) = changes.first() {
                        self.lines.insert(*change);
                        self.say(format!("`{text}` is changed on line {change}."));
                    }
                }
            }
            Some(Value::Number(_)) | None => {
                self.say(format!(
                    "The check `{text}` on line {line} {passed} on the way, and does not rule this out."
                ));
            }
        }
    }

    /// A comparison with its numbers, as ` (3 <= 3)`.
    fn numbers(&self, test: &Expr) -> String {
        let Expr::Binary(binary) = unparenthesized(test) else {
            return String::new();
        };
        let side = |expr: &Expr| self.view.number(expr, &self.known);
        match (side(&binary.left), side(&binary.right)) {
            (Some(left), Some(right)) => {
                format!(" ({left} {} {right})", self.text(&binary.op))
            }
            _ => String::new(),
        }
    }

    /// Says under which conditions a place is reached at all.
    pub(crate) fn reached(&mut self) {
        let conditions: Vec<Condition<'a>> = self.view.scope.conditions.clone();
        for condition in conditions.iter().rev().take(2) {
            let line = condition.line;
            self.lines.insert(line);
            match condition.what {
                Checked::Test(test) => {
                    let text = self.text(test);
                    let truth = if condition.holds {
                        "holds"
                    } else {
                        "does not hold"
                    };
                    self.say(format!(
                        "It is reached where `{text}` {truth} (line {line})."
                    ));
                    self.trace(test);
                }
                Checked::Match { value, pattern } => {
                    let (text, pattern) = (self.text(value), self.pattern_text(pattern));
                    let truth = if condition.holds {
                        "matches"
                    } else {
                        "does not match"
                    };
                    self.say(format!(
                        "It is reached where `{text}` {truth} `{pattern}` (line {line})."
                    ));
                    self.trace(value);
                }
            }
        }
    }
}
