//! Guards: a function that returns nothing, and a loop that goes on.

use super::*;

#[test]
fn a_function_that_returns_nothing_ends_early() {
    check(
        "fn greet(user: &User, out: &mut Out) {\n    // Everybody has one.\n    let name = user.name.as_ref().«unwrap();\n    out.line(name);\n}\n",
        NONE,
        "option/guard",
        "fn greet(user: &User, out: &mut Out) {\n    // Everybody has one.\n    let Some(name) = user.name.as_ref() else {\n        return;\n    };\n    out.line(name);\n}\n",
    );
    check(
        "fn load(path: &Path) -> () {\r\n    let text: String = read(path).«unwrap(); // ä\r\n    show(&text);\r\n}\r\n",
        ERR,
        "result/guard",
        "fn load(path: &Path) -> () {\r\n    let Ok(text): Result<String, _> = read(path) else {\r\n        return;\r\n    }; // ä\r\n    show(&text);\r\n}\r\n",
    );
}

#[test]
fn an_element_is_bound_as_it_is_used() {
    let source = |statement: &str| {
        format!("fn f(rows: &[u8], i: usize) {{\n    {statement}\n    done();\n}}\n")
    };
    for (statement, expected) in [
        (
            "let row = «rows[i];",
            "let Some(&row) = rows.get(i) else {\n        return;\n    };",
        ),
        (
            "let mut row = «rows[i];",
            "let Some(mut row) = rows.get(i).copied() else {\n        return;\n    };",
        ),
        (
            "let row: u8 = «rows[i];",
            "let Some(row): Option<u8> = rows.get(i).copied() else {\n        return;\n    };",
        ),
        (
            "let row = &«rows[i];",
            "let Some(row) = rows.get(i) else {\n        return;\n    };",
        ),
        (
            "let (a, b) = «rows[i];",
            "let Some(&(a, b)) = rows.get(i) else {\n        return;\n    };",
        ),
        (
            "show(1, «rows[i]);",
            "let Some(row) = rows.get(i) else {\n        return;\n    };\n    show(1, *row);",
        ),
        (
            "show(&«rows[i].name);",
            "let Some(row) = rows.get(i) else {\n        return;\n    };\n    show(&row.name);",
        ),
        (
            "«rows[i] = 1;",
            "let Some(row) = rows.get_mut(i) else {\n        return;\n    };\n    *row = 1;",
        ),
        (
            "«rows[i].n += i;",
            "let Some(row) = rows.get_mut(i) else {\n        return;\n    };\n    row.n += i;",
        ),
    ] {
        check(&source(statement), INDEX, "index/guard", &source(expected));
    }
}

#[test]
fn a_name_that_is_taken_is_not_used() {
    check(
        "fn f(rows: &[u8], row: u8) {\n    let item = 1;\n    show(«rows[2], row, item);\n}\n",
        "index out of bounds: the len is 1 but the index is 2",
        "index/guard",
        "fn f(rows: &[u8], row: u8) {\n    let item = 1;\n    let Some(found) = rows.get(2) else {\n        return;\n    };\n    show(*found, row, item);\n}\n",
    );
}

#[test]
fn nothing_is_moved_before_what_runs_first() {
    declines(
        "fn f(rows: &[u8], i: usize) {\n    show(next_id(), «rows[i]);\n}\n",
        INDEX,
        "`next_id()` runs before it in the same statement",
    );
    declines(
        "fn f(rows: &mut [u8], i: usize) {\n    «rows[i] = next_id();\n}\n",
        INDEX,
        "`next_id()` runs before it",
    );
    declines(
        "fn f(rows: &[u8], i: usize) {\n    let ok = i < 4 && «rows[i] > 2;\n    show(ok);\n}\n",
        INDEX,
        "runs only where what stands before it allows",
    );
    declines(
        "fn f(rows: &[u8], i: usize) {\n    match i {\n        0 => none(),\n        i => show(«rows[i]),\n    }\n}\n",
        INDEX,
        "one branch of a `match`",
    );
    declines(
        "fn f(rows: &[u8], mut i: usize) {\n    while «rows[i] > 2 {\n        i += 1;\n    }\n}\n",
        INDEX,
        "while",
    );
}

#[test]
fn a_call_whose_value_nobody_uses_is_declined() {
    declines(
        "fn save(file: &mut File, bytes: &[u8]) {\n    file.write_all(bytes).«unwrap();\n    file.sync();\n}\n",
        ERR,
        "the failure would go unnoticed",
    );
}

#[test]
fn main_does_not_end_early_in_silence() {
    declines(
        "fn main() {\n    let port = std::env::args().nth(1).«unwrap();\n    serve(port);\n}\n",
        NONE,
        "looks like one that was successful",
    );
}

#[test]
fn a_loop_leaves_out_the_item() {
    check(
        "fn report(users: &[User], names: &[String]) -> Vec<String> {\n    let mut lines = Vec::new();\n    for user in users {\n        if user.is_gone {\n            continue;\n        }\n        let name = &«names[user.id];\n        lines.push(name.to_uppercase());\n    }\n    lines\n}\n",
        INDEX,
        "index/guard",
        "fn report(users: &[User], names: &[String]) -> Vec<String> {\n    let mut lines = Vec::new();\n    for user in users {\n        if user.is_gone {\n            continue;\n        }\n        let Some(name) = names.get(user.id) else {\n            continue;\n        };\n        lines.push(name.to_uppercase());\n    }\n    lines\n}\n",
    );
}

#[test]
fn a_caller_that_can_be_told_is_told_first() {
    let source = "fn all(users: &[User], names: &[String]) -> Option<Vec<String>> {\n    let mut all = Vec::new();\n    for user in users {\n        let name = «names[user.id].clone();\n        all.push(name);\n    }\n    Some(all)\n}\n";

    let rules: Vec<String> = results(source, INDEX)
        .into_iter()
        .map(|(rule, _)| rule)
        .collect();

    assert_eq!(
        rules,
        ["index/get", "index/get", "index/get", "index/guard"]
    );
}

#[test]
fn an_item_is_not_left_out_of_a_sum() {
    declines(
        "fn total(lines: &[Line], prices: &[u64]) -> u64 {\n    let mut total = 0;\n    for line in lines {\n        total += «prices[line.sku] * line.quantity;\n    }\n    total\n}\n",
        INDEX,
        "`total` returns `u64`",
    );
    declines(
        "fn total(&mut self, lines: &[Line], prices: &[u64]) {\n    for line in lines {\n        let price = «prices[line.sku];\n        self.total += price * line.quantity;\n    }\n}\n".replace("fn", "impl T { fn").replace("}\n}\n", "}\n}}\n").as_str(),
        INDEX,
        "the item would be missing from `self.total` without a word",
    );
}

#[test]
fn a_loop_that_changed_something_for_the_item_is_declined() {
    for before in [
        "out.begin();",
        "n += 1;",
        "seen.insert(user.id);",
        "log(&mut seen);",
        "writeln!(out, \"{user}\");",
    ] {
        declines(
            &format!(
                "fn f(users: &[User], names: &[u8], out: &mut Out, mut n: u8, mut seen: Set) {{\n    for user in users {{\n        {before}\n        let name = «names[user.id];\n        out.line(name);\n    }}\n}}\n"
            ),
            INDEX,
            "half done",
        );
    }
}

#[test]
fn a_loop_that_may_not_end_is_declined() {
    for head in ["while left > 0", "loop", "while let Some(i) = next(i)"] {
        declines(
            &format!(
                "fn f(names: &[u8], mut i: usize) {{\n    {head} {{\n        let name = «names[i];\n        i += name;\n    }}\n}}\n"
            ),
            INDEX,
            "keep the loop from ever ending",
        );
    }
}

#[test]
fn what_a_loop_goes_over_is_no_part_of_it() {
    check(
        "fn f(names: &[u8], from: usize) {\n    for name in &«names[from..] {\n        show(name);\n    }\n}\n",
        "range start index 9 out of range for slice of length 4",
        "slice/guard",
        "fn f(names: &[u8], from: usize) {\n    let Some(found) = names.get(from..) else {\n        return;\n    };\n    for name in found {\n        show(name);\n    }\n}\n".replace("found", "item").as_str(),
    );
}

#[test]
fn a_closure_that_returns_nothing_ends_early() {
    check(
        "fn f(users: &[User], names: &[u8]) -> usize {\n    users.iter().for_each(|user| {\n        let name = «names[user.id];\n        show(name);\n    });\n    users.len()\n}\n",
        INDEX,
        "index/guard",
        "fn f(users: &[User], names: &[u8]) -> usize {\n    users.iter().for_each(|user| {\n        let Some(&name) = names.get(user.id) else {\n            return;\n        };\n        show(name);\n    });\n    users.len()\n}\n",
    );
}

#[test]
fn a_statement_that_shares_its_line_is_declined() {
    declines(
        "fn f(v: &[u8], i: usize) { show(«v[i]); }\n",
        INDEX,
        "shares its line",
    );
}

#[test]
fn a_function_that_did_half_of_its_work_does_not_end_early() {
    declines(
        "impl Graph {\n    fn connect(&mut self, a: usize, b: usize) {\n        self.edges[a].push(b);\n        «self.edges[b].push(a);\n    }\n}\n",
        INDEX,
        "`self.edges[a].push(b)` was already done, and leaving out the rest would leave that half done",
    );
    declines(
        "fn f(out: &mut Out, rows: &[u8], i: usize) {\n    out.count += 1;\n    let row = «rows[i];\n    out.add(row);\n}\n",
        INDEX,
        "half done",
    );
}

#[test]
fn what_dies_with_the_function_is_not_half_done() {
    check(
        "fn f(dishes: &[u8], i: usize) {\n    let mut sum = 0;\n    sum += i;\n    start(sum);\n    show(«dishes[i], sum);\n}\n",
        INDEX,
        "index/guard",
        "fn f(dishes: &[u8], i: usize) {\n    let mut sum = 0;\n    sum += i;\n    start(sum);\n    let Some(dish) = dishes.get(i) else {\n        return;\n    };\n    show(*dish, sum);\n}\n",
    );
}
