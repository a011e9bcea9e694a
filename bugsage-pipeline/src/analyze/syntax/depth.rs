//! How deep a source file nests, before anything recurses into it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// How deep a parser may have to recurse, never too low: in each bracket the longest run of tokens
/// without a separator, plus the same for what is inside.
pub(super) fn depth(tokens: TokenStream) -> usize {
    // Brackets nest as deep as the file likes, so the stack of open ones is a vector.
    let mut open = vec![(tokens.into_iter().peekable(), 0_usize, 0_usize)];
    let (mut base, mut deepest) = (0_usize, 0_usize);
    while let Some((tokens, run, above)) = open.last_mut() {
        let Some(token) = tokens.next() else {
            base -= *above;
            open.pop();
            continue;
        };
        *run += 1;
        deepest = deepest.max(base + *run);
        match token {
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => *run = 0,
            TokenTree::Group(group) => {
                // A block ends a statement, an arm or an item, unless what follows continues it.
                let ends = group.delimiter() == Delimiter::Brace
                    && match tokens.peek() {
                        Some(TokenTree::Punct(punct)) => punct.as_char() == '#',
                        Some(TokenTree::Ident(ident)) => *ident != "else" && *ident != "as",
                        _ => true,
                    };
                // What is inside counts on top of the run before it, and of the brackets around.
                let above = *run;
                let after = if ends { 0 } else { above };
                *run = after;
                base += above;
                open.push((group.stream().into_iter().peekable(), 0, above));
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
    deepest
}
