//! Whether the template and the variables of a `prompt!` fit each other.
//!
//! A place without a variable and a variable without a place are one mistake if their
//! names are near: then it is told at the variable alone.

use proc_macro2::Span;
use syn::LitStr;

use super::places::{Part as Piece, excerpt, parts};
use super::{Call, Part, Template, Variable, shown};
use crate::attr::Errors;
use crate::names::suggestion;

/// One name in the template: where it is first, and how it is written there.
struct Place {
    name: String,
    whole: String,
    span: Span,
}

/// Notes in `errors` what does not fit.
pub(super) fn check(call: &Call, errors: &mut Errors) {
    let named = names(&call.variables, errors) && !call.unread;
    let texts: Vec<&LitStr> = match &call.template {
        Some(Template::Text(text)) => vec![text],
        Some(Template::Chat(parts)) => parts.iter().filter_map(content).collect(),
        // What is in a file shows at its first use.
        Some(Template::File(_)) | None => return,
    };
    if let [text] = texts[..]
        && text.value().is_empty()
    {
        errors.on(text, "the template is empty");
        return;
    }
    let mut places = Vec::new();
    let mut closed = true;
    for text in texts.iter().copied() {
        closed &= read(text, &mut places, errors);
    }
    if !named {
        // What is missing may be what could not be read.
        return;
    }
    let given = |name: &str| call.variables.iter().any(|it| it.name.value() == name);
    let mut missing: Vec<&Place> = places.iter().collect();
    missing.retain(|place| !given(&place.name));
    for variable in &call.variables {
        let name = variable.name.value();
        // Its place may be what is not closed.
        if !closed || places.iter().any(|place| place.name == name) {
            continue;
        }
        let near: Vec<&str> = missing.iter().map(|place| place.name.as_str()).collect();
        let meant = suggestion(&name, &near).map(str::to_owned);
        missing.retain(|place| Some(&place.name) != meant.as_ref());
        let single = format!("{{{name}}}");
        let hint = match meant {
            Some(meant) => format!("; did you mean `{meant}`?"),
            None if texts.iter().any(|text| text.value().contains(&single)) => {
                format!(": a place has two braces, `{{{single}}}`")
            }
            None => String::new(),
        };
        let message = format!("the template has no place for `{name}`{hint}");
        errors.at(variable.name.span(), message);
    }
    for place in missing {
        errors.at(place.span, without_variable(place));
    }
}

fn without_variable(place: &Place) -> String {
    if place.name.is_empty() {
        return "`{{}}` has no name: places are filled by name, `{{text}}`".to_owned();
    }
    let name = shown(&LitStr::new(&place.name, place.span));
    let short = if name.starts_with('"') {
        String::new()
    } else {
        format!("`{name}` or ")
    };
    let whole = excerpt(&place.whole);
    format!("no variable for `{whole}`: add {short}`{name} = …` behind the template")
}

fn content(part: &Part) -> Option<&LitStr> {
    match part {
        Part::Message { content, .. } => Some(content),
        Part::Placeholder(_) => None,
    }
}

/// Notes the places of one text, each name once; false if one is not closed.
fn read(text: &LitStr, places: &mut Vec<Place>, errors: &mut Errors) -> bool {
    let mut closed = true;
    for piece in parts(&text.value()) {
        match piece {
            Piece::Text(_) => {}
            Piece::Unclosed(rest) => {
                let rest = excerpt(rest);
                errors.on(
                    text,
                    format_args!("`{rest}` is not closed: `}}}}` is missing"),
                );
                closed = false;
            }
            Piece::Place { whole, name } => {
                if !places.iter().any(|place| place.name == name) {
                    places.push(Place {
                        name: name.to_owned(),
                        whole: whole.to_owned(),
                        span: text.span(),
                    });
                }
            }
        }
    }
    closed
}

/// Whether all variables have names that can stand in a template. One that is given twice
/// has.
fn names(variables: &[Variable], errors: &mut Errors) -> bool {
    let mut right = true;
    for (index, Variable { name, .. }) in variables.iter().enumerate() {
        let value = name.value();
        let wrong = if value.trim().is_empty() {
            Some("the name of a variable is empty".to_owned())
        } else if value.contains("{{") || value.contains("}}") {
            Some("the name of a variable is written without braces".to_owned())
        } else if value.trim() == value {
            None
        } else {
            let name = value.trim();
            Some(format!(
                "the name of a variable has no spaces around it: write {name:?}"
            ))
        };
        if let Some(message) = wrong {
            errors.at(name.span(), message);
            right = false;
        } else if variables[..index].iter().any(|it| it.name.value() == value) {
            errors.at(name.span(), format_args!("`{value}` is given twice"));
        }
    }
    right
}
