//! The code that a function becomes.
//!
//! `P` stands for the runtime's private module. All names of our own begin with
//! `__llmobs_`: hygiene does not protect a `let` from a user's constant of the same name.
//! The user's tokens keep their spans, ours have `mixed_site` ones, so that lints see
//! the former and leave the latter alone.

mod fill;
mod placed;
mod streamed;
mod warning;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Path, ReturnType, Type};

use crate::attr::Args;
use crate::kind::Kind;
use crate::place::Place;
use crate::shape::{self, Form, Shape};
use crate::signature::{Binding, Function, names};
use crate::valid::literal;

/// What all parts of one expansion share.
struct Expansion<'a> {
    kind: Kind,
    args: &'a Args,
    function: &'a Function,
    shape: Shape,
    place: Place,
    bindings: Vec<Binding>,
    /// The expressions of the attribute.
    exprs: TokenStream,
    /// The path of the private module.
    p: TokenStream,
    span: Span,
}

/// Writes the function anew, with its span.
pub(crate) fn expand(kind: Kind, args: &Args, function: &Function) -> TokenStream {
    let span = Span::mixed_site();
    let expansion = Expansion {
        kind,
        args,
        function,
        shape: function.shape(args.future.is_some()),
        place: function.place(args.future.is_some() || args.stream.is_some()),
        bindings: function
            .bindings()
            .into_iter()
            .filter(|binding| !binding.is_constant())
            .collect(),
        exprs: expressions(args),
        p: private(args.root.as_ref(), span),
        span,
    };
    expansion.write()
}

/// The runtime's private module, of the crate at `root`.
pub(crate) fn private(root: Option<&Path>, span: Span) -> TokenStream {
    let version = Ident::new(&crate::version(), span);
    let root = root.map_or_else(
        || quote_spanned!(span=> ::llmobs),
        ToTokens::to_token_stream,
    );
    quote_spanned!(span=> #root::__private::#version)
}

fn expressions(args: &Args) -> TokenStream {
    let mut tokens = TokenStream::new();
    let texts = args.texts.iter().map(|(_, expr)| expr);
    let pairs = args
        .tags
        .iter()
        .chain(&args.metadata)
        .map(|pair| &pair.value);
    for expr in texts.chain(pairs).chain(&args.input).chain(&args.output) {
        expr.to_tokens(&mut tokens);
    }
    tokens
}

impl Expansion<'_> {
    fn write(&self) -> TokenStream {
        let Self {
            function,
            shape,
            p,
            span,
            ..
        } = self;
        let on = match (self.streamed(shape), shape) {
            (Some(returned), shape) => self.stream(shape, &returned),
            (None, Shape::Sync) => self.sync(),
            (None, Shape::Async) => self.asynchronous(),
            (None, Shape::Future { output, form }) => self.future(output.as_deref(), *form),
        };
        let off = self.off(shape);
        let (within, beside, handed_on) = (self.within(), self.beside(), self.handed_on());
        let inner = &function.body.inner;
        let content =
            quote_spanned!(*span=> #inner #p::switch! { {#within #handed_on #on} {#off} });
        let braces = function.body.around(content);
        let (attrs, vis, sig) = (self.attributes(), &function.vis, self.signature());
        // A signature is emitted as it came, token by token.
        let instrumented = quote_spanned!(*span=> #[cfg(not(clippy))] #(#attrs)* #vis #sig #braces);
        let bare = self.bare(&off);
        if beside.is_empty() {
            return quote_spanned!(*span=> #instrumented #bare);
        }
        let beside = quote_spanned!(*span=> #[cfg(not(clippy))] #beside);
        quote_spanned!(*span=> #instrumented #p::switch! { {#beside} {} } #bare)
    }

    /// The function as clippy sees it. Around a closure or a future some of its lints fall silent, and
    /// others speak up; so it gets what the user wrote.
    fn bare(&self, off: &TokenStream) -> TokenStream {
        let Self { function, span, .. } = self;
        let (attrs, vis, sig) = (&function.attrs, &function.vis, &function.sig);
        let inner = &function.body.inner;
        let braces = function.body.around(quote_spanned!(*span=> #inner #off));
        quote_spanned!(*span=> #[cfg(clippy)] #(#attrs)* #vis #sig #braces)
    }

    /// The bare function; the attribute's expressions are checked and count as used.
    fn off(&self, shape: &Shape) -> TokenStream {
        let span = self.span;
        let tokens = &self.function.body.tokens;
        let texts = self.args.texts.iter().map(|(_, expr)| expr);
        let pairs = self.args.tags.iter().chain(&self.args.metadata);
        let exprs = texts.chain(pairs.map(|pair| &pair.value));
        let exprs = exprs.chain(&self.args.input);
        let exprs: Vec<&Expr> = exprs.filter(|expr| literal(expr).is_none()).collect();
        let output = self.off_output(shape);
        if exprs.is_empty() && output.is_empty() {
            return tokens.clone();
        }
        quote_spanned!(span=> if false { #(let _ = &(#exprs);)* #output } #tokens)
    }

    /// The closure of `output`, on a value that never is. An opaque type has no name by
    /// which to ask for such a value: there the closure goes unchecked.
    fn off_output(&self, shape: &Shape) -> TokenStream {
        let Self { p, span, .. } = self;
        let (Some(select), ReturnType::Type(_, ty)) =
            (&self.args.output, &self.function.sig.output)
        else {
            return TokenStream::new();
        };
        let ty = match shape {
            _ if self.args.stream.is_some() => self.off_item(shape),
            Shape::Future {
                form: Form::Named, ..
            } => None,
            Shape::Future { output, .. } => output.as_deref().cloned(),
            _ => Some((**ty).clone()),
        };
        let Some(ty) = ty.filter(|ty| !shape::has_opaque(ty)) else {
            return TokenStream::new();
        };
        quote_spanned!(*span=>
            use #p::ladder::*;
            if let #p::Ok(__llmobs_v) = (&&#p::Ret(&#p::fake::<#ty>())).__llmobs_split() {
                let _ = #p::apply(__llmobs_v, #select);
            }
        )
    }

    fn sync(&self) -> TokenStream {
        let Self { span, .. } = self;
        let start = self.start();
        let called = self.called();
        let (leaving, arrived) = self.early();
        if !self.has_value() {
            return quote_spanned!(*span=>
                let __llmobs_in = #start;
                #leaving
                #called
            );
        }
        let noted = self.noted();
        let check = self.warning();
        let annotation = self.annotation();
        let pin = self.pin(&quote_spanned!(*span=> __llmobs_out));
        quote_spanned!(*span=>
            let __llmobs_in = #start;
            #leaving
            let __llmobs_out #annotation = #called;
            #arrived
            #check
            #pin
            #noted
        )
    }

    fn asynchronous(&self) -> TokenStream {
        let Self { p, span, .. } = self;
        let future = self.lazy_future();
        let record = self.recorder();
        let check = self.items_without_stream();
        let pin = self.pin(&quote_spanned!(*span=> #p::output_of(__llmobs_f)));
        let instrumented =
            quote_spanned!(*span=> #p::Instrumented::lazy(__llmobs_f, #record).await);
        // Nothing is returned where nothing comes back.
        let instrumented = if shape::is_never(&self.function.sig.output) {
            instrumented
        } else {
            quote_spanned!(*span=> return #instrumented;)
        };
        quote_spanned!(*span=>
            let __llmobs_f = #future;
            #check
            #pin
            #instrumented
        )
    }

    /// The body of an `async fn` as a future that starts the span. Nothing outside of it
    /// borrows a parameter: it would then be kept beside that future, a second time.
    fn lazy_future(&self) -> TokenStream {
        let span = self.span;
        let p = &self.p;
        let starting = self.starting(&quote_spanned!(span=> __llmobs_s.enter_poll();));
        let start = quote_spanned!(span=> if #p::enabled() { #starting });
        let hold = self.hold();
        let fake = self.fake_return();
        let body = self.body();
        quote_spanned!(span=> async move { #hold #start #fake #body })
    }

    fn future(&self, output: Option<&Type>, form: Form) -> TokenStream {
        let Self { p, span, .. } = self;
        let start = self.start();
        let called = self.called();
        let annotation = self.annotation();
        let (leaving, arrived) = self.early();
        let check = self.items_without_stream();
        let record = self.recorder();
        let future = if form == Form::Named {
            // With a mixed_site span the compiler would keep the warning to itself.
            let method = Ident::new("__llmobs_boxed", shape::output_span(&self.function.sig));
            quote_spanned!(*span=>
                let __llmobs_b = { use #p::ladder::*; (&&&&&&#p::Ret(&__llmobs_f)).#method() };
                return __llmobs_b.wrap(__llmobs_in, __llmobs_f, #record);
            )
        } else {
            let output = self.future_output(output);
            let future = self.boxed(
                form,
                &quote_spanned!(*span=>
                    #p::Instrumented::started(__llmobs_in, #p::typed::<#output, _>(__llmobs_f), #record)
                ),
            );
            quote_spanned!(*span=> return #future;)
        };
        quote_spanned!(*span=>
            let __llmobs_in = #start;
            #leaving
            let __llmobs_f #annotation = #called;
            #arrived
            #check
            #future
        )
    }

    /// What the signature says of a future's output.
    fn future_output(&self, output: Option<&Type>) -> TokenStream {
        output.map_or_else(|| quote_spanned!(self.span=> _), shape::erased)
    }

    /// The future, in a box if the signature has it in one.
    fn boxed(&self, form: Form, future: &TokenStream) -> TokenStream {
        let Self { p, span, .. } = self;
        if form == Form::Bare {
            future.clone()
        } else {
            quote_spanned!(*span=> #p::Box::pin(#future))
        }
    }

    /// Notes what the function came to, if there is a span, and gives it back.
    fn noted(&self) -> TokenStream {
        let Self { p, span, .. } = self;
        let record = self.record();
        quote_spanned!(*span=>
            if let #p::Some(__llmobs_in) = #p::noted(&__llmobs_in) {
                let __llmobs_out = &__llmobs_out;
                #record
            }
            return __llmobs_out;
        )
    }

    /// An expression that starts the span, if anything is enabled.
    fn start(&self) -> TokenStream {
        let Self { p, span, .. } = self;
        let starting = self.starting(&quote_spanned!(*span=> #p::Some(__llmobs_s.enter())));
        quote_spanned!(*span=> if #p::enabled() { #starting } else { #p::None })
    }

    /// Where something is enabled. No way leads from here to where nothing is, but through the
    /// function's body, or the compiler would save registers for both.
    fn starting(&self, enter: &TokenStream) -> TokenStream {
        let Self {
            p,
            span,
            function,
            kind,
            ..
        } = self;
        let name = Literal::string(&function.sig.ident.unraw().to_string());
        let kind = Ident::new(kind.variant(), *span);
        let fill = self.fill();
        if fill.is_empty() {
            return quote_spanned!(*span=>
                let __llmobs_s = #p::start(&#name, #p::Kind::#kind);
                #enter
            );
        }
        quote_spanned!(*span=>
            let mut __llmobs_s = #p::start(&#name, #p::Kind::#kind);
            if __llmobs_s.is_some() {
                #fill
            }
            #enter
        )
    }

    /// Whether there is a returned value to look at.
    fn has_value(&self) -> bool {
        let output = &self.function.sig.output;
        !shape::is_unit(output)
            && !shape::is_never(output)
            && !self.is_unknown()
            && (self.place != Place::Inline || self.function.inline_value())
    }

    /// Whether the type of the returned value is not known: it is opaque, and the body is a
    /// `todo!()` as yet.
    fn is_unknown(&self) -> bool {
        matches!(&self.function.sig.output, ReturnType::Type(_, ty) if shape::has_opaque(ty))
            && self.function.body.is_unwritten()
    }

    /// Tells the compiler what the signature says of an opaque type before a ladder asks:
    /// in `impl Iterator<Item = T>`, of which items an empty `Vec` is.
    fn pin(&self, value: &TokenStream) -> TokenStream {
        match &self.function.sig.output {
            ReturnType::Type(_, ty) if shape::has_opaque(ty) && self.has_value() => {
                quote_spanned!(self.span=> if false { return #value; })
            }
            _ => TokenStream::new(),
        }
    }

    /// A closure that notes what a future comes to.
    fn recorder(&self) -> TokenStream {
        let span = self.span;
        if !self.has_value() {
            return quote_spanned!(span=> |_, _| {});
        }
        let record = self.record();
        quote_spanned!(span=> |__llmobs_in, __llmobs_out| { #record })
    }

    /// Notes the output or the error of `__llmobs_out` on `__llmobs_in`.
    fn record(&self) -> TokenStream {
        let Self {
            p, span, function, ..
        } = self;
        let value = self.output();
        let fails = matches!(&function.sig.output, ReturnType::Type(_, ty) if shape::may_fail(ty));
        if !fails {
            return quote_spanned!(*span=> use #p::ladder::*; let __llmobs_v = __llmobs_out; #value);
        }
        quote_spanned!(*span=>
            use #p::ladder::*;
            match (&&#p::Ret(__llmobs_out)).__llmobs_split() {
                #p::Ok(__llmobs_v) => { #value }
                #p::Err(__llmobs_e) => {
                    #p::failed(__llmobs_in, (&&&&&#p::Fail(__llmobs_e)).__llmobs_fail())
                }
            }
        )
    }

    /// Notes the output `__llmobs_v`.
    fn output(&self) -> TokenStream {
        let Self {
            p,
            span,
            args,
            kind,
            function,
            ..
        } = self;
        let none = quote_spanned!(*span=> #p::None);
        if let Some(select) = &args.output {
            let cap = self.cap(&quote_spanned!(*span=> &__llmobs_v), &none);
            let pairs = self.pairs();
            return quote_spanned!(*span=>
                if #p::wants_output(__llmobs_in) {
                    if let #p::Some(__llmobs_v) = #p::apply(__llmobs_v, #select) {
                        #p::output(__llmobs_in, { #pairs #cap });
                    }
                }
            );
        }
        let wanted = args
            .capture_output
            .as_ref()
            .map_or(kind.captures_output(), |capture| capture.value);
        // Of a closure there is a name at most, which is ours.
        let is_told = match &function.sig.output {
            ReturnType::Type(_, ty) => !shape::gives_items(ty) && !shape::holds_function(ty),
            ReturnType::Default => true,
        };
        if !wanted || !is_told {
            return quote_spanned!(*span=> let _ = __llmobs_v;);
        }
        let cap = self.cap(&quote_spanned!(*span=> __llmobs_v), &none);
        quote_spanned!(*span=>
            if #p::wants_output(__llmobs_in) {
                #p::output(__llmobs_in, #cap);
            }
        )
    }

    /// The body as a closure that owns the parameters.
    fn closure(&self) -> TokenStream {
        let returned = shape::returned(&self.function.sig.output);
        let hold = self.hold();
        let body = self.body();
        let braces = self
            .function
            .body
            .around(quote_spanned!(self.span=> #hold #body));
        // Of the user's span, so that clippy looks at what is in it.
        quote_spanned!(self.function.body.span=> move || -> #returned #braces)
    }

    /// Moves each parameter as a whole into the closure or future that this stands in, in
    /// the order that keeps the order in which they are dropped.
    fn hold(&self) -> TokenStream {
        let span = self.span;
        let mut hold = TokenStream::new();
        for binding in self.bindings.iter().rev() {
            let Binding { ident, cfg, .. } = binding;
            // `&mut` is a use of the `mut`, where that is declared anew inside.
            let mutability = binding.mutability(span).filter(|_| self.redeclares_mut());
            hold.extend(quote_spanned!(span=> #(#cfg)* let _ = &#mutability #ident;));
        }
        if let Some((this, cfg)) = self.function.receiver() {
            hold.extend(quote_spanned!(span=> #(#cfg)* let _ = &#this;));
        }
        hold
    }

    /// In an `async fn` a body may assign a borrow of its own to an argument, for the
    /// language itself declares arguments anew there; elsewhere it may not.
    fn redeclares_mut(&self) -> bool {
        self.function.sig.asyncness.is_some()
    }

    /// Declares anew what the body may assign a borrow of its own to, and what it does not
    /// use, so that the compiler still says so.
    fn rebind(&self) -> TokenStream {
        let span = self.span;
        let mut rebind = TokenStream::new();
        for binding in &self.bindings {
            let Binding {
                ident,
                cfg,
                lints,
                mutable,
            } = binding;
            let unused = !binding.is_unused()
                && !self.function.body.mentions(ident)
                && !names(self.exprs.clone(), ident);
            if unused || *mutable && self.redeclares_mut() {
                let mutability = binding.mutability(ident.span());
                rebind.extend(quote_spanned!(span=>
                    #(#cfg)* #(#lints)* let #mutability #ident = #ident;
                ));
            }
        }
        rebind
    }

    fn body(&self) -> TokenStream {
        let span = self.span;
        let block = self.function.body.behind(self.marker());
        let rebind = self.rebind();
        if rebind.is_empty() || shape::is_never(&self.function.sig.output) {
            return quote_spanned!(span=> #rebind #block);
        }
        // Before edition 2024 a temporary of the last expression would outlive the names
        // that are declared anew.
        let returned = shape::returned(&self.function.sig.output);
        quote_spanned!(span=>
            #rebind
            let __llmobs_r: #returned = #block;
            #[allow(unreachable_code)]
            return __llmobs_r;
        )
    }

    /// Tells the compiler the type of each `return` in an async block.
    fn fake_return(&self) -> TokenStream {
        let Self {
            p, span, function, ..
        } = self;
        if shape::is_never(&function.sig.output) || self.is_unknown() {
            return TokenStream::new();
        }
        let returned = shape::returned(&function.sig.output);
        quote_spanned!(*span=> if false { return #p::fake::<#returned>(); })
    }

    /// A statement before the user's first, or the compiler would call braces around a
    /// single expression superfluous.
    fn marker(&self) -> TokenStream {
        quote_spanned!(self.span=> let _ = ();)
    }
}

/// `&(expr)`, with errors about its type on the expression.
fn reference(expr: &Expr) -> TokenStream {
    let span = expr.span().resolved_at(Span::mixed_site());
    quote_spanned!(span=> &(#expr))
}

impl Binding {
    /// Its name says that it is not used.
    fn is_unused(&self) -> bool {
        self.ident.to_string().starts_with('_')
    }

    /// A pattern like `Unit` names a constant or a unit struct and binds nothing.
    fn is_constant(&self) -> bool {
        let name = self.ident.unraw().to_string();
        !self.mutable && name.starts_with(char::is_uppercase)
    }

    fn mutability(&self, span: Span) -> Option<syn::Token![mut]> {
        self.mutable.then(|| syn::Token![mut](span))
    }
}
