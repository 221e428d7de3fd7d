//! `llmobs-annotate ATTRIBUTE FOLDER` puts the attribute on each function with a body below the
//! folder that may have one, and prints how many there were. Tests and their modules keep theirs
//! to themselves.

use std::fs;
use std::io;
use std::path::Path;

use proc_macro2::LineColumn;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemFn, ItemMod, Meta, Signature, TraitItemFn, Visibility};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(attribute), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: llmobs-annotate ATTRIBUTE FOLDER"));
    };
    println!("{}", annotate(&attribute, Path::new(&folder))?);
    Ok(())
}

/// How many functions below the folder have the attribute now.
fn annotate(attribute: &str, folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count += annotate(attribute, &path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            // A file that another includes need not be one of items.
            let Ok(file) = syn::parse_file(&text) else {
                continue;
            };
            let mut functions = Functions::default();
            functions.visit_file(&file);
            count += functions.places.len();
            fs::write(&path, functions.annotated(attribute, &text))?;
        }
    }
    Ok(count)
}

/// A place where an attribute can stand.
#[derive(Default)]
struct Functions {
    places: Vec<LineColumn>,
}

impl Functions {
    fn found(&mut self, attrs: &[Attribute], vis: Option<&Visibility>, sig: &Signature) {
        if sig.constness.is_none() && sig.variadic.is_none() && !is_for_tests(attrs) {
            let start = match vis {
                Some(vis) if !matches!(vis, Visibility::Inherited) => vis.span(),
                _ => sig.span(),
            };
            self.places.push(start.start());
        }
    }

    /// The text with the attribute at each place, from the last to the first.
    fn annotated(mut self, attribute: &str, text: &str) -> String {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        self.places.sort_by_key(|place| (place.line, place.column));
        for place in self.places.iter().rev() {
            let line = &mut lines[place.line - 1];
            // A column counts characters.
            let at = line.char_indices().nth(place.column);
            let at = at.map_or(line.len(), |(at, _)| at);
            line.insert_str(at, &format!("#[{attribute}] "));
        }
        lines.concat()
    }
}

fn is_for_tests(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let path = attr.path();
        let is_cfg_test = matches!(&attr.meta, Meta::List(list)
            if path.is_ident("cfg") && list.tokens.to_string().contains("test"));
        path.is_ident("test") || is_cfg_test
    })
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.found(&item.attrs, Some(&item.vis), &item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.found(&item.attrs, Some(&item.vis), &item.sig);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if item.default.is_some() {
            self.found(&item.attrs, None, &item.sig);
        }
        visit::visit_trait_item_fn(self, item);
    }
}
