//! The ways out of a body that stands inline: each `return` and each `?` that leaves the function.
//!
//! They are looked for in the syntax of the body, and rewritten by whoever asks. What stands in a
//! closure, an async block or an item leaves something else. What stands in a macro is not seen, save
//! in those of std whose arguments are expressions.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Block, Expr, ExprReturn, ExprTry, Macro, Pat, Stmt};

/// Macros of std that take expressions and never leave the function by themselves.
const OF_EXPRESSIONS: [&str; 20] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "panic",
    "print",
    "println",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

/// Macros of std that take something else and never leave the function either.
const OTHERS: [&str; 12] = [
    "cfg",
    "column",
    "concat",
    "env",
    "file",
    "include_bytes",
    "include_str",
    "line",
    "matches",
    "module_path",
    "option_env",
    "stringify",
];

/// Makes something else of a way out.
pub(crate) trait Rewrite {
    /// Something else in place of `return value`.
    fn leave(&self, leave: &ExprReturn) -> Option<Expr>;

    /// `value?`.
    fn question(&self, question: &mut ExprTry);
}

/// Leaves each as it is.
struct Count;

impl Rewrite for Count {
    fn leave(&self, _: &ExprReturn) -> Option<Expr> {
        None
    }
    fn question(&self, _: &mut ExprTry) {}
}

/// A body as statements, in which ways out are looked for.
pub(crate) struct Exits {
    statements: Vec<Stmt>,
    /// Some are seen.
    pub(crate) any: bool,
    /// Some may not be seen.
    pub(crate) hidden: bool,
}

impl Exits {
    /// `None` where the body does not parse.
    pub(crate) fn of(body: &TokenStream) -> Option<Self> {
        let mut statements = Block::parse_within.parse2(body.clone()).ok()?;
        let mut walk = Walk::new(&Count);
        walk.statements(&mut statements);
        Some(Self {
            any: walk.any,
            hidden: walk.hidden,
            statements,
        })
    }

    /// The body with each of its ways out rewritten.
    pub(crate) fn rewritten(mut self, rewrite: &dyn Rewrite) -> TokenStream {
        Walk::new(rewrite).statements(&mut self.statements);
        let mut tokens = TokenStream::new();
        for statement in &self.statements {
            statement.to_tokens(&mut tokens);
        }
        tokens
    }
}

struct Walk<'a> {
    rewrite: &'a dyn Rewrite,
    any: bool,
    hidden: bool,
}

impl<'a> Walk<'a> {
    fn new(rewrite: &'a dyn Rewrite) -> Self {
        Self {
            rewrite,
            any: false,
            hidden: false,
        }
    }

    fn statements(&mut self, statements: &mut [Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Local(local) => {
                    if let Some(init) = &mut local.init {
                        self.expr(&mut init.expr);
                        if let Some((_, diverge)) = &mut init.diverge {
                            self.expr(diverge);
                        }
                    }
                }
                Stmt::Expr(expr, _) => self.expr(expr),
                Stmt::Macro(statement) => self.mac(&mut statement.mac),
                // Functions of their own; and a macro of the body's own is unknown where it is called.
                Stmt::Item(_) => {}
            }
        }
    }

    fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e mut Expr>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn block(&mut self, block: &mut Block) {
        self.statements(&mut block.stmts);
    }

    fn mac(&mut self, mac: &mut Macro) {
        let Some(name) = mac.path.segments.last().map(|last| last.ident.to_string()) else {
            return;
        };
        let is_one = |names: &[&str]| names.iter().any(|one| name == *one);
        if is_one(&OF_EXPRESSIONS) {
            let arguments = Punctuated::<Expr, syn::Token![,]>::parse_terminated;
            if let Ok(mut arguments) = arguments.parse2(mac.tokens.clone()) {
                let before = self.any;
                self.any = false;
                self.all(&mut arguments);
                if self.any {
                    mac.tokens = arguments.to_token_stream();
                }
                self.any |= before;
                return;
            }
        } else if !is_one(&OTHERS) {
            self.hidden = true;
        }
        self.hidden |= leaves(mac.tokens.clone());
    }

    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Return(leave) => {
                self.all(leave.expr.as_deref_mut());
                self.any = true;
                if let Some(other) = self.rewrite.leave(leave) {
                    *expr = other;
                }
            }
            Expr::Try(question) => {
                self.expr(&mut question.expr);
                self.any = true;
                self.rewrite.question(question);
            }
            Expr::Array(expr) => self.all(&mut expr.elems),
            Expr::Assign(expr) => {
                self.expr(&mut expr.left);
                self.expr(&mut expr.right);
            }
            Expr::Await(expr) => self.expr(&mut expr.base),
            Expr::Binary(expr) => {
                self.expr(&mut expr.left);
                self.expr(&mut expr.right);
            }
            Expr::Block(expr) => self.block(&mut expr.block),
            Expr::Break(expr) => self.all(expr.expr.as_deref_mut()),
            Expr::Call(expr) => {
                self.expr(&mut expr.func);
                self.all(&mut expr.args);
            }
            Expr::Cast(expr) => self.expr(&mut expr.expr),
            Expr::Field(expr) => self.expr(&mut expr.base),
            Expr::ForLoop(expr) => {
                self.expr(&mut expr.expr);
                self.block(&mut expr.body);
            }
            Expr::Group(expr) => self.expr(&mut expr.expr),
            Expr::If(expr) => {
                self.expr(&mut expr.cond);
                self.block(&mut expr.then_branch);
                if let Some((_, otherwise)) = &mut expr.else_branch {
                    self.expr(otherwise);
                }
            }
            Expr::Index(expr) => {
                self.expr(&mut expr.expr);
                self.expr(&mut expr.index);
            }
            Expr::Let(expr) => self.expr(&mut expr.expr),
            Expr::Loop(expr) => self.block(&mut expr.body),
            Expr::Macro(expr) => self.mac(&mut expr.mac),
            Expr::Match(expr) => {
                self.expr(&mut expr.expr);
                for arm in &mut expr.arms {
                    if let Pat::Guard(guarded) = &mut arm.pat {
                        self.expr(&mut guarded.guard);
                    }
                    self.expr(&mut arm.body);
                }
            }
            Expr::MethodCall(expr) => {
                self.expr(&mut expr.receiver);
                self.all(&mut expr.args);
            }
            Expr::Paren(expr) => self.expr(&mut expr.expr),
            Expr::Range(expr) => {
                self.all(expr.start.as_deref_mut());
                self.all(expr.end.as_deref_mut());
            }
            Expr::RawAddr(expr) => self.expr(&mut expr.expr),
            Expr::Reference(expr) => self.expr(&mut expr.expr),
            Expr::Repeat(expr) => self.expr(&mut expr.expr),
            Expr::Struct(expr) => {
                self.all(expr.fields.iter_mut().map(|field| &mut field.expr));
                self.all(expr.rest.as_deref_mut());
            }
            Expr::Tuple(expr) => self.all(&mut expr.elems),
            Expr::Unary(expr) => self.expr(&mut expr.expr),
            Expr::Unsafe(expr) => self.block(&mut expr.block),
            Expr::While(expr) => {
                self.expr(&mut expr.cond);
                self.block(&mut expr.body);
            }
            // Nothing in them leaves the function.
            Expr::Async(_)
            | Expr::Closure(_)
            | Expr::Const(_)
            | Expr::Continue(_)
            | Expr::Infer(_)
            | Expr::Lit(_)
            | Expr::Path(_)
            | Expr::TryBlock(_) => {}
            other => self.hidden |= leaves(other.to_token_stream()),
        }
    }
}

/// Whether a `return` or a `?` stands in the tokens.
fn leaves(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => leaves(group.stream()),
        TokenTree::Ident(ident) => ident == "return",
        TokenTree::Punct(punct) => punct.as_char() == '?',
        TokenTree::Literal(_) => false,
    })
}
