//! Planted circles.

use std::path::Path;

use super::of;

/// A crate of these files; its circles.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    }
    of(&folder.path().join("lib.rs")).unwrap()
}

#[test]
fn two_files_that_import_each_other_are_found_by_name() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\nimpl B { fn a(&self) -> Option<crate::a::A> { None } }"),
    ]);
    assert_eq!(found, ["circle of files: a.rs imports crate::b::B from b.rs, b.rs imports crate::a::A from a.rs"],);
}

#[test]
fn a_longer_circle_is_named_file_by_file_and_its_other_files_are_listed() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\nmod e;"),
        ("a.rs", "use crate::b::B;\npub struct A;"),
        ("b.rs", "use crate::c::C;\npub struct B;"),
        ("c.rs", "use crate::a::A;\nuse crate::d::D;\npub struct C;"),
        ("d.rs", "use crate::e::E;\npub struct D;"),
        ("e.rs", "use crate::b::B;\npub struct E;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a.rs imports crate::b::B from b.rs, b.rs imports crate::c::C from c.rs"), "{found:?}");
    assert!(found[0].ends_with("5 files hang together: a.rs, b.rs, c.rs, d.rs, e.rs"), "{found:?}");
}

#[test]
fn a_file_that_imports_nothing_does_not_hide_the_circle_beside_it() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod aa;\nmod b;"),
        ("a.rs", "use crate::aa::Leaf;\nuse crate::b::B;\npub struct A(B, Leaf);"),
        ("aa.rs", "pub struct Leaf;"),
        ("b.rs", "use crate::a::A;\nuse crate::aa::Leaf;\npub struct B(Option<Box<A>>, Leaf);"),
    ]);
    assert_eq!(found, ["circle of files: a.rs imports crate::b::B from b.rs, b.rs imports crate::a::A from a.rs"]);
}

#[test]
fn imports_are_followed_through_re_exports() {
    // Neither file names the other: both go by way of the modules above them.
    let files = [
        ("lib.rs", "mod a;\nmod b;\npub use a::One;\npub use b::*;"),
        ("a/mod.rs", "mod one;\npub(crate) use one::One as One;"),
        ("a/one.rs", "use crate::Two;\npub struct One(Two);"),
        ("b.rs", "mod two;\npub use two::{Two, Other as Another};"),
        ("b/two.rs", "use super::super::One;\npub struct Two;\npub struct Other(Option<Box<One>>);"),
    ];
    let found = circles(&files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a/one.rs imports crate::Two from b/two.rs"), "{found:?}");
    assert!(found[0].contains("b/two.rs imports super::super::One from a/one.rs"), "{found:?}");
}

#[test]
fn an_imported_module_is_looked_into() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b;\npub fn one() { b::deep::two() }"),
        ("b.rs", "pub mod deep;"),
        ("b/deep.rs", "pub fn two() { crate::a::one() }"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_parent_with_code_and_its_child_can_be_a_circle_and_one_without_cannot() {
    let child = ("a/child.rs", "use super::Shared;\npub fn child(_: Shared) {}");
    let code = circles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod child;\npub struct Shared;\npub fn f() { child::child(Shared) }"),
        child,
    ]);
    assert_eq!(code.len(), 1, "{code:?}");
    let none = circles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod child;\nmod shared;\npub use child::child;\nuse shared::Shared;"),
        ("a/shared.rs", "pub struct Shared;"),
        child,
    ]);
    assert_eq!(none, Vec::<String>::new());
    let one_way =
        circles(&[("lib.rs", "mod a;"), ("a.rs", "mod child;\npub struct Shared;\npub use child::child;"), child]);
    assert_eq!(one_way, Vec::<String>::new(), "a re-export is no use");
}

#[test]
fn tests_comments_strings_and_other_crates_do_not_count() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        (
            "b.rs",
            "//! [`crate::a::A`]\nuse serde::a::A as _;\n/* crate::a::A */\npub struct B;\nconst TEXT: &str = \"crate::a::A\";\n\
             #[cfg(test)]\nuse crate::a::A;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n    fn f(_: A) {}\n}\n",
        ),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn inline_modules_functions_and_macros_count_for_their_file() {
    for inside in [
        "pub mod inner { pub fn f(_: super::super::a::A) {} }",
        "pub fn f() { use crate::a::A; }",
        "pub fn f() { println!(\"{}\", crate::a::A::NAME) }",
        "pub const fn f() -> Option<crate::a::A> { None }",
        "pub const LIST: &[crate::a::A] = { &[] };",
        "impl From<crate::a::A> for B { fn from(_: crate::a::A) -> B { B } }",
    ] {
        let b = format!("pub struct B;\n{inside}");
        let found =
            circles(&[("lib.rs", "mod a;\nmod b;"), ("a.rs", "use crate::b::B;\npub struct A(B);"), ("b.rs", &b)]);
        assert_eq!(found.len(), 1, "{inside}: {found:?}");
    }
}
