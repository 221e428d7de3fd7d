//! Functions with `stream`: the span goes on with what they return.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::ReturnType;

use super::Expansion;
use crate::shape::{self, Boxed, Items, Returned, Shape};

impl Expansion<'_> {
    /// The stream that the signature shows, if the attribute says `stream`. Where the body is
    /// not written yet there is none to wrap.
    pub(super) fn streamed(&self, shape: &Shape) -> Option<Returned> {
        self.args.stream?;
        if self.is_unknown() {
            return None;
        }
        shape.streamed(&self.function.sig)
    }

    /// The function with its span over the stream.
    pub(super) fn stream(&self, shape: &Shape, returned: &Returned) -> TokenStream {
        let Self { p, span, .. } = self;
        let handover = |output: &TokenStream| {
            let wrapped = self.wrapped(returned);
            quote_spanned!(*span=>
                move |__llmobs_in: #p::Span, __llmobs_out| -> #output { #wrapped }
            )
        };
        let declared = shape::returned(&self.function.sig.output);
        match shape {
            Shape::Async => {
                let future = self.lazy_future();
                let handover = handover(&declared);
                quote_spanned!(*span=>
                    let __llmobs_f = #future;
                    return #p::Instrumented::lazy_stream(__llmobs_f, #handover).await;
                )
            }
            Shape::Future { output, form } => {
                let start = self.start();
                let called = self.called();
                let annotation = self.annotation();
                let (leaving, arrived) = self.early();
                let output = self.future_output(output.as_deref());
                let handover = handover(&output);
                let future = self.boxed(
                    *form,
                    &quote_spanned!(*span=>
                        #p::Instrumented::started_stream(
                            __llmobs_in, #p::typed::<#output, _>(__llmobs_f), #handover
                        )
                    ),
                );
                quote_spanned!(*span=>
                    let __llmobs_in = #start;
                    #leaving
                    let __llmobs_f #annotation = #called;
                    #arrived
                    return #future;
                )
            }
            Shape::Sync => {
                let start = self.start();
                let called = self.called();
                let annotation = self.annotation();
                let (leaving, arrived) = self.early();
                let wrapped = self.wrapped(returned);
                quote_spanned!(*span=>
                    let __llmobs_in = #start;
                    #leaving
                    let __llmobs_out #annotation = #called;
                    #arrived
                    let __llmobs_in = #p::leave(__llmobs_in);
                    return #wrapped;
                )
            }
        }
    }

    /// `__llmobs_out` with the span `__llmobs_in` over its stream. Without one the span ends.
    fn wrapped(&self, returned: &Returned) -> TokenStream {
        let Self { p, span, .. } = self;
        match returned {
            Returned::Items(items) => self.items(items),
            Returned::InResult(inner) => {
                let inner = self.wrapped(inner);
                quote_spanned!(*span=>
                    match __llmobs_out {
                        #p::Ok(__llmobs_out) => #p::Ok({ #inner }),
                        #p::Err(__llmobs_e) => {
                            if #p::is_open(&__llmobs_in) {
                                use #p::ladder::*;
                                let __llmobs_v = (&&&&&#p::Fail(&__llmobs_e)).__llmobs_fail();
                                #p::no_stream(&__llmobs_in, #p::Some(__llmobs_v));
                            }
                            #p::Err(__llmobs_e)
                        }
                    }
                )
            }
            Returned::InOption(inner) => {
                let inner = self.wrapped(inner);
                quote_spanned!(*span=>
                    match __llmobs_out {
                        #p::Some(__llmobs_out) => #p::Some({ #inner }),
                        #p::None => {
                            #p::no_stream(&__llmobs_in, #p::None);
                            #p::None
                        }
                    }
                )
            }
        }
    }

    fn items(&self, items: &Items) -> TokenStream {
        let Self {
            p,
            span,
            args,
            kind,
            ..
        } = self;
        let captures = args
            .capture_output
            .as_ref()
            .map_or(kind.captures_output() || args.output.is_some(), |capture| {
                capture.value
            });
        let item = items
            .item
            .as_ref()
            .map_or_else(|| quote_spanned!(*span=> _), shape::erased);
        let collect = self.collect();
        let (wrap, typed) = if items.is_iterator {
            (
                quote_spanned!(*span=> iterator),
                quote_spanned!(*span=> iterator_of),
            )
        } else {
            (
                quote_spanned!(*span=> stream),
                quote_spanned!(*span=> stream_of),
            )
        };
        let wrapped = quote_spanned!(*span=>
            #p::#wrap(__llmobs_in, #captures, #p::#typed::<#item, _>(__llmobs_out), #collect)
        );
        match items.boxed {
            None => wrapped,
            Some(Boxed::Pinned) => quote_spanned!(*span=> #p::Box::pin(#wrapped)),
            Some(Boxed::Plain) => quote_spanned!(*span=> #p::Box::new(#wrapped)),
        }
    }

    /// The closure that looks at each item.
    fn collect(&self) -> TokenStream {
        let Self { p, span, args, .. } = self;
        let cap = self.cap(
            &quote_spanned!(*span=> __llmobs_v),
            &quote_spanned!(*span=> #p::None),
        );
        let mut add = quote_spanned!(*span=>
            match (&&#p::Cap(__llmobs_v)).__llmobs_chunk() {
                #p::Some(__llmobs_v) => #p::chunk(__llmobs_c, __llmobs_v),
                #p::None => if #p::takes_items(__llmobs_c) { #p::item(__llmobs_c, #cap) }
            }
        );
        if let Some(select) = &args.output {
            add = quote_spanned!(*span=>
                if let #p::Some(__llmobs_v) = #p::apply(__llmobs_v, #select) {
                    let __llmobs_v = &__llmobs_v;
                    #add
                }
            );
        }
        quote_spanned!(*span=>
            move |__llmobs_i, __llmobs_c| {
                use #p::ladder::*;
                match (&&#p::Ret(__llmobs_i)).__llmobs_split() {
                    #p::Ok(__llmobs_v) => { #add }
                    #p::Err(__llmobs_e) => {
                        #p::failed_item(__llmobs_c, (&&&&&#p::Fail(__llmobs_e)).__llmobs_fail())
                    }
                }
            }
        )
    }

    /// The type to which `output = |item| …` applies, for a body that is never run.
    pub(super) fn off_item(&self, shape: &Shape) -> Option<syn::Type> {
        shape.streamed(&self.function.sig)?.items().item.clone()
    }
}

impl Shape {
    /// The stream that a function of this shape returns.
    pub(crate) fn streamed(&self, sig: &syn::Signature) -> Option<Returned> {
        let ReturnType::Type(_, ty) = &sig.output else {
            return None;
        };
        match self {
            Self::Future { .. } => Returned::of_future(ty),
            _ => Returned::of(ty),
        }
    }
}
